"""What the verbs print: tables for people, JSON for machines."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from snnbridge.compare import Difference

_WIDTH = 80


def print_json(value: Any) -> None:
    """Print JSON, one value, indented; NaN and infinity as text, JSON has no word for them."""
    click.echo(json.dumps(_finite(value), indent=2, ensure_ascii=True, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(held) for held in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def console() -> Console:
    """Return a console that never prints wider than its terminal, or than 80 columns."""
    from rich.console import Console

    return Console(
        file=sys.stdout,
        width=None if sys.stdout.isatty() else _WIDTH,
        highlight=False,
        emoji=False,
        markup=False,
    )


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> None:
    """Print a table that fits the terminal; long cells are folded."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False,
        show_edge=False,
    )  # fmt: skip
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text("\n".join(map(safe, cell.split("\n")))) for cell in row))
    console().print(table)


def safe(text: str) -> str:
    """Show what a terminal would obey: names come from files of strangers."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def difference_json(difference: Difference) -> dict[str, Any]:
    """Return a difference as JSON values."""
    from snnbridge.model import describe

    return {
        "path": list(difference.path),
        "kind": difference.kind,
        "left": describe(difference.left),
        "right": describe(difference.right),
        "count": difference.count,
    }


def size(nbytes: int) -> str:
    """Return a number of bytes as people write it."""
    amount = float(nbytes)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.2f} GiB"
