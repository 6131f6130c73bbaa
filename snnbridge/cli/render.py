"""What the verbs print: tables and lines for people, JSON for machines."""

from __future__ import annotations

import json
import math
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from snnbridge.compare import Difference

_WIDTH = 80
_MOST_ROWS = 200
_MOST_TEXT = 400


def line(text: str) -> None:
    """Print one line as it is, but for what a terminal would obey."""
    click.echo(safe(text), file=sys.stdout)


def error(text: str) -> None:
    """Print one line on standard error."""
    click.echo(f"snnbridge: {safe(text)}", file=sys.stderr)


def paragraph(text: str, indent: str = "  ") -> None:
    """Print text folded to the terminal's width, further lines indented."""
    width = console().width
    for folded in textwrap.wrap(
        safe(text), width, subsequent_indent=indent, break_on_hyphens=False, drop_whitespace=True
    ):
        click.echo(folded, file=sys.stdout)


def print_json(value: Any) -> None:
    """Print JSON, one value, indented; NaN and infinity as text, JSON has no word for them."""
    text = json.dumps(_finite(value), indent=2, ensure_ascii=True, allow_nan=False)
    click.echo(text, file=sys.stdout)


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


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table that fits the terminal; long cells are folded, of many rows the first."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows[:_MOST_ROWS]:
        table.add_row(*(Text("\n".join(map(_short, cell.split("\n")))) for cell in row))
    console().print(table)
    if len(rows) > _MOST_ROWS:
        line(f"... and {len(rows) - _MOST_ROWS} more; --json lists all")


def _short(text: str) -> str:
    shown = safe(text[:_MOST_TEXT])
    return f"{shown}..." if len(text) > _MOST_TEXT else shown


def several(parts: Iterable[str], most: int = 12) -> str:
    """Return the parts of one cell, a line for each, the first of many."""
    lines = list(parts)
    more = [f"... and {len(lines) - most} more"] if len(lines) > most else []
    return "\n".join([*lines[:most], *more])


def safe(text: str) -> str:
    """Show what a terminal would obey: names come from files of strangers."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def count(number: int, thing: str) -> str:
    """Return a number of things: ``1 sample``, ``2 samples``."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def value(held: Any) -> str:
    """Return a value of a checkpoint in a few words."""
    from snnbridge.model import Connection, Layer, describe

    if isinstance(held, Connection):
        late = "" if held.delay == 0 else f", delay {describe(held.delay)}"
        return f"{held.source} -> {held.target}{late}"
    if isinstance(held, Layer):
        return f"{held.kind} {held.name!r}"
    if isinstance(held, Mapping | list | tuple) and any(_is_nested(x) for x in _inside(held)):
        return count(len(held), "item")
    return describe(held)


def _inside(held: Mapping[Any, Any] | Sequence[Any]) -> Iterable[Any]:
    return held.values() if isinstance(held, Mapping) else held


def _is_nested(held: Any) -> bool:
    return not isinstance(held, str | int | float | bool | None)


def difference_json(difference: Difference) -> dict[str, Any]:
    """Return a difference as JSON values."""
    return {
        "path": list(difference.path),
        "kind": difference.kind,
        "left": value(difference.left),
        "right": value(difference.right),
        "count": difference.count,
    }
