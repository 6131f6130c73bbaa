"""``snnbridge formats``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from snnbridge.cli import options, render

if TYPE_CHECKING:
    from snnbridge.formats import Format


@click.command(name="formats", epilog="Example:\n\n  snnbridge formats --json")
@click.option("-v", "--verbose", is_flag=True, help="Show also options and what is not held.")
@options.as_json
def command(*, verbose: bool, as_json: bool) -> None:
    """List every format that is installed, and what it can do."""
    from snnbridge.registry import default

    registry = default()
    if as_json:
        render.print_json([_as_json(f, registry.distributions[f.name]) for f in registry])
        return
    render.print_table(
        ("format", "suffixes", "can", "from", "what it is"),
        [
            (f.name, " ".join(f.suffixes), _can(f), registry.distributions[f.name], f.summary)
            for f in registry
        ],
    )
    if verbose:
        for found in registry:
            _print_details(found)


def _can(format: Format) -> str:
    able = (("read", format.read), ("write", format.write), ("run", format.run))
    return ", ".join(name for name, function in able if function is not None)


def _print_details(format: Format) -> None:
    from snnbridge.formats import Feature

    absent = [feature.value for feature in Feature if feature not in format.holds]
    click.echo(f"\n{format.name}: does not hold {', '.join(absent) or 'nothing: it holds all'}")
    for option in format.options:
        choices = f" ({', '.join(option.choices)})" if option.choices else ""
        click.echo(f"  -o {option.name}=...  {option.help}{choices}")


def _as_json(format: Format, distribution: str) -> dict[str, Any]:
    return {
        "name": format.name,
        "summary": format.summary,
        "suffixes": list(format.suffixes),
        "reads": format.read is not None,
        "writes": format.write is not None,
        "runs": format.run is not None,
        "holds": sorted(feature.name.lower() for feature in format.holds),
        "holds_bare": sorted(feature.name.lower() for feature in format.holds_bare),
        "options": {option.name: option.help for option in format.options},
        "needs": list(format.needs),
        "distribution": distribution,
    }
