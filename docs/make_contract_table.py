"""Writes the table of docs/conformance.md from the checks; the tests check that it is today's."""

from __future__ import annotations

from pathlib import Path

from snnbridge.testing import CONTRACT, checks

PAGE = Path(__file__).with_name("conformance.md")
START, END = "<!-- checks -->\n", "<!-- end of the checks -->\n"


def table() -> str:
    """Return the table: each check, what it promises, and how many cases it has."""
    rows = [
        f"| `{check.name}` | {check.promise} | {sum(1 for _ in check.cases())} |\n"
        for check in checks()
    ]
    head = f"Contract, version {CONTRACT}:\n\n| check | promise | cases |\n|---|---|---|\n"
    return f"{START}\n{head}{''.join(rows)}\n{END}"


def page() -> str:
    """Return the page with the table of today."""
    text = PAGE.read_text(encoding="utf-8")
    return text[: text.index(START)] + table() + text[text.index(END) + len(END) :]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
