"""The command line: one module for each verb.

Modules of verbs import numpy and the formats inside their functions, so that help is shown at
once.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from typing import Any

import click

from snnbridge.errors import SNNBridgeError

#: The verbs, in the order in which help shows them.
VERBS = ("convert", "info", "diff", "verify", "simulate", "formats", "spec", "completion")

#: Exit code for what is refused, cannot be read, or is not known.
REFUSED = 2


class _Verbs(click.Group):
    """The verbs, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"snnbridge.cli.{cmd_name}")
        command: click.Command = module.command
        return command


def _show_version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked:
        from snnbridge.version import __version__

        click.echo(f"snnbridge {__version__}")
        ctx.exit()


@click.group(
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog="Examples:\n\n  snnbridge info trained.bp\n\n  snnbridge convert trained.bp model.h5",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version,
    help="Show the version and leave.",
)  # fmt: skip
def cli() -> None:
    """Read, compare and convert checkpoints of spiking neural networks."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    Parameters
    ----------
    arguments : list of str, optional
        Without the program's name; those of the process by default.
    """
    warnings.showwarning = _show_warning
    try:
        code = cli.main(arguments, prog_name="snnbridge", standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (SNNBridgeError, OSError) as error:
        click.echo(f"snnbridge: {_sentence(error)}", err=True)
        sys.exit(REFUSED)
    except Exception as error:  # noqa: BLE001  # 1 would say that two networks differ
        kind = type(error).__name__
        click.echo(f"snnbridge: {kind}: {_sentence(error)}; please report this", err=True)
        sys.exit(REFUSED)
    sys.exit(code if isinstance(code, int) else 0)


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror.lower()}"
    return " ".join(str(error).split())


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"snnbridge: warning: {message}", err=True)
