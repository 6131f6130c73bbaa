"""``snnbridge convert``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from snnbridge.cli import options, render
from snnbridge.cli.progress import Progress

if TYPE_CHECKING:
    from snnbridge.bridge import Conversion

_MOST_ROWS = 200
#: The exit code of each verdict.
CODES = {"identical": 0, "equivalent": 0, "different": 1, "indeterminate": 3, "": 0}


@click.command(
    name="convert",
    epilog="Examples:\n\n"
    "  snnbridge convert trained.bp model.h5\n\n"
    "  snnbridge convert trained.bp model.npz --spec net.toml\n\n"
    "  snnbridge convert model.h5 fresh.bp --like template.bp\n\n"
    "Leaves with 0 if the new file does the same, 1 if not, 2 if the conversion is "
    "refused, 3 if it cannot be told.",
)
@options.path_argument("src")
@options.path_argument("dst")
@options.format_option("--from", "from_", "The format of SRC; found by its content otherwise.")
@options.format_option("--to", "to", "The format of DST; found by its suffix otherwise.")
@options.spec
@click.option(
    "--like", metavar="FILE", type=click.Path(exists=True),
    help="Write into the names and shapes of this checkpoint of the target's framework.",
)  # fmt: skip
@click.option("--bare", is_flag=True, help="Write nothing but what the framework itself would.")
@click.option("--allow-loss", is_flag=True, help="Convert also if something is lost.")
@click.option("--no-verify", is_flag=True, help="Neither read back nor simulate.")
@click.option(
    "--read-option", "read_options", multiple=True, metavar="NAME=VALUE",
    help="An option of the format of SRC.",
)  # fmt: skip
@options.format_options
@options.as_json
def command(
    src: str,
    dst: str,
    *,
    from_: str | None,
    to: str | None,
    spec: str | None,
    like: str | None,
    bare: bool,
    allow_loss: bool,
    no_verify: bool,
    read_options: tuple[str, ...],
    options: tuple[str, ...],
    as_json: bool,
) -> int:
    """Convert SRC to DST, and say what became of everything."""
    from snnbridge.bridge import convert
    from snnbridge.cli.options import parse

    with Progress(f"{src} to {dst}") as progress:
        done = convert(
            src,
            dst,
            from_=from_,
            to=to,
            spec=spec,
            bare=bare,
            allow_loss=allow_loss,
            verify=not no_verify,
            read_options=parse(read_options),
            write_options={**parse(options), **({"like": like} if like else {})},
            progress=progress.update,
        )
    if as_json:
        render.print_json(done.as_json())
    else:
        _print(done)
    return CODES[done.verdict]


def _print(done: Conversion) -> None:
    rows = [(e.status.value, e.what, e.reason) for e in done.ledger]
    columns = 3 if any(row[2] for row in rows) else 2
    headings = ("becomes", "what", "why")[:columns]
    render.print_table(headings, [row[:columns] for row in rows[:_MOST_ROWS]])
    if len(rows) > _MOST_ROWS:
        click.echo(f"... and {len(rows) - _MOST_ROWS} more; --json lists all")
    for note in done.source.notes:
        click.echo(f"note: {render.safe(note)}")
    click.echo(f"wrote {render.safe(done.target.path)} ({done.target.format})")
    if done.verdict:
        click.echo(f"verdict: {done.verdict} ({_MEANINGS[done.verdict]})")


_MEANINGS: dict[str, Any] = {
    "identical": "read back and compared bit for bit",
    "equivalent": "no spike differs",
    "different": "the two networks spike differently",
    "indeterminate": "what was lost may change the spikes",
}
