"""``snnbridge diff``."""

from __future__ import annotations

import click

from snnbridge.cli import options, render

_MOST_ROWS = 200


@click.command(
    name="diff",
    epilog="Example:\n\n  snnbridge diff trained.bp converted.h5\n\n"
    "Leaves with 0 if nothing differs, 1 if something does, 2 if a file cannot be read.",
)
@options.path_argument("a")
@options.path_argument("b")
@options.as_json
def command(a: str, b: str, *, as_json: bool) -> int:
    """Compare two checkpoints bit for bit, whatever their formats."""
    from snnbridge.bridge import read
    from snnbridge.compare import differences
    from snnbridge.model import describe

    found = differences(read(a), read(b))
    if as_json:
        render.print_json([render.difference_json(d) for d in found])
    elif not found:
        click.echo("no difference")
    else:
        render.print_table(
            ("where", "what", "in A", "in B"),
            [
                ("/".join(d.path), _what(d.kind, d.count), describe(d.left), describe(d.right))
                for d in found[:_MOST_ROWS]
            ],
        )
        click.echo(f"{len(found)} differences")
    return 1 if found else 0


def _what(kind: str, count: int) -> str:
    return kind if count == 1 else f"{kind} ({count} elements)"
