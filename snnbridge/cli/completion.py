"""``snnbridge completion``."""

from __future__ import annotations

import click


@click.command(
    name="completion",
    epilog='Example, in ~/.bashrc:\n\n  eval "$(snnbridge completion bash)"',
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print a script that completes commands and options in a shell."""
    from click.shell_completion import get_completion_class

    from snnbridge.cli import cli

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(found(cli, {}, "snnbridge", "_SNNBRIDGE_COMPLETE").source())
