"""The option ``check``, the same in every format: whether to compare a file with its digests."""

from __future__ import annotations

from snnbridge import Option, Options

#: The sizes in bytes up to which files are compared unasked: all of them, small ones, none.
ALWAYS, SMALL, NEVER = 1 << 63, 16 << 20, -1

_UNASKED = {ALWAYS: "always", SMALL: "up to 16 MiB only", NEVER: "never"}


def check_option(limit: int) -> Option:
    """Return the option of a format that compares files up to a size unasked."""
    return Option(
        "check",
        f"Compare the file with the digests in it; by default {_UNASKED[limit]}.",
        ("yes", "no"),
        direction="reading",
    )


def is_to_check(options: Options, size: int, limit: int) -> bool:
    """Return whether to compare what has so many bytes, by what was asked, or else by the limit."""
    asked = options.get("check")
    return size <= limit if asked is None else asked == "yes"
