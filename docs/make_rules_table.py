"""Write the table of all named rules into docs/dynamics.md: ``python docs/make_rules_table.py``."""

from __future__ import annotations

from pathlib import Path

from snnbridge import rules

PAGE = Path(__file__).parent / "dynamics.md"
START, END = "<!-- rules: start -->", "<!-- rules: end -->"


def table():
    """Return the table in Markdown, one section for each framework."""
    by_framework = {}
    for framework, kind in sorted(rules.classes):
        for found in rules.releases(framework, kind):
            if found.equation:
                by_framework.setdefault(framework, []).append(found)
    return "\n".join(section(name, found) for name, found in by_framework.items())


def section(framework, found):
    """Return one framework's rows."""
    lines = [f"### {framework}", "", f"Source: {found[0].source}.", ""]
    lines += ["| class | one step | its own arguments |", "|---|---|---|"]
    for one in found:
        arguments = ", ".join(f"`{name}`" for name in one.arguments)
        kind = one.release.replace(one.kind, f"`{one.kind}`", 1)
        lines.append(f"| {kind} | {escaped(one.equation)} | {arguments} |")
    return "\n".join([*lines, ""])


def escaped(equation):
    """Keep a table's bars and Markdown's signs out of an equation."""
    return "`" + equation.replace("|", "/") + "`"


def page(text):
    """Return the page's text with the table of today."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
