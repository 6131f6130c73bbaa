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

from snnbridge.cli import process, render
from snnbridge.errors import SNNBridgeError

#: The verbs, in the order in which help shows them.
VERBS = (
    "convert",
    "info",
    "diff",
    "verify",
    "simulate",
    "formats",
    "spec",
    "check-file",
    "check-format",
    "new-plugin",
    "completion",
)

#: Exit code for what is refused, cannot be read, or is not known.
REFUSED = 2
_INTERRUPTED = 130


class _Verbs(click.Group):
    """The verbs, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"snnbridge.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command


def _show_version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked:
        from snnbridge.version import __version__

        render.line(f"snnbridge {__version__}")
        ctx.exit()


@click.group(
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog="Examples:\n\n  snnbridge info trained.bp\n\n  snnbridge convert trained.bp model.h5",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version,
    help="Show the version and exit.",
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
    with process.streams(), process.signals():
        warnings.showwarning = _show_warning
        sys.exit(_run(arguments))


def _run(arguments: list[str] | None) -> int:
    try:
        code = cli.main(arguments, prog_name="snnbridge", standalone_mode=False)
    except click.exceptions.Abort:
        return _INTERRUPTED
    except click.ClickException as error:
        return _show_usage(error)
    except (SNNBridgeError, OSError) as error:
        render.error(_sentence(error))
    except MemoryError:
        render.error("there is too little memory for this")
    except Exception as error:  # noqa: BLE001  # 1 would say that two networks differ
        render.error(f"{type(error).__name__}: {_sentence(error)}; please report this")
    else:
        return code if isinstance(code, int) else 0
    return REFUSED


def _show_usage(error: click.ClickException) -> int:
    """Say in one sentence what is wrong with the command; a bare verb shows its help."""
    message = error.format_message()
    ctx = getattr(error, "ctx", None)
    if ctx is None or "\n" in message:
        error.show()
    else:
        render.error(f"{message.rstrip('.')} (see `{ctx.command_path} --help`)")
    return error.exit_code


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror.lower()}"
    return " ".join(str(error).split())


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    render.error(f"warning: {' '.join(str(message).split())}")
