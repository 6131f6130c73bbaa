"""The files that a verb reads: their formats, those formats' options, what they do not say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from snnbridge.cli import options
from snnbridge.errors import OptionError

if TYPE_CHECKING:
    from snnbridge.formats import Format
    from snnbridge.model import SNNCheckpoint

Direction = Literal["reading", "writing"]

#: The options of a verb that reads one file.
of_one = options.together(
    options.format_option(
        "--from", "from_", "The format of FILE; by default found by its content."
    ),
    options.spec,
    options.trusted,
    options.format_options,
)

#: The options of a verb that reads two.
of_two = options.together(
    options.format_option("--from", "from_", "The format of A; by default found by its content."),
    options.format_option(
        "--from-b", "from_b", "The format of B; by default found by its content."
    ),
    options.spec_option(
        "--spec", "spec", "States what A does not say; `snnbridge spec A` prints a form."
    ),
    options.spec_option("--spec-b", "spec_b", "States what B does not say."),
    options.trusted,
    options.format_options_of_both,
    options.format_options_b,
)


def read_one(file: str, given: Mapping[str, Any]) -> SNNCheckpoint:
    """Read a file with the options of :data:`of_one`."""
    from snnbridge.bridge import read

    return read(
        file,
        format=given["from_"],
        spec=given["spec"],
        trusted=given["trusted"],
        options={**options.parse(given["options"]), **options.flags()},
    )


def read_two(a: str, b: str, given: Mapping[str, Any]) -> tuple[SNNCheckpoint, SNNCheckpoint]:
    """Read two files with the options of :data:`of_two`."""
    left, right = options_of_two(a, b, given)
    return read_side(a, given, left), read_side(b, given, right, side="b")


def options_of_two(
    a: str, b: str, given: Mapping[str, Any]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return which of the formats' options each of two files takes.

    What is given for B alone goes before what is given for both.
    """
    asked = {**options.parse(given["options"]), **options.flags()}
    of_b = {**options.parse(given["options_b"]), **options.flags_b()}
    if not asked:
        return {}, of_b
    from snnbridge.bridge import find

    files = ((a, given["from_"]), (b, given["from_b"]))
    formats = [find(file, format=name)[1] for file, name in files]
    left, right = shared(asked, [(format, "reading") for format in formats])
    return left, {**right, **of_b}


def read_side(
    file: str, given: Mapping[str, Any], asked: Mapping[str, str], side: str = ""
) -> SNNCheckpoint:
    """Read one of two files."""
    from snnbridge.bridge import read

    return read(
        file,
        format=given["from_b" if side else "from_"],
        spec=given["spec_b" if side else "spec"],
        trusted=given["trusted"],
        options=asked,
    )


def shared(
    asked: Mapping[str, str], formats: Sequence[tuple[Format, Direction]]
) -> list[dict[str, str]]:
    """Hand each option to the formats that declare it.

    Raises
    ------
    OptionError
        For one that none of them declares.
    """
    parts = [
        {
            name: asked[name]
            for option in format.options
            if (name := option.name) in asked and option.applies(direction)
        }
        for format, direction in formats
    ]
    for name in asked:
        if not any(name in part for part in parts):
            where = " nor ".join(f"{direction} {format.name}" for format, direction in formats)
            raise OptionError(
                f"option {name!r} is neither for {where}; `snnbridge formats -v` lists them"
            )
    return parts
