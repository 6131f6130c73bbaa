"""``snnbridge spec``."""

from __future__ import annotations

import click

from snnbridge.cli import options


@click.command(
    name="spec",
    cls=options.Verb,
    epilog="Example:\n\n  snnbridge spec trained.bp > model.toml\n\n"
    "Fill it in, and hand it to other commands as --spec model.toml.",
)
@options.path_argument("file")
@options.format_option("--from", "from_", "The format of FILE; by default found by its content.")
@options.trusted
@options.format_options
def command(file: str, *, from_: str | None, trusted: bool, options: tuple[str, ...]) -> None:
    """Print a form (TOML) to state what FILE does not say."""
    from snnbridge.bridge import read
    from snnbridge.cli.options import flags, parse
    from snnbridge.spec import skeleton

    asked = {**parse(options), **flags()}
    found = read(file, format=from_, trusted=trusted, options=asked)
    # TOML is UTF-8, whatever the terminal writes.
    click.echo(skeleton(found).encode("utf-8"), nl=False)
