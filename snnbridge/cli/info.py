"""``snnbridge info``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from snnbridge.cli import options, render

if TYPE_CHECKING:
    from snnbridge.model import Layer, SNNCheckpoint


@click.command(
    name="info",
    epilog="Examples:\n\n  snnbridge info trained.bp\n\n  snnbridge info model.npz --json",
)
@options.path_argument("file")
@options.format_option("--from", "from_", "The format of FILE; found by its content otherwise.")
@options.spec
@options.format_options
@options.as_json
def command(
    file: str, *, from_: str | None, spec: str | None, options: tuple[str, ...], as_json: bool
) -> None:
    """Show the layers of FILE, and what the file does not say."""
    from snnbridge.bridge import read
    from snnbridge.cli.options import parse

    checkpoint = read(file, format=from_, spec=spec, options=parse(options))
    if as_json:
        render.print_json(describe(checkpoint))
    else:
        _print(checkpoint)


def describe(checkpoint: SNNCheckpoint) -> dict[str, Any]:
    """Return everything that ``info`` shows, as JSON values."""
    from snnbridge.model import UNKNOWN, SourceInfo

    info = checkpoint.source or SourceInfo()
    connections = checkpoint.connections
    return {
        "path": info.path,
        "format": info.format,
        "dialect": info.dialect,
        "framework": _plain(info.framework),
        "framework_version": _plain(info.framework_version),
        "layers": [_layer(checkpoint, layer) for layer in checkpoint.layers.values()],
        "connections": None
        if connections is UNKNOWN
        else [[c.source, c.target, _plain(c.delay)] for c in connections],
        "dt": _plain(checkpoint.dt),
        "training": list(checkpoint.training),
        "metadata": checkpoint.metadata,
        "frozen_layers": checkpoint.frozen_layers,
        "total_params": checkpoint.total_params,
        "unknown": [".".join(path) for path in checkpoint.unknown()],
        "notes": list(info.notes),
        "provenance": checkpoint.provenance,
        "digest": _digest(info.path),
    }


def _digest(path: str) -> str | None:
    from pathlib import Path

    from snnbridge.storage import Source

    return None if not path or Path(path).is_dir() else f"sha256:{Source(path).digest()}"


def _plain(value: Any) -> Any:
    """Return a value as JSON shows it: None for what is not known."""
    from snnbridge.model import UNKNOWN

    if value is UNKNOWN:
        return None
    return value if isinstance(value, int | str | type(None)) else _words(value)


def _words(value: Any) -> str:
    from snnbridge.model import PER_STEP

    return "per step" if value is PER_STEP else str(value)


def _layer(checkpoint: SNNCheckpoint, layer: Layer) -> dict[str, Any]:
    return {
        "name": layer.name,
        "kind": layer.kind,
        "class": layer.origin.kind if layer.origin else None,
        "parameters": {name: _parameter(held) for name, held in layer.parameters.items()},
        "state": {
            path[1]: {"shape": list(held.value.shape), "dtype": str(held.value.dtype)}
            for path, held in checkpoint.state.items()
            if path[0] == layer.name
        },
        "frozen": layer.name in checkpoint.frozen_layers,
    }


def _parameter(held: Any) -> dict[str, Any]:
    from snnbridge.model import UNKNOWN

    if held.value is UNKNOWN:
        return {"known": False}
    found: dict[str, Any] = {
        "known": True,
        "shape": list(held.value.shape),
        "dtype": str(held.value.dtype),
        "unit": held.unit,
        "trainable": _plain(held.trainable),
    }
    if held.value.ndim == 0:
        found["value"] = str(held.value)
    return found


def _print(checkpoint: SNNCheckpoint) -> None:
    found = describe(checkpoint)
    click.echo(render.safe(found["path"]))
    made_by = " ".join(x for x in (found["framework"], found["framework_version"]) if x)
    edges = "unknown" if found["connections"] is None else str(len(found["connections"]))
    facts = {
        "format": " ".join(x for x in (found["format"], found["dialect"]) if x),
        "framework": made_by or "unknown",
        "layers": f"{len(found['layers'])}, with {found['total_params']:,} weights",
        "connections": edges,
        "time step": found["dt"] or "unknown",
        "training": ", ".join(found["training"]) or "none",
        "sha256": (found["digest"] or "none").removeprefix("sha256:"),
    }
    for name, value in facts.items():
        click.echo(f"  {name:<12} {render.safe(value)}")
    render.print_table(("layer", "kind", "parameters", "state"), _rows(checkpoint, found))
    _print_unknown(checkpoint)
    for note in found["notes"]:
        click.echo(f"note: {render.safe(note)}")
    for step in found["provenance"]:
        if isinstance(step, dict) and isinstance(step.get("source"), dict):
            made = ", ".join(f"{k} {v}" for k, v in step["source"].items())
            click.echo(f"converted by {render.safe(str(step.get('by')))} from {render.safe(made)}")


_MOST_ROWS = 200


def _rows(checkpoint: SNNCheckpoint, found: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    from snnbridge.model import UNKNOWN
    from snnbridge.model import describe as short

    rows = []
    shown = list(checkpoint.layers.values())[:_MOST_ROWS]
    for layer, facts in zip(shown, found["layers"], strict=False):
        known = [
            f"{name} {short(held.value)}{f' {held.unit}' if held.unit else ''}"
            for name, held in layer.parameters.items()
            if held.value is not UNKNOWN
        ]
        state = [
            f"{path[1]} {short(held.value)}"
            for path, held in checkpoint.state.items()
            if path[0] == layer.name
        ]
        kind = layer.kind + (f" ({facts['class']})" if facts["class"] else "")
        frozen = " [frozen]" if facts["frozen"] else ""
        rows.append((layer.name + frozen, kind, "\n".join(known), "\n".join(state)))
    if len(checkpoint.layers) > _MOST_ROWS:
        rows.append((f"... {len(checkpoint.layers) - _MOST_ROWS} more", "", "", ""))
    return rows


def _print_unknown(checkpoint: SNNCheckpoint) -> None:
    """Say, in a line for each layer, what the file does not."""
    by_owner: dict[str, list[str]] = {}
    for path in checkpoint.unknown():
        owner = path[1] if path[0] == "layers" else "the network"
        what = path[-1] if path[0] == "layers" else " ".join(path)
        by_owner.setdefault(owner, []).append(what)
    if not by_owner:
        return
    for owner, names in by_owner.items():
        by_owner[owner] = _shortened(checkpoint, owner, names)
    click.echo("The file does not say (`snnbridge spec FILE` makes a form to state it):")
    for owner, names in list(by_owner.items())[:_MOST_ROWS]:
        text = f"  {owner}: {', '.join(names)}"
        click.echo("\n".join(_folded(render.safe(text))))


def _shortened(checkpoint: SNNCheckpoint, owner: str, names: list[str]) -> list[str]:
    """Put "its rule" for all switches of a rule of which none is known."""
    rule = getattr(checkpoint.layers.get(owner), "rule", None)
    if rule is None or len(rule.unknown()) < len(type(rule)().unknown()):
        return [name.removeprefix("rule.") for name in names]
    return [name for name in names if not name.startswith("rule.")] + ["its rule"]


def _folded(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 78, initial_indent="  ", subsequent_indent="      ")
