"""Rockpool's modules as layers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from snnbridge import (
    UNKNOWN,
    Connection,
    Layer,
    Linear,
    Neuron,
    Opaque,
    Origin,
    Quantity,
    ReadError,
    SNNCheckpoint,
    SourceInfo,
    rules,
)
from snnbridge.document import WITH_TAIL
from snnbridge_plugins.module_keys import keys_of
from snnbridge_plugins.rockpool.values import Modules, number

NAME = "rockpool"
#: The number and the class in a module's name.
NUMBERED = re.compile(r"([0-9]+)_([A-Za-z]\w*)")
#: What every module of a class has that changes nothing in what it computes.
USUAL: Mapping[str, Mapping[str, Any]] = {
    "LIFTorch": {"noise_std": 0.0, "learning_window": 0.5, "spike_generation_fn": None},
    "LIFNeuronTorch": {"noise_std": 0.0, "learning_window": 0.5, "spike_generation_fn": None},
    "ExpSynTorch": {"noise_std": 0.0},
    "LinearTorch": {},
}
#: By class, the keys by which a module is known whatever its name is; it has no others than these
#: and those that the class has beside.
_KNOWN_BY = {
    "LIFTorch": {"leak_mode", "_has_rec", "w_rec", "threshold", "max_spikes_per_dt"},
    "LIFNeuronTorch": {"tau_mem", "threshold", "max_spikes_per_dt"},
    "ExpSynTorch": {"tau", "dt"},
    "LinearTorch": {"weight"},
}
_BESIDE = {"dt", "n_neurons", "leak_mode", "max_spikes_per_dt"}


@dataclass(slots=True)
class Unit:
    """One module: its layers in the order in which they feed each other, and what is left."""

    layers: list[Layer]
    left: dict[str, Any] = field(default_factory=dict)
    recurrent: Linear | None = None
    takes: int | None = None
    gives: int | None = None


def checkpoint_of(modules: Modules) -> SNNCheckpoint:
    """Return the modules of a file as a checkpoint.

    Raises
    ------
    CheckpointError
        If their arrays do not fit each other.
    """
    found = dict(_units(modules))
    layers = [layer for unit in found.values() for layer in _all(unit)]
    chain = _is_sequential(modules, found)
    if chain:
        layers = [_sized(layer, found) for layer in layers]
    dt: Any = next((layer.dt for layer in layers if layer.dt is not None), UNKNOWN)
    if all(layer.dt in (None, dt) for layer in layers):
        layers = [replace(layer, dt=None) for layer in layers]
    else:
        dt = UNKNOWN
    notes = [] if chain else ["the file does not say which module feeds which"]
    if named := [name for name in found if not NUMBERED.fullmatch(name.rpartition(".")[2])]:
        notes += _told_by_keys(named, found)
    left = {name: unit.left for name, unit in found.items() if unit.left}
    return SNNCheckpoint(
        layers,
        connections=_connections(found) if chain else UNKNOWN,
        dt=dt,
        extras=_layout(left, own_names=bool(named)),
        source=SourceInfo(framework=NAME, notes=tuple(notes)),
    )


def _layout(left: Mapping[str, Any], *, own_names: bool) -> dict[str, Any]:
    layout = ({"left": left} if left else {}) | ({"own_names": True} if own_names else {})
    return {NAME: layout} if layout else {}


def _told_by_keys(named: Iterable[str], found: Mapping[str, Unit]) -> Iterator[str]:
    """Say which modules two classes keep alike."""
    alike = [name for name in named if any(_may_be_shifted(x) for x in found[name].layers)]
    if alike:
        yield (
            f"{', '.join(alike)}: Rockpool's LIFTorch and LIFBitshiftTorch keep the same keys; "
            "read as LIFTorch"
        )


def _may_be_shifted(layer: Layer) -> bool:
    neuron = isinstance(layer, Neuron) and layer.origin == Origin(NAME, "LIFTorch")
    return neuron and "tau" in layer.parameters


def _all(unit: Unit) -> list[Layer]:
    return [*unit.layers, *([unit.recurrent] if unit.recurrent else ())]


def _units(modules: Modules, above: str = "") -> Iterator[tuple[str, Unit]]:
    """Give the modules in the order of their numbers: a file has them in that of a set."""
    for name in sorted(modules, key=_number):
        held, path = modules[name], f"{above}{name}"
        if not isinstance(held, dict):
            yield path, Unit([Opaque(path, settings={"value": held})])
        elif held and all(isinstance(value, dict) for value in held.values()):
            yield from _units(held, f"{path}.")
        else:
            yield path, _unit(path, _class_of(name, held), held)


def _class_of(name: str, held: Mapping[str, Any]) -> str:
    """Return the class of a module: the one in its name, or that which has its keys, if any."""
    match = NUMBERED.fullmatch(name)
    if match:
        return match[2]
    return next((x for x, keys in _KNOWN_BY.items() if keys <= {*held} <= _keys(x)), "")


def _keys(kind: str) -> set[str]:
    """Return all keys that a module of a class may have."""
    row = keys_of(NAME, kind)
    own = {"bias"} if row is None else {*row.parameters, *USUAL[kind], *_BESIDE}
    return {*own, *_KNOWN_BY[kind]}


def _number(name: str) -> tuple[int, str]:
    match = NUMBERED.fullmatch(name)
    return (int(match[1]) if match and len(match[1]) < 10 else 10**9, name)


def _unit(name: str, kind: str, held: dict[str, Any]) -> Unit:
    if kind == "LinearTorch" and _is_turned(held):
        return _linear(name, held)
    if keys_of(NAME, kind) is None or held.get("noise_std", 0.0) != 0.0:
        return _opaque(name, kind, held)  # noise is in no rule
    return _dynamic(name, kind, dict(held))


def _is_turned(held: Mapping[str, Any]) -> bool:
    """Whether a module is a matrix (in, out), and its bias, if any, is as long."""
    weight, bias = held.get("weight"), held.get("bias")
    if not isinstance(weight, np.ndarray) or weight.ndim != 2:
        return False
    return not isinstance(bias, np.ndarray) or bias.shape == weight.shape[1:]


def _opaque(name: str, kind: str, held: Mapping[str, Any]) -> Unit:
    arrays = {key: value for key, value in held.items() if isinstance(value, np.ndarray)}
    rest = {key: value for key, value in held.items() if key not in arrays}
    return Unit([Opaque(name, dict[str, Any](arrays), rest, origin=Origin(NAME, kind or "?"))])


def _linear(name: str, held: Mapping[str, Any]) -> Unit:
    weight, bias = held["weight"], held.get("bias")
    bias = bias if isinstance(bias, np.ndarray) else None
    left = {key: x for key, x in held.items() if key not in ("weight", "bias")}
    if "bias" in held and bias is None:
        left["bias"] = held["bias"]
    layer = Linear(name, weight.T, bias, origin=Origin(NAME, "LinearTorch"))
    return Unit([layer], left, takes=weight.shape[0], gives=weight.shape[1])


def _dynamic(name: str, kind: str, held: dict[str, Any]) -> Unit:
    row = keys_of(NAME, kind)
    assert row is not None
    neurons, receptors = _sizes(held)
    arguments: dict[str, Any] = {} if neurons is None else {"shape": (neurons,)}
    for key, place in row.parameters.items():
        if held.get(key) is not None:
            one = place.startswith("synapse.") and receptors == 1
            arguments[key] = _parameter(f"{name}.{key}", held.pop(key), tail=one)
    arguments |= _switches(name, kind, held)
    recurrent = None
    if held.pop("_has_rec", False) and isinstance(held.get("w_rec"), np.ndarray):
        recurrent = Linear(f"{name}.recurrent", held.pop("w_rec").T)
    known = rules.get(NAME, kind)
    more = {} if known.synapse is None else {"receptors": receptors}
    dt = _time_step(name, held.pop("dt", None))
    layers = [replace(layer, dt=dt) for layer in known.chain(name, **more, **arguments)]
    held.pop("n_neurons", None)
    left = {k: v for k, v in held.items() if k not in USUAL[kind] or USUAL[kind][k] != v}
    left.pop("w_rec", None)
    sizes = (None, None) if neurons is None else (neurons * receptors, neurons)
    return Unit(layers, left, recurrent, *sizes)


def _switches(name: str, kind: str, held: dict[str, Any]) -> dict[str, Any]:
    """Take what is no parameter and decides on the rule."""
    if kind == "ExpSynTorch":
        return {}
    mode, most = held.pop("leak_mode", "taus"), held.pop("max_spikes_per_dt", 65536.0)
    if mode not in ("taus", "decays", "bitshifts"):
        raise ReadError(f"{name!r} has the leak_mode {mode!r}")
    if type(most) not in (int, float) or not 0 < most < 2**63:
        raise ReadError(f"{name!r} has the max_spikes_per_dt {most!r}")
    return {"leak_mode": mode, "max_spikes_per_dt": most}


def _time_step(name: str, value: Any) -> Quantity | None:
    if value is None:
        return None
    if type(value) not in (int, float) or not 0 < value < float("inf"):
        raise ReadError(f"{name!r} has the time step {value!r}; expected seconds")
    return Quantity(float(value), "s")


def _sizes(held: Mapping[str, Any]) -> tuple[int | None, int]:
    """Return the number of neurons, and of synapses that each of them has."""
    w_rec, neurons = held.get("w_rec"), held.get("n_neurons")
    if isinstance(w_rec, np.ndarray) and w_rec.ndim == 2 and w_rec.size:
        return w_rec.shape[0], w_rec.shape[1] // w_rec.shape[0]
    lists = (held.get(key) for key in ("threshold", "bias", "tau_mem", "alpha", "dash_mem", "tau"))
    counts = {len(x) for x in lists if isinstance(x, np.ndarray) and x.ndim == 1}
    if type(neurons) is int:
        counts.add(neurons)
    return (counts.pop() if len(counts) == 1 else None), 1


def _parameter(where: str, value: Any, *, tail: bool) -> Any:
    if not isinstance(value, float | int | np.ndarray):
        raise ReadError(f"{where!r} is no number, and no array of numbers: {value!r:.60}")
    array = number(value)
    return WITH_TAIL.held(array) if tail and array.ndim == 2 and array.shape[1] == 1 else array


def _is_sequential(modules: Modules, found: Mapping[str, Unit]) -> bool:
    """Whether the modules can be nothing but a Sequential.

    A Residual names its modules alike, but what it gives is of the size that it takes.
    """
    numbers = [_number(name)[0] for name in found]
    if not found or set(found) != set(modules) or numbers != list(range(len(found))):
        return False
    sizes = [(unit.takes, unit.gives) for unit in found.values()]
    takes = next((x for x, _ in sizes if x is not None), None)
    gives = next((x for _, x in reversed(sizes) if x is not None), None)
    return takes is not None and gives is not None and takes != gives


def _sized(layer: Layer, found: Mapping[str, Unit]) -> Layer:
    """Give a module without arrays the size of what feeds it."""
    if getattr(layer, "shape", None) is not UNKNOWN or layer.name not in found:
        return layer
    before = list(found)[: list(found).index(layer.name)]
    size = next((found[name].gives for name in reversed(before) if found[name].gives), None)
    return layer if size is None else replace(layer, shape=(size,))  # type: ignore[call-arg]


def _connections(found: Mapping[str, Unit]) -> tuple[Connection, ...]:
    """Connect the modules in turn; what is fed back is added last, as Rockpool does."""
    chain = [layer.name for unit in found.values() for layer in unit.layers]
    edges = [Connection(a, b) for a, b in pairwise(chain)]
    for unit in found.values():
        if unit.recurrent is not None:
            edges.append(Connection(unit.layers[-1].name, unit.recurrent.name, 1))
            edges.append(Connection(unit.recurrent.name, unit.layers[0].name))
    return tuple(edges)
