"""Write the tables of pairs.md: ``python docs/make_pairs.py``.

Every recorded net is converted for every framework, and run by the real ones in the environments
of fixtures/make/environments.toml; takes two minutes.
"""

import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

import pairs  # noqa: E402  # these two stand beside the tests that hold the same tables
import users  # noqa: E402

PAGE = HERE / "pairs.md"


def judged() -> list[pairs.Pair]:
    """Convert and run every pair."""
    found: list[pairs.Pair] = []
    for target in pairs.GOALS:
        with tempfile.TemporaryDirectory() as place:
            made = pairs.converted(Path(place), target)
            pairs.run(made, target, Path(place))
            found += made
    return found


def outcome(pair: pairs.Pair) -> str:
    """Name what became of a net in another framework."""
    if pair.refused or pair.error is not None:
        return "refused"
    return "wrong" if pair.wrong() else "right"


def counted(found: list[pairs.Pair]) -> dict[tuple[str, str], Counter[str]]:
    """Count the outcomes by source and target."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for pair in found:
        key = pair.case.framework, pair.target
        counts.setdefault(key, Counter())[outcome(pair)] += 1
    return counts


def all_of(found: list[pairs.Pair]) -> str:
    """Make the table of all outcomes."""
    counts = counted(found)
    return _table(
        counts, lambda n: f"{n['right']} / {n['wrong']} / {n['refused']}" if n else "none"
    )


def networks_of(found: list[pairs.Pair]) -> str:
    """Make the table of the networks with weights."""
    counts = counted([pair for pair in found if pair.case.kind != "neuron"])
    return _table(counts, lambda n: f"{n['right']} / {n.total()}" if n else "none")


def _table(counts, words) -> str:
    sources = sorted({source for source, _ in counts})
    lines = [f"| nets of | {' | '.join(pairs.GOALS)} |", "|---" * (len(pairs.GOALS) + 1) + "|"]
    for source in sources:
        row = (words(counts.get((source, target))) for target in pairs.GOALS)
        lines.append(f"| {source} | {' | '.join(row)} |")
    between = [held["right"] for (source, target), held in counts.items() if source != target]
    count = f"{sum(map(bool, between))} of {len(between)} pairs of two frameworks work."
    return "\n".join([*lines, "", count])


def reasons_of(found: list[pairs.Pair]) -> str:
    """List why nets of a source do not go to a target."""
    why: dict[tuple[str, str, str], list[str]] = {}
    for pair in (pair for pair in found if outcome(pair) != "right"):
        told = pair.refused or pair.error or f"{pair.how}, and the verdict is {pair.verdict}"
        text = re.sub(r"'[^']*'", "…", told.rpartition(": ")[2])
        why.setdefault((pair.case.framework, pair.target, text), []).append(pair.case.name)
    lines = ["| from | to | nets | reason |", "|---|---|---|---|"]
    for (source, target, text), names in sorted(why.items()):
        lines.append(f"| {source} | {target} | {', '.join(names)} | {text} |")
    return "\n".join(lines)


def of_users() -> list[pairs.Pair]:
    """Convert and run the nets that users of each framework write and save."""
    found: list[pairs.Pair] = []
    with tempfile.TemporaryDirectory() as place:
        given: list[pairs.Case] = []
        for framework in pairs.GOALS:
            folder = Path(place, framework)
            folder.mkdir()
            users.save(framework, folder)
            given += (case for case in users.cases(framework, folder) if case.kind in users.SHOWN)
        for target in pairs.GOALS:
            made = pairs.converted(Path(place), target, given)
            pairs.run(made, target, Path(place))
            found += made
    return found


def users_table(found: list[pairs.Pair]) -> str:
    """Make the table of the nets of users."""
    cells: dict[tuple[str, str], list[str]] = {}
    for pair in found:
        cells.setdefault((pair.case.framework, pair.target), []).append(_kind(pair))
    lines = [f"| nets of | {' | '.join(pairs.GOALS)} |", "|---" * (len(pairs.GOALS) + 1) + "|"]
    for framework in pairs.GOALS:
        row = (", ".join(cells[framework, target]) for target in pairs.GOALS)
        lines.append(f"| {framework} | {' | '.join(row)} |")
    return "\n".join(lines)


def _kind(pair: pairs.Pair) -> str:
    """Name a net: as it is where it goes, struck out where it does not."""
    if outcome(pair) == "right":
        return pair.case.name
    return f"({pair.case.name})" if outcome(pair) == "wrong" else f"~~{pair.case.name}~~"


def main() -> None:
    """Replace what stands between the marks of the page."""
    found, own = judged(), of_users()
    parts = {"all": all_of(found), "networks": networks_of(found)}
    parts |= {"users": users_table(own), "reasons": reasons_of(own)}
    text = PAGE.read_text(encoding="utf-8")
    for name, part in parts.items():
        mark = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        text = re.sub(mark, lambda m, part=part: f"{m[1]}{part}\n{m[2]}", text, flags=re.S)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
