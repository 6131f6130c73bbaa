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
            made = nir_matrix.unwritten if plain else nir_matrix.recordings
            written = list(made(Path(place), importer))
            nir_matrix.run(written, importer, Path(place))
            found += written
    return found


def table(cells: list[nir_matrix.Cell], shown: tuple[str, ...]) -> str:
    """Make a table of the numbers of outcomes, a line for each source, and of outputs."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for cell in cells:
        found = counts.setdefault((cell.source, cell.importer), Counter())
        found[cell.outcome] += 1
        if cell.outcome in ("right", "wrong"):
            wrong, size = cell.compared()
            found.update(differ=wrong, outputs=size)
    sources = sorted({source for source, _ in counts})
    lines = [f"| nets of | {' | '.join(IMPORTERS)} |", "|---" * (len(IMPORTERS) + 1) + "|"]
    for source in sources:
        row = [counts[source, importer] for importer in IMPORTERS]
        numbers = [" / ".join(str(found[what]) for what in shown) + share(found) for found in row]
        lines.append(f"| {source} | {' | '.join(numbers)} |")
    return "\n".join(lines)


def share(found: Counter[str]) -> str:
    """Say how many of all outputs differ."""
    return f", {found['differ']} of {found['outputs']}" if found["outputs"] else ""


def of_shapes(cells: list[nir_matrix.Cell]) -> str:
    """Make a table of the shapes of nets that importers run."""
    found = {(cell.name, cell.importer): cell for cell in cells}
    lines = [f"| net | {' | '.join(IMPORTERS)} |", "|---" * (len(IMPORTERS) + 1) + "|"]
    for name in dict.fromkeys(cell.name for cell in cells):
        row = [found[name, importer] for importer in IMPORTERS]
        shown = (
            cell.outcome if cell.refused else "{} of {}".format(*cell.compared()) for cell in row
        )
        lines.append(f"| {name} | {' | '.join(shown)} |")
    return "\n".join(lines)


def judged_shapes() -> list[nir_matrix.Cell]:
    """Write, run and return the nets of every shape."""
    found: list[nir_matrix.Cell] = []
    for importer in IMPORTERS:
        with tempfile.TemporaryDirectory() as place:
            written = list(nir_matrix.shapes(Path(place), importer))
            nir_matrix.run(written, importer, Path(place))
            found += written
    return found


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
        "shapes": of_shapes(judged_shapes()),
    }
    text = PAGE.read_text(encoding="utf-8")
    for name, part in parts.items():
        mark = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        text = re.sub(mark, lambda m, part=part: f"{m[1]}{part}\n{m[2]}", text, flags=re.S)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
