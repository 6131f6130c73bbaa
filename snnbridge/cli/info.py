"""``snnbridge info``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from snnbridge.cli import options, reading, render

if TYPE_CHECKING:
    from snnbridge.model import Layer, Path, SNNCheckpoint, StateVariable

    _States = Mapping[str, list[tuple[Path, StateVariable]]]


@click.command(
    name="info",
    cls=options.Verb,
    epilog="Examples:\n\n  snnbridge info trained.bp\n\n  snnbridge info model.npz --json",
)
@options.path_argument("file")
@reading.of_one
@options.as_json
def command(file: str, *, as_json: bool, **given: Any) -> None:
    """Show the layers of FILE, and what the file does not say."""
    checkpoint = reading.read_one(file, given)
    if as_json:
        render.print_json(describe(checkpoint))
    else:
        _print(checkpoint)


def describe(checkpoint: SNNCheckpoint) -> dict[str, Any]:
    """Return everything that ``info`` shows, as JSON values."""
    from snnbridge.model import UNKNOWN, SourceInfo
    from snnbridge.spec.network import unfit

    info = checkpoint.source or SourceInfo()
    connections, states = checkpoint.connections, _states(checkpoint)
    frozen = set(checkpoint.frozen_layers)
    return {
        "path": info.path,
        "format": info.format,
        "dialect": info.dialect,
        "framework": _plain(info.framework) or _agreed(checkpoint, "framework"),
        "framework_version": _plain(info.framework_version) or _agreed(checkpoint, "version"),
        "layers": [
            {
                **_layer(layer, states if name in checkpoint.layers else {}),
                "name": name,
                "frozen": name in frozen,
            }
            for name, layer in _layers(checkpoint)
        ],
        "connections": None
        if connections is UNKNOWN
        else [[c.source, c.target, _plain(c.delay)] for c in connections],
        "dt": _plain(checkpoint.dt),
        "training": list(checkpoint.training),
        "metadata": checkpoint.metadata,
        "frozen_layers": checkpoint.frozen_layers,
        "total_params": checkpoint.total_params,
        "unfit": unfit(checkpoint),
        "unknown": [".".join(path) for path in _unknown(checkpoint)],
        "notes": list(info.notes),
        "provenance": checkpoint.provenance,
        "digest": _digest(info.path),
    }


def _layers(checkpoint: SNNCheckpoint) -> Iterator[tuple[str, Layer]]:
    """Give the layers, and those of the graphs inside as ``outer/inner``."""
    from snnbridge.spec.nesting import inner_layers

    return inner_layers(checkpoint.layers)


def _unknown(checkpoint: SNNCheckpoint) -> Iterator[Path]:
    """Give what the file does not say, of the graphs inside the graph too."""
    from snnbridge.model import UNKNOWN
    from snnbridge.spec.nesting import inner_edges
    from snnbridge.spec.network import following

    told = {("layers", *path) for path in following(checkpoint)}
    yield from (path for path in checkpoint.unknown() if path not in told)
    for name, layer in _layers(checkpoint):
        if name not in checkpoint.layers:
            yield from (("layers", name, what) for what in layer.unknown())
    own = 0 if checkpoint.connections is UNKNOWN else len(checkpoint.connections)
    for c in list(inner_edges(checkpoint.layers, checkpoint.connections))[own:]:
        if c.delay is UNKNOWN:
            yield "connections", c.source, c.target, "delay"


def _agreed(checkpoint: SNNCheckpoint, what: str) -> str | None:
    """Return what all layers of a framework say of theirs, where the file says nothing."""
    origins = [layer.origin for _, layer in _layers(checkpoint) if layer.origin]
    found = {getattr(origin, what) for origin in origins}
    return _plain(found.pop()) if len(found) == 1 else None


def _states(checkpoint: SNNCheckpoint) -> _States:
    """Return the state by its layer."""
    found: dict[str, list[tuple[Path, StateVariable]]] = {}
    for path, held in checkpoint.state.items():
        found.setdefault(path[0], []).append((path, held))
    return found


def _digest(path: str) -> str | None:
    from pathlib import Path

    from snnbridge.storage import Source

    return None if not path or Path(path).is_dir() else f"sha256:{Source(path).digest()}"


def _plain(value: Any) -> Any:
    """Return a value as JSON shows it: None for what is not known."""
    from snnbridge.model import PER_STEP, UNKNOWN

    if value is UNKNOWN:
        return None
    if value is PER_STEP:
        return "per step"
    return value if isinstance(value, int | str | None) else str(value)


def _layer(layer: Layer, states: _States) -> dict[str, Any]:
    return {
        "name": layer.name,
        "kind": layer.kind,
        "class": layer.origin.kind if layer.origin else None,
        "parameters": {name: _parameter(held) for name, held in layer.parameters.items()},
        "settings": dict(_settings(layer)),
        "state": {
            path[1]: {"shape": list(held.value.shape), "dtype": str(held.value.dtype)}
            for path, held in states.get(layer.name, ())
        },
    }


def _settings(layer: Layer) -> Iterator[tuple[str, str]]:
    """Give what an opaque layer holds beside its parameters, by dotted path."""
    pending = list(reversed(getattr(layer, "settings", {}).items()))
    while pending:
        name, held = pending.pop()
        if isinstance(held, Mapping):
            pending += [(f"{name}.{key}", held[key]) for key in reversed(held)]
        else:
            yield name, render.value(held)


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
    render.line(found["path"])
    for name, text in _facts(found).items():
        render.paragraph(f"  {name:<12} {text}", indent=" " * 15)
    render.print_table(("layer", "kind", "parameters", "state"), _rows(checkpoint))
    _print_unknown(checkpoint)
    if found["unfit"]:
        render.paragraph(f"The network cannot run: {found['unfit']}")
    for note in found["notes"]:
        render.paragraph(f"note: {note}")
    for step in found["provenance"]:
        if isinstance(step, dict) and isinstance(step.get("source"), dict):
            _print_step(step, step["source"])


def _print_step(step: Mapping[str, Any], source: Mapping[str, Any]) -> None:
    """Show one link of the chain of conversions, with the digests of its source."""
    name, *rest = (str(value) for value in source.values() if isinstance(value, str))
    render.paragraph(f"converted by {step.get('by')} from {name} ({' '.join(dict.fromkeys(rest))})")
    digests = source.get("sha256")
    for file, digest in digests.items() if isinstance(digests, dict) else ():
        render.line(f"  {file} had sha256")
        render.line(f"    {digest}")


def _facts(found: Mapping[str, Any]) -> dict[str, str]:
    made_by = " ".join(x for x in (found["framework"], found["framework_version"]) if x)
    weights = render.count(found["total_params"], "weight")
    return {
        "format": " ".join(x for x in (found["format"], found["dialect"]) if x),
        "framework": made_by or "unknown",
        "layers": f"{len(found['layers'])}, with {weights}",
        "connections": "unknown"
        if found["connections"] is None
        else str(len(found["connections"])),
        "time step": found["dt"] or "unknown",
        "training": ", ".join(found["training"]) or "none",
        "sha256": (found["digest"] or "none").removeprefix("sha256:"),
    }


def _rows(checkpoint: SNNCheckpoint) -> list[tuple[str, str, str, str]]:
    states, frozen = _states(checkpoint), set(checkpoint.frozen_layers)
    return [
        (
            _shown(name) + (" [frozen]" if name in frozen else ""),
            layer.kind + _class_of(layer),
            render.several(_known(layer)),
            render.several(
                f"{path[1]} {render.value(held.value)}" for path, held in states.get(name, ())
            ),
        )
        for name, layer in _layers(checkpoint)
    ]


def _shown(name: str) -> str:
    """Show a name; in quotes where it would not be seen."""
    return name if name == name.strip() != "" else repr(name)


def _class_of(layer: Layer) -> str:
    kind = layer.origin.kind if layer.origin else layer.kind
    return "" if kind == layer.kind else f" ({kind})"


def _known(layer: Layer) -> list[str]:
    from snnbridge.model import UNKNOWN

    parameters = [
        f"{name} {render.value(held.value)}{f' {held.unit}' if held.unit else ''}"
        for name, held in layer.parameters.items()
        if held.value is not UNKNOWN
    ]
    return parameters + [f"{name} {value}" for name, value in _settings(layer)]


def _print_unknown(checkpoint: SNNCheckpoint, most: int = 200) -> None:
    """Say, in a line for each layer, what the file does not."""
    by_owner: dict[str, list[str]] = {}
    for path in _unknown(checkpoint):
        owner = path[1] if path[0] == "layers" else "the network"
        what = path[-1] if path[0] == "layers" else " ".join(path)
        by_owner.setdefault(owner, []).append(what)
    if not by_owner:
        return
    layers = dict(_layers(checkpoint))
    render.paragraph("The file does not say (`snnbridge spec FILE` makes a form to state it):")
    for owner, names in list(by_owner.items())[:most]:
        shown = ", ".join(_shortened(layers, owner, names))
        render.paragraph(f"    {owner}: {shown}", indent=" " * 6)
    if len(by_owner) > most:
        render.line(f"    ... and {len(by_owner) - most} more; --json lists all")


def _shortened(layers: Mapping[str, Layer], owner: str, names: list[str]) -> list[str]:
    """Name parameters also as their framework does; put "its rule" for all of its switches."""
    from snnbridge import rules
    from snnbridge.spec.words import by_model_name

    layer = layers.get(owner)
    if layer is None:
        return names
    own = by_model_name(rules.of(layer))
    rule = getattr(layer, "rule", None)
    if rule is not None and len(rule.unknown()) == len(type(rule)().unknown()):
        names = [name for name in names if not name.startswith("rule.")] + ["its rule"]
    return [
        f"{name} ({own[name]})" if own.get(name, name) != name else name.removeprefix("rule.")
        for name in names
    ]
