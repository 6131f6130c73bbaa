"""Writes docs/cli.md from the program itself; the tests check that it is up to date."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from snnbridge.cli import VERBS, cli

HEAD = """# Command line

This page is written by `python docs/make_cli_page.py`.

Exit codes: 0 for success, and for the same behaviour; 1 if two checkpoints differ; 2 for a refusal,
a file that cannot be read, or wrong usage; 3 if it cannot be told whether behaviour is the same.
Errors are one sentence on standard error. A progress bar shows on a terminal when work takes more
than a second.
"""


def page() -> str:
    """Return the page: the help of the program and of every verb."""
    parts = [HEAD, _help()]
    parts += [f"## {verb}\n\n{_help(verb)}" for verb in VERBS]
    return "\n".join(parts)


def _help(*verb: str) -> str:
    shown = CliRunner().invoke(cli, [*verb, "--help"], prog_name="snnbridge", terminal_width=80)
    return f"```text\n{shown.output}```\n"


if __name__ == "__main__":
    Path(__file__).with_name("cli.md").write_text(page(), encoding="utf-8")
