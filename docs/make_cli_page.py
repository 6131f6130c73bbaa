"""Writes docs/cli.md from the program itself; the tests check that it is up to date."""

from __future__ import annotations

from pathlib import Path

import click

from snnbridge.cli import cli

HEAD = """# Command line

This page is written by `python docs/make_cli_page.py`.

Exit codes: 0 for success, and for the same behaviour; 1 if two checkpoints differ; 2 for a refusal,
a file that cannot be read, or wrong usage; 3 if it cannot be told whether behaviour is the same.
Errors are one sentence on standard error. A progress bar shows on a terminal when work takes more
than a second.
"""


def page() -> str:
    """Return the page: the help of every verb."""
    root = click.Context(cli, info_name="snnbridge", terminal_width=80)
    parts = [HEAD, _block(root)]
    for verb in cli.list_commands(root):
        command = cli.get_command(root, verb)
        assert command is not None
        context = click.Context(command, info_name=verb, parent=root, terminal_width=80)
        parts.append(f"## {verb}\n\n{_block(context)}")
    return "\n".join(parts)


def _block(context: click.Context) -> str:
    return f"```text\n{context.get_help()}\n```\n"


if __name__ == "__main__":
    Path(__file__).with_name("cli.md").write_text(page(), encoding="utf-8")
