"""``snnbridge diff``."""

from __future__ import annotations

from typing import Any

import click

from snnbridge.cli import options, reading, render


@click.command(
    name="diff",
    cls=options.Verb,
    epilog="Example:\n\n  snnbridge diff trained.bp converted.h5\n\n"
    "Exits with 0 if nothing differs, 1 if something does, 2 if a file cannot be read.",
)
@options.path_argument("a")
@options.path_argument("b")
@reading.of_two
@options.as_json
def command(a: str, b: str, *, as_json: bool, **given: Any) -> int:
    """Compare two checkpoints bit for bit, whatever their formats."""
    from snnbridge.compare import differences

    found = differences(*reading.read_two(a, b, given))
    if as_json:
        render.print_json([render.difference_json(d) for d in found])
    elif not found:
        render.line("no difference")
    else:
        render.print_table(
            ("where", "what", "in A", "in B"),
            [
                (
                    "/".join(d.path),
                    _what(d.kind, d.count),
                    render.value(d.left),
                    render.value(d.right),
                )
                for d in found
            ],
        )
        render.line(render.count(len(found), "difference"))
    return 1 if found else 0


def _what(kind: str, count: int) -> str:
    return kind if count == 1 else f"{kind} ({count:,} elements)"
