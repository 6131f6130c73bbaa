"""Arguments and options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _complete_format(
    _: click.Context, __: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    from snnbridge.registry import default

    return [
        CompletionItem(f.name, help=f.summary) for f in default() if f.name.startswith(incomplete)
    ]


def format_option(flag: str, name: str, help: str) -> Decorator:
    """Return an option that takes a format's name."""
    return click.option(flag, name, metavar="FORMAT", shell_complete=_complete_format, help=help)


def path_argument(name: str) -> Decorator:
    """Return an argument that takes a path; that it exists is for the formats to say."""
    return click.argument(name, type=click.Path(path_type=str))


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
spec = click.option(
    "--spec", metavar="FILE", type=click.Path(exists=True, dir_okay=False),
    help="What the file does not say; `snnbridge spec FILE` writes one to fill in.",
)  # fmt: skip
format_options = click.option(
    "-o", "--option", "options", multiple=True, metavar="NAME=VALUE",
    help="An option of the format; `snnbridge formats -v` lists them.",
)  # fmt: skip


def parse(options: Sequence[str]) -> dict[str, str]:
    """Split ``name=value`` pairs.

    Raises
    ------
    click.UsageError
        For a pair without ``=``.
    """
    parsed = {}
    for option in options:
        name, found, value = option.partition("=")
        if not found:
            raise click.UsageError(f"an option is NAME=VALUE, not {option!r}")
        parsed[name] = value
    return parsed
