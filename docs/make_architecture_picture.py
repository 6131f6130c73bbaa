"""Draws docs/architecture.svg: ``python docs/make_architecture_picture.py``.

The floors are those of the import contract in pyproject.toml, which ``lint-imports`` keeps; the
tests check that the picture is today's.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

HERE = Path(__file__).parent
PICTURE = HERE / "architecture.svg"
WIDTH, ROW, GAP = 720, 30, 8
_HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
    'font-family="sans-serif" font-size="13" text-anchor="middle">\n'
    "<title>The packages of snnbridge: each imports from floors below its own</title>\n"
)
_BOX = (
    '<rect x="{x:.0f}" y="{y}" width="{width:.0f}" height="{height}" rx="4" fill="{fill}" '
    'stroke="#5b7083"/>\n<text x="{middle:.0f}" y="{line}" fill="#16222c">{name}</text>\n'
)


def floors() -> list[list[str]]:
    """Return the names on each floor, the highest first."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    (layers,) = (x["layers"] for x in contracts if x["type"] == "layers")
    return [[name.strip().partition(".")[2] for name in row.split("|")] for row in layers]


def picture() -> str:
    """Return the picture of today: plugins at the top, then a row for each floor."""
    rows = [["plugins: every format, those that ship and yours"], *floors()]
    parts = [_HEAD.format(width=WIDTH, height=len(rows) * (ROW + GAP) + GAP)]
    for number, names in enumerate(rows):
        y = GAP + number * (ROW + GAP)
        parts += [_box(i, name, len(names), y, top=number == 0) for i, name in enumerate(names)]
    return "".join(parts) + "</svg>\n"


def _box(place: int, name: str, count: int, y: int, *, top: bool) -> str:
    width = (WIDTH - GAP * (count + 1)) / count
    x = GAP + place * (width + GAP)
    fill = "#ffe7c2" if top else "#dcebf7"
    return _BOX.format(
        x=x, y=y, width=width, height=ROW, fill=fill, middle=x + width / 2, line=y + 20, name=name
    )


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
