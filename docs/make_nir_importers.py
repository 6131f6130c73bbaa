"""Write the tables of nir-importers.md: ``python docs/make_nir_importers.py``.

Every recorded net is written for every importer, and once for none, and run by the real
importers in the environments of fixtures/make/environments.toml; takes a few minutes.
"""

import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

import nir_matrix  # noqa: E402  # stands beside the tests that hold the same matrix
from snnbridge_plugins.nir.importers import IMPORTERS  # noqa: E402

PAGE = HERE / "nir-importers.md"


def judged(*, plain: bool) -> list[nir_matrix.Cell]:
    """Write, run and return every cell."""
    found: list[nir_matrix.Cell] = []
    for importer in IMPORTERS:
        with tempfile.TemporaryDirectory() as place:
            made = nir_matrix.cells(Path(place), [importer], plain=plain)
            written = [cell for cell in made if not plain or cell.name.endswith("random")]
            nir_matrix.run(written, importer, Path(place))
            found += written
    return found


def outcome(cell: nir_matrix.Cell) -> str:
    """Name what became of a net behind an importer."""
    if cell.refused:
        return "refused"
    if cell.error is not None:
        return "error"
    return "wrong" if cell.wrong() else "right"


def table(cells: list[nir_matrix.Cell], shown: tuple[str, ...]) -> str:
    """Make a table of the numbers of outcomes, a line for each source."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for cell in cells:
        counts.setdefault((cell.source, cell.importer), Counter())[outcome(cell)] += 1
    sources = sorted({source for source, _ in counts})
    lines = [f"| nets of | {' | '.join(IMPORTERS)} |", "|---" * (len(IMPORTERS) + 1) + "|"]
    for source in sources:
        row = [counts[source, importer] for importer in IMPORTERS]
        numbers = [" / ".join(str(found[what]) for what in shown) for found in row]
        lines.append(f"| {source} | {' | '.join(numbers)} |")
    return "\n".join(lines)


def reasons(cells: list[nir_matrix.Cell]) -> str:
    """List, for each importer, why nets are refused."""
    lines = []
    for importer in IMPORTERS:
        found = Counter(
            re.sub(r"'[^']*'", "…", cell.refused.rpartition(": ")[2])
            for cell in cells
            if cell.importer == importer and cell.refused
        )
        lines += [f"| {importer} | {n} | {text} |" for text, n in found.most_common(4)]
    return "\n".join(["| importer | nets | reason |", "|---|---|---|", *lines])


def main() -> None:
    """Replace what stands between the marks of the page."""
    ours, nobody = judged(plain=False), judged(plain=True)
    parts = {
        "with": table(ours, ("right", "wrong", "refused")),
        "without": table(nobody, ("right", "wrong", "error")),
        "reasons": reasons(ours),
    }
    text = PAGE.read_text(encoding="utf-8")
    for name, part in parts.items():
        mark = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        text = re.sub(mark, lambda m, part=part: f"{m[1]}{part}\n{m[2]}", text, flags=re.S)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
