"""Side files: what a checkpoint's file does not say, stated by its owner.

A spec is TOML or JSON. Its keys at the top::

    dt = "1.0 ms"                     # or "per step"
    chains = [["fc1", "lif1", "fc2"]] # each name feeds the next
    connections = [["lif1", "fc1", 1]]# further edges: source, target, delay in steps
    version = "2.8.2"                 # of the framework that wrote the file
    frozen_layers = ["fc1"]

    [layers.lif1]                     # by the layer's name
    tau = 10.0                        # the framework's own arguments; its own units
    V_th = 1.0

Any other key at the top states an argument for every layer whose class has it. A layer that the
file does not hold, because it has no arrays, is added by stating its ``kind``. The value ``"?"``
states nothing, so that a skeleton is a valid spec. ``defaults = true``, at the top or in a layer,
takes the framework's own defaults for what is not stated.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from snnbridge import rules
from snnbridge.errors import CheckpointError, SpecError
from snnbridge.model import (
    KINDS,
    PER_STEP,
    UNKNOWN,
    Connection,
    Input,
    Layer,
    Linear,
    Neuron,
    Opaque,
    Origin,
    Parameter,
    Quantity,
    Shape,
    SNNCheckpoint,
    Synapse,
)
from snnbridge.rules import FrameworkClass
from snnbridge.spec.skeleton import skeleton

__all__ = ["Spec", "apply", "load", "skeleton"]

Spec = Mapping[str, Any]
_UNSTATED = "?"
_TOP = ("dt", "chains", "connections", "version", "frozen_layers", "layers", "defaults")


def load(path: str | Path) -> dict[str, Any]:
    """Read a spec file, TOML or JSON.

    Raises
    ------
    SpecError
        If it is neither, or too large.
    """
    path = Path(path)
    if path.stat().st_size > 16 << 20:
        raise SpecError(f"{path}: a spec of more than 16 MiB; is it the checkpoint itself?")
    try:
        text = path.read_bytes().decode("utf-8")
        if path.suffix == ".json" or text.lstrip().startswith("{"):
            found = json.loads(text)
        else:
            found = tomllib.loads(text)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise SpecError(f"{path}: neither TOML nor JSON: {error}") from error
    if not isinstance(found, dict):
        raise SpecError(f"{path}: expected a table at the top, found {type(found).__name__}")
    return found


def apply(checkpoint: SNNCheckpoint, spec: Spec) -> SNNCheckpoint:
    """Return the checkpoint with what the spec states.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
        Stays as it is.
    spec : mapping
        As :func:`load` returns it; the module's text has the keys.

    Raises
    ------
    SpecError
        For a layer, an argument or a value that does not fit, naming it.

    Examples
    --------
    >>> from snnbridge import Neuron, Origin, SNNCheckpoint, spec
    >>> bare = SNNCheckpoint([Neuron("lif", origin=Origin("brainpy", "Lif"))])
    >>> stated = spec.apply(bare, {"dt": "0.1 ms", "layers": {"lif": {"tau": 5.0}}})
    >>> stated.layers["lif"].parameters["tau"], stated.dt
    (Parameter(5.0 ms), Quantity(value=0.1, unit='ms'))
    """
    layers = dict(checkpoint.layers)
    stated = _table(spec.get("layers", {}), "layers")
    for name, table in stated.items():
        if name not in layers:
            layers[name] = _new_layer(name, _table(table, f"layers.{name}"))
    shared = {key: value for key, value in spec.items() if key not in _TOP}
    _check_shared(shared, layers)
    for name, layer in layers.items():
        layers[name] = _apply_layer(layer, _table(stated.get(name, {}), name), shared, spec)
    connections = _connections(spec, checkpoint)
    if connections is not UNKNOWN:
        layers = _infer_shapes(layers, connections)
    try:
        return replace(
            checkpoint,
            layers=layers,
            connections=connections,
            dt=_time_step(spec["dt"]) if _states(spec, "dt") else checkpoint.dt,
            frozen_layers=spec.get("frozen_layers", checkpoint.frozen_layers),
            state=_state(checkpoint, layers),
        )
    except CheckpointError as error:
        raise SpecError(f"the spec does not fit the checkpoint: {error}") from error


def _states(table: Spec, key: str) -> bool:
    return key in table and table[key] != _UNSTATED and table[key] != [[_UNSTATED]]


def _table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise SpecError(f"{where} must be a table, found {value!r}")
    return {key: held for key, held in value.items() if held != _UNSTATED}


def _new_layer(name: str, table: Spec) -> Layer:
    kind = KINDS.get(table.get("kind", ""))
    if kind is None:
        raise SpecError(
            f"the checkpoint has no layer {name!r}; to add one without arrays, state its kind, "
            f"one of {', '.join(KINDS)}"
        )
    return kind(name)


def _check_shared(shared: Spec, layers: Mapping[str, Layer]) -> None:
    known = {key for layer in layers.values() if (c := rules.of(layer)) for key in c.arguments}
    for key in shared:
        if key not in known:
            raise SpecError(f"{key!r} is neither a key of a spec nor an argument of any layer")


def _apply_layer(layer: Layer, table: dict[str, Any], shared: Spec, spec: Spec) -> Layer:
    kind = table.pop("kind", layer.kind)
    own_class = table.pop("class", None)
    if layer.origin is not None and _states(spec, "version"):
        layer = replace(layer, origin=replace(layer.origin, version=str(spec["version"])))
    if own_class is not None:
        layer = _as_class(layer, own_class)
    elif kind != layer.kind:
        raise SpecError(f"layer {layer.name!r} is a {layer.kind}, not a {kind!r}")
    defaults = table.pop("defaults", spec.get("defaults", False))
    own = {key: _value(held) for key, held in table.items()}
    found = rules.of(layer)
    if found is None:
        return _apply_fields(layer, own)
    usual = {key: value for key, value in shared.items() if key in found.arguments}
    start = _unstated_defaults(layer, found) if defaults is True else {}
    stated = {**start, **usual, **own}
    try:
        return found.state(layer, stated) if stated else layer
    except CheckpointError as error:
        raise SpecError(str(error)) from error


def _unstated_defaults(layer: Layer, found: FrameworkClass) -> dict[str, Any]:
    """Return the framework's defaults, but for what the checkpoint states already."""
    held = {name for name, p in layer.parameters.items() if p.value is not UNKNOWN}
    return {
        key: value
        for key, value in found.defaults().items()
        if found.arguments[key].parameter not in held
    }


def _as_class(layer: Layer, kind: str) -> Layer:
    framework = layer.origin.framework if layer.origin else ""
    found = rules.get(framework, kind)
    origin = Origin(framework, kind, layer.origin.version if layer.origin else UNKNOWN)
    if isinstance(layer, found.layer):
        return replace(layer, origin=origin)
    if not isinstance(layer, Opaque):
        raise SpecError(
            f"layer {layer.name!r} is a {layer.kind}; {kind} is a {found.layer.__name__}"
        )
    known = {f.name for f in fields(found.layer)}
    unfit = [name for name in layer.parameters if name not in known]
    if unfit:
        raise SpecError(f"layer {layer.name!r}: {kind} has no array {unfit[0]!r}")
    arrays: dict[str, Any] = dict(layer.parameters)
    return found.layer(layer.name, origin=origin, **arrays)


def _apply_fields(layer: Layer, own: dict[str, Any]) -> Layer:
    """Set the fields and parameters of a layer that no framework's class describes."""
    known = {f.name for f in fields(layer)} - {"name", "origin", "parameters"}
    parameters = {key: value for key, value in own.items() if key not in known}
    changes = {key: value for key, value in own.items() if key in known}
    if "rule" in changes:
        changes["rule"] = _rule(layer, changes["rule"])
    if parameters:
        if not isinstance(layer, Neuron | Synapse | Opaque):
            raise SpecError(
                f"layer {layer.name!r} ({layer.kind}) has no {next(iter(parameters))!r}; "
                f"expected some of {', '.join(sorted(known))}"
            )
        changes["parameters"] = {**layer.parameters, **parameters}
    try:
        return replace(layer, **changes)
    except CheckpointError as error:
        raise SpecError(str(error)) from error


def _rule(layer: Layer, table: Any) -> Any:
    from snnbridge.document import switches

    if not isinstance(layer, Neuron | Synapse):
        raise SpecError(f"layer {layer.name!r} ({layer.kind}) has no rule")
    choices = switches(type(layer.rule))
    stated: dict[str, Any] = {}
    for key, value in _table(table, "rule").items():
        if key not in choices:
            raise SpecError(f"layer {layer.name!r}: no switch {key!r}; one of {', '.join(choices)}")
        enumeration = choices[key]
        if enumeration is None:
            stated[key] = value
            continue
        try:
            stated[key] = enumeration(value)
        except ValueError:
            expected = ", ".join(repr(x.value) for x in enumeration)
            raise SpecError(
                f"layer {layer.name!r}: {key} must be one of {expected}, not {value!r}"
            ) from None
    return replace(layer.rule, **stated)


def _value(held: Any) -> Any:
    """Read ``"10 ms"`` as a parameter with a unit, lists as tuples, all else as it is."""
    if isinstance(held, str):
        number, _, unit = held.partition(" ")
        try:
            return Parameter(float(number), unit.strip() or None)
        except ValueError:
            return held
    return tuple(_value(x) for x in held) if isinstance(held, list) else held


def _time_step(value: Any) -> Any:
    if value == "per step":
        return PER_STEP
    held = _value(value)
    if isinstance(held, Parameter) and held.unit and held.value is not UNKNOWN:
        quantity = Quantity(float(held.value), held.unit)
        if quantity.seconds > 0:
            return quantity
    raise SpecError(f'dt must be like "0.1 ms" or "per step", not {value!r}')


def _connections(spec: Spec, checkpoint: SNNCheckpoint) -> Any:
    if not _states(spec, "chains") and not _states(spec, "connections"):
        return checkpoint.connections
    edges: list[Connection] = []
    for chain in _lists(spec, "chains"):
        edges += [Connection(a, b) for a, b in pairwise(chain)]
    for edge in _lists(spec, "connections"):
        if len(edge) not in (2, 3):
            raise SpecError(f"a connection is [source, target] or with a delay, not {edge!r}")
        edges.append(Connection(*edge))
    return tuple(edges)


def _lists(spec: Spec, key: str) -> list[list[Any]]:
    value = spec.get(key, [])
    if not isinstance(value, list) or not all(isinstance(x, list) for x in value):
        raise SpecError(f"{key} must be a list of lists of layer names, found {value!r}")
    return value if _states(spec, key) else []


def _infer_shapes(
    layers: Mapping[str, Layer], connections: tuple[Connection, ...]
) -> dict[str, Layer]:
    """Give neurons and synapses the shape of what feeds them; one value each is no guess."""
    found = dict(layers)
    changed = True
    while changed:
        changed = False
        for edge in connections:
            source, target = found.get(edge.source), found.get(edge.target)
            shape = _shape_of(source)
            if (
                shape is not None
                and isinstance(target, Neuron | Synapse)
                and (target.shape is UNKNOWN)
            ):
                found[edge.target] = replace(target, shape=shape)
                changed = True
    return found


def _shape_of(layer: Layer | None) -> Shape | None:
    if isinstance(layer, Linear) and layer.size[1] is not None:
        return (layer.size[1],)
    if isinstance(layer, Input | Neuron | Synapse) and layer.shape is not UNKNOWN:
        return layer.shape
    return None


def _state(checkpoint: SNNCheckpoint, layers: Mapping[str, Layer]) -> Any:
    """Name the batch axis of states whose shape is that of the layer and one axis more."""
    found = dict(checkpoint.state)
    for path, variable in found.items():
        shape = _shape_of(layers[path[0]])
        if shape is None or variable.batch_axis is not UNKNOWN:
            continue
        if variable.value.shape == shape:
            found[path] = replace(variable, batch_axis=None)
        elif variable.value.shape[1:] == shape:
            found[path] = replace(variable, batch_axis=0)
    return found
