"""``snnbridge formats``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from snnbridge.cli import options, render

if TYPE_CHECKING:
    from snnbridge.formats import Format, Option


@click.command(name="formats", epilog="Example:\n\n  snnbridge formats --json")
@click.option(
    "-v", "--verbose", is_flag=True, help="Also show options, and what a format cannot hold."
)
@options.as_json
def command(*, verbose: bool, as_json: bool) -> None:
    """List every format that is installed, and what it can do."""
    from snnbridge.registry import default

    registry = default()
    if as_json:
        render.print_json([_as_json(f, registry.distributions[f.name]) for f in registry])
        return
    render.print_table(
        ("format", "suffixes", "can", "what it is"),
        [(f.name, " ".join(f.suffixes), _can(f), f.summary) for f in registry],
    )
    if verbose:
        for found in registry:
            _print_details(found, registry.distributions[found.name])


def _can(format: Format) -> str:
    able = (("read", format.read), ("write", format.write), ("run", format.run))
    return ", ".join(name for name, function in able if function is not None)


def _print_details(format: Format, distribution: str) -> None:
    from snnbridge.formats import Feature

    absent = [feature.value for feature in Feature if feature not in format.holds]
    render.line("")
    render.paragraph(
        f"{format.name}: does not hold {', '.join(absent)}"
        if absent
        else f"{format.name}: holds all"
    )
    engine = f", run by {format.engine}" if format.engine else ""
    render.paragraph(f"  from {distribution}{engine}")
    for option in format.options:
        render.paragraph(f"  --{option.name.replace('_', '-')}: {_words(option)}", indent="      ")


def _words(option: Option) -> str:
    choices = f" ({', '.join(option.choices)})" if option.choices else ""
    when = "" if option.direction == "both" else f"{option.direction}: "
    return f"{when}{option.help}{choices}"


def _as_json(format: Format, distribution: str) -> dict[str, Any]:
    return {
        "name": format.name,
        "summary": format.summary,
        "suffixes": list(format.suffixes),
        "reads": format.read is not None,
        "writes": format.write is not None,
        "runs": format.run is not None,
        "engine": format.engine,
        "holds": sorted(feature.name.lower() for feature in format.holds),
        "holds_bare": sorted(feature.name.lower() for feature in format.holds_bare),
        "options": [
            {
                "name": option.name,
                "help": option.help,
                "choices": list(option.choices),
                "direction": option.direction,
            }
            for option in format.options
        ],
        "needs": list(format.needs),
        "distribution": distribution,
    }
