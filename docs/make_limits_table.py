"""Writes the table of limits in docs/safety.md; the tests check that it is today's."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from snnbridge.storage import Limits

PAGE = Path(__file__).with_name("safety.md")
START, END = "<!-- limits -->\n", "<!-- end of the limits -->\n"


def table() -> str:
    """Return the table: each limit, what it bounds, its value, and whether trust lifts it."""
    usual, trusted, words = Limits(), Limits().trusted(), _explained()
    rows = [
        f"| `{field.name}` | {shown(getattr(usual, field.name))} "
        f"| {'yes' if getattr(usual, field.name) != getattr(trusted, field.name) else 'no'} "
        f"| {words[field.name]} |\n"
        for field in fields(Limits)
    ]
    head = "| limit | value | lifted | bounds |\n|---|---|---|---|\n"
    return f"{START}\n{head}{''.join(rows)}\n{END}"


def shown(value: int) -> str:
    """Show a number as people write it."""
    for power, unit in ((48, ""), (20, " Mi")):
        if value >= 1 << power and value % (1 << power) == 0:
            return f"2^{power}" if not unit else f"{value >> power}{unit}"
    return f"{value:,}"


def _explained() -> dict[str, str]:
    """Return what the class says about each of its attributes."""
    text = (Limits.__doc__ or "").partition("Attributes\n")[2].partition("Examples\n")[0]
    found: dict[str, str] = {}
    for names, words in re.findall(r"^    (\w[\w, ]*)\n((?:        .*\n)+)", text, re.MULTILINE):
        for name in names.split(", "):
            found[name] = " ".join(words.split()).replace("``", "`").rstrip(".")
    return found


def page() -> str:
    """Return the page with the table of today."""
    text = PAGE.read_text(encoding="utf-8")
    return text[: text.index(START)] + table() + text[text.index(END) + len(END) :]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
