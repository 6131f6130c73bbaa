"""``snnbridge convert``."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from snnbridge.cli import options, reading, render
from snnbridge.cli.progress import Progress
from snnbridge.errors import LossyWrite

if TYPE_CHECKING:
    from snnbridge.bridge import Conversion
    from snnbridge.ledger import Entry, Ledger, Status

#: The exit code of each verdict.
CODES = {"identical": 0, "equivalent": 0, "different": 1, "indeterminate": 3, "": 0}


@click.command(
    name="convert",
    cls=options.Verb,
    epilog="Examples:\n\n"
    "  snnbridge convert trained.bp model.h5\n\n"
    "  snnbridge convert trained.bp model.npz --spec net.toml\n\n"
    "  snnbridge convert model.h5 fresh.bp --like template.bp\n\n"
    "Exits with 0 if the new file does the same, 1 if not, 2 if the conversion is "
    "refused, 3 if it cannot be told.",
)
@options.path_argument("src")
@options.path_argument("dst")
@options.format_option("--from", "from_", "The format of SRC; by default found by its content.")
@options.format_option("--to", "to", "The format of DST; by default found by its suffix.")
@options.spec
@click.option(
    "--like", metavar="FILE", type=click.Path(exists=True),
    help="Use the names and shapes of this checkpoint of the target's framework.",
)  # fmt: skip
@click.option("--bare", is_flag=True, help="Write only what the framework itself would write.")
@click.option("--allow-loss", is_flag=True, help="Convert even if something is lost.")
@click.option(
    "--force",
    is_flag=True,
    help="Also overwrite SRC with another format, and files beside DST that belong to something "
    "else.",
)
@click.option("--dry-run", is_flag=True, help="Show the ledger and the verdict, write nothing.")
@click.option("--no-verify", is_flag=True, help="Skip reading back and simulating.")
@options.trusted
@click.option(
    "--read-option", "read_options", multiple=True, metavar="NAME=VALUE",
    help="An option of SRC's format.",
)  # fmt: skip
@click.option(
    "-o", "--option", "write_options", multiple=True, metavar="NAME=VALUE",
    help="An option of DST's format. `--NAME VALUE` goes to whichever format has it.",
)  # fmt: skip
@options.as_json
def command(src: str, dst: str, *, no_verify: bool, as_json: bool, **given: Any) -> int:
    """Convert SRC to DST, and show what became of everything."""
    from snnbridge.bridge import convert

    given["read_options"], given["write_options"] = _options(src, dst, given)
    del given["like"]
    try:
        with Progress(f"{src} to {dst}") as progress:
            done = convert(src, dst, verify=not no_verify, progress=progress.update, **given)
    except LossyWrite as refused:
        if not as_json:
            _print_ledger(refused.ledger)
        else:
            ledger = refused.ledger.as_json()
            render.print_json({"verdict": "refused", "reason": str(refused), "ledger": ledger})
        raise
    if as_json:
        render.print_json(done.as_json())
    else:
        _print(done)
    return CODES[done.verdict]


def _options(src: str, dst: str, given: dict[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the options of reading and of writing; a flag goes to the format that declares it."""
    like = {"like": given["like"]} if given["like"] else {}
    to_read = options.parse(given["read_options"])
    to_write = {**options.parse(given["write_options"]), **like}
    flags = options.flags()
    if flags:
        from snnbridge.bridge import find
        from snnbridge.registry import default

        source = find(src, format=given["from_"])[1]
        target = default().get(given["to"]) if given["to"] else default().for_target(dst)
        left, right = reading.shared(flags, [(source, "reading"), (target, "writing")])
        to_read, to_write = {**to_read, **left}, {**to_write, **right}
    return to_read, to_write


def _print_ledger(ledger: Ledger) -> None:
    """Show what became of each thing; neighbours with the same reason share a row."""
    rows = [
        (status.value, render.several((entry.what for _, entry in group), 100), reason)
        for (status, reason, _), group in groupby(enumerate(ledger), key=_kinship)
    ]
    columns = 3 if any(row[2] for row in rows) else 2
    render.print_table(("becomes", "what", "why")[:columns], [row[:columns] for row in rows])


def _kinship(numbered: tuple[int, Entry]) -> tuple[Status, str, int]:
    number, entry = numbered
    return entry.status, entry.reason, -1 if entry.reason else number


def _print(done: Conversion) -> None:
    _print_ledger(done.ledger)
    for note in done.source.notes:
        render.paragraph(f"note: {note}")
    if done.files:
        render.paragraph(f"wrote {' and '.join(done.files)} ({done.target.format})")
    else:
        render.paragraph(f"would write {done.target.path} ({done.target.format}); nothing written")
    if done.verification is not None and done.verification.apart:
        render.paragraph(f"note: {done.verification.apart}")
    if done.verdict:
        render.line(f"verdict: {done.verdict} ({_meaning(done)})")


def _meaning(done: Conversion) -> str:
    if done.verdict == "identical" and not done.files:
        return "nothing that bears on behaviour would change"
    if done.verdict == "equivalent" and done.verification and done.verification.rounded:
        return "no spike differs on ordinary inputs"
    if done.verdict == "indeterminate" and not done.ledger.losses:
        return "not certain for every input; verify it on yours"
    return _MEANINGS[done.verdict]


_MEANINGS = {
    "identical": "read back and compared bit for bit",
    "equivalent": "no spike differs",
    "different": "the two networks spike differently",
    "indeterminate": "what was lost may change the spikes",
}
