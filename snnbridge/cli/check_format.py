"""``snnbridge check-format``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from snnbridge.cli import options, render
from snnbridge.cli.progress import Progress

if TYPE_CHECKING:
    from snnbridge.testing import Report

#: How many of the messages of one check are printed.
_MOST = 5


@click.command(
    name="check-format",
    epilog="Examples:\n\n  snnbridge check-format my-format\n\n"
    "  snnbridge check-format npz -r check=yes\n\n"
    "Exits with 0 if it does, 1 if it does not.",
)
@click.argument("name", metavar="FORMAT", shell_complete=options.complete_format)
@click.option("-w", "--write-option", "write_options", multiple=True, metavar="NAME=VALUE",
              help="An option for every write.")  # fmt: skip
@click.option("-r", "--read-option", "read_options", multiple=True, metavar="NAME=VALUE",
              help="An option for every read.")  # fmt: skip
@click.option("--integrity", is_flag=True, help="Demand that every changed bit is found.")
@options.as_json
def command(
    *,
    name: str,
    write_options: tuple[str, ...],
    read_options: tuple[str, ...],
    integrity: bool,
    as_json: bool,
) -> int:
    """Check that the plugin of FORMAT keeps the contract."""
    from snnbridge.registry import default
    from snnbridge.testing import check_format

    format = default().get(name)
    with Progress("checking", counted=True) as bar:
        report = check_format(
            format,
            write_options=options.parse(write_options),
            read_options=options.parse(read_options),
            checks_integrity=integrity,
            progress=bar.update,
        )
    if as_json:
        render.print_json(report.as_json())
    else:
        _print(report)
    return 0 if report.passed else 1


def _print(report: Report) -> None:
    rows = [
        ("failed" if x.failed else "kept", x.check.replace("_", " "), str(x.cases), str(x.failed))
        for x in report.findings
    ]
    render.print_table(("", "promise", "cases", "failed"), rows)
    for finding in report.findings:
        for message in finding.messages[:_MOST]:
            click.echo(f"\n{finding.check}\n  {render.safe(message)}")
        if finding.failed > _MOST:
            click.echo(f"  ... and {finding.failed - _MOST} more")
    verdict = "keeps" if report.passed else "breaks"
    click.echo(f"\n{report.format} {verdict} the contract, version {report.contract}")
