"""``snnbridge spec``."""

from __future__ import annotations

import click

from snnbridge.cli import options


@click.command(
    name="spec",
    epilog="Example:\n\n  snnbridge spec trained.bp > model.toml",
)
@options.path_argument("file")
@options.format_option("--from", "from_", "The format of FILE; found by its content otherwise.")
@options.format_options
def command(file: str, *, from_: str | None, options: tuple[str, ...]) -> None:
    """Print a form (TOML) to state what FILE does not say; give it back as --spec."""
    from snnbridge.bridge import read
    from snnbridge.cli.options import parse
    from snnbridge.spec import skeleton

    click.echo(skeleton(read(file, format=from_, options=parse(options))), nl=False)
