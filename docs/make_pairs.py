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
    """List why no net of a source goes to a target."""
    works = {key for key, held in counted(found).items() if held["right"]}
    why: dict[tuple[str, str], Counter[str]] = {}
    for pair in found:
        key = pair.case.framework, pair.target
        if key not in works:
            told = pair.refused or pair.error or f"{pair.how}, and the verdict is {pair.verdict}"
            text = re.sub(r"'[^']*'", "…", told.rpartition(": ")[2])
            why.setdefault(key, Counter())[text] += 1
    lines = ["| from | to | nets | reason |", "|---|---|---|---|"]
    for (source, target), held in sorted(why.items()):
        ((text, number),) = held.most_common(1)
        lines.append(f"| {source} | {target} | {number} of {held.total()} | {text} |")
    return "\n".join(lines)


def users_of() -> str:
    """Make the table of the nets that users of each framework write and save."""
    with tempfile.TemporaryDirectory() as place:
        given: list[pairs.Case] = []
        for framework in pairs.GOALS:
            folder = Path(place, framework)
            folder.mkdir()
            users.save(framework, folder)
            given += users.cases(framework, folder)
        lines = [f"| nets of | {' | '.join(pairs.GOALS)} |", "|---" * (len(pairs.GOALS) + 1) + "|"]
        rows: dict[str, list[str]] = {}
        for target in pairs.GOALS:
            made = pairs.converted(Path(place), target, given)
            pairs.run(made, target, Path(place))
            for framework in pairs.GOALS:
                own = [pair for pair in made if pair.case.framework == framework]
                rows.setdefault(framework, []).append(", ".join(_kind(pair) for pair in own))
        lines += [f"| {framework} | {' | '.join(cells)} |" for framework, cells in rows.items()]
    return "\n".join(lines)


def _kind(pair: pairs.Pair) -> str:
    """Name a net: as it is where it goes, struck out where it does not."""
    if outcome(pair) == "right":
        return pair.case.name
    return f"({pair.case.name})" if outcome(pair) == "wrong" else f"~~{pair.case.name}~~"


def main() -> None:
    """Replace what stands between the marks of the page."""
    found = judged()
    parts = {"all": all_of(found), "networks": networks_of(found), "reasons": reasons_of(found)}
    parts["users"] = users_of()
    text = PAGE.read_text(encoding="utf-8")
    for name, part in parts.items():
        mark = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        text = re.sub(mark, lambda m, part=part: f"{m[1]}{part}\n{m[2]}", text, flags=re.S)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
