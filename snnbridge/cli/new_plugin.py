"""``snnbridge new-plugin``."""

from __future__ import annotations

import click


@click.command(name="new-plugin", epilog="Example:\n\n  snnbridge new-plugin my-format")
@click.argument("name")
@click.option("--into", metavar="FOLDER", help="Where to write it; snnbridge-NAME if not given.")
def command(*, name: str, into: str | None) -> None:
    """Write a plugin for a new format, ready to be changed."""
    from snnbridge.templates import new_plugin

    folder = into or f"snnbridge-{name}"
    for path in new_plugin(name, folder):
        click.echo(f"wrote {path}")
    click.echo(f'next: pip install -e "{folder}[test]" && snnbridge check-format {name}')
