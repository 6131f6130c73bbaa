"""``snnbridge check-file``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from snnbridge.cli import options, render

if TYPE_CHECKING:
    from snnbridge.bridge import FileCheck


@click.command(
    name="check-file",
    cls=options.Verb,
    epilog="Example:\n\n  snnbridge check-file trained.npz\n\n"
    "Exits with 0 if no digest contradicts the file, 1 if the file is not what was "
    "written, 2 if it cannot be read.",
)
@options.path_argument("file")
@options.format_option("--from", "from_", "The format of FILE; by default found by its content.")
@options.trusted
@options.format_options
@options.as_json
def command(file: str, *, from_: str | None, trusted: bool, as_json: bool, **given: Any) -> int:
    """Check that FILE is still as it was written."""
    from snnbridge.bridge import check_file

    asked = {**options.parse(given["options"]), **options.flags()}
    found = check_file(file, format=from_, options=asked, trusted=trusted)
    if as_json:
        render.print_json(found.as_json())
    else:
        _print(found)
    return 0 if found.is_sound else 1


def _print(found: FileCheck) -> None:
    render.paragraph(f"{found.path} ({found.format}): {found.finding}")
    render.paragraph(f"  {found.message}")
    for file in found.files:
        render.line(f"  {file.name}, {file.size:,} bytes, sha256")
        render.line(f"    {file.sha256}")
    for note in found.notes:
        render.paragraph(f"note: {note}")
