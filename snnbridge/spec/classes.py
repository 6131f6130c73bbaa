"""The framework's class of a layer, where the file does not tell it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

from snnbridge import rules
from snnbridge.errors import SpecError
from snnbridge.model import (
    UNKNOWN,
    BatchNorm,
    Connection,
    Conv1d,
    Conv2d,
    Layer,
    Linear,
    Neuron,
    Opaque,
    Origin,
    Parameter,
)
from snnbridge.rules import FrameworkClass
from snnbridge.spec.values import short

#: The kinds that arrays of no known class may be of.
_WITH_ARRAYS: Mapping[Any, type[Layer]] = {
    kind.__name__: kind for kind in (Linear, Conv1d, Conv2d, BatchNorm)
}


#: Classes that run their own last spikes back into themselves.
_RECURRENT = frozenset({
    ("norse", "LIFRecurrentCell"), ("sinabs", "LIFRecurrent"), ("sinabs", "LIFRecurrentSqueeze"),
    ("sinabs", "IAFRecurrent"), ("sinabs", "IAFRecurrentSqueeze"), ("snntorch", "RLeaky"),
    ("snntorch", "RSynaptic"), ("spyx", "RLIF"), ("spyx", "RIF"), ("spyx", "RCuBaLIF"),
})  # fmt: skip


def with_class(layer: Layer, stated: Mapping[str, Any], where: str) -> Layer:
    """Return a layer as one of the class, and of the kind, that a spec states.

    Parameters
    ----------
    layer : Layer
    stated : mapping
        Its table; ``class`` is a class of its framework, or of another as ``snntorch.Leaky``, and
        ``kind`` the model's own, of a layer that is Opaque.
    where : str

    Raises
    ------
    SpecError
        For a class that is not known, or that the layer cannot be of.
    """
    if "class" in stated:
        return _as_class(layer, stated["class"], where)
    kind = stated.get("kind", layer.kind)
    if kind == layer.kind:
        return layer
    if isinstance(layer, Opaque) and kind in _WITH_ARRAYS:
        return _from_opaque(layer, _WITH_ARRAYS[kind], None, where)
    raise SpecError(f"{where} is a {layer.kind}, not a {short(kind)}")


def class_named(layer: Layer | None, name: Any, where: str) -> FrameworkClass:
    """Return the class that a spec names, of the layer's own framework where it names none.

    Parameters
    ----------
    layer : Layer, optional
        None where the spec adds it.
    name
        As the spec has it: ``"snntorch.Leaky"``, ``"Leaky"``.
    where : str

    Raises
    ------
    SpecError
        If it is no name, or none of a class that is known.
    """
    if not isinstance(name, str):
        raise SpecError(f"{where}: class must be a name, not {short(name)}")
    framework, dot, kind = name.partition(".")
    if dot and any(framework == known for known, _ in rules.classes):
        return rules.get(framework, kind)
    if layer is None or layer.origin is None:
        raise SpecError(
            f"{where}: class must name the framework too, like 'brainpy.{name}', for the file does "
            "not"
        )
    return rules.get(layer.origin.framework, name)


def _as_class(layer: Layer, name: Any, where: str) -> Layer:
    found = class_named(layer, name, where)
    framework, kind = found.framework, found.kind
    held = layer.origin
    if held is not None and rules.of(layer) is not None and held.kind != kind:
        raise SpecError(f"{where} is a {held.kind} in the file, and a {kind} in the spec")
    version = held.version if held is not None and held.framework == framework else UNKNOWN
    origin = Origin(framework, kind, version)
    if isinstance(layer, Neuron) and found.layer is Neuron:
        return replace(layer, origin=origin, model="lif")
    if isinstance(layer, found.layer):
        return replace(layer, origin=origin)
    if not isinstance(layer, Opaque):
        raise SpecError(f"{where} is a {layer.kind}; {kind} is a {found.layer.__name__}")
    return _from_opaque(layer, found.layer, origin, where, found.turned)


def _from_opaque(
    layer: Opaque,
    kind: type[Layer],
    origin: Origin | None,
    where: str,
    turned: frozenset[str] = frozenset(),
) -> Layer:
    known = {f.name for f in fields(kind)} - {"name", "origin", "dt"}
    unfit = [name for name in layer.parameters if name not in known]
    if unfit:
        expected = ", ".join(sorted(known))
        raise SpecError(
            f"{where}: {kind.__name__ if origin is None else origin.kind} has no array "
            f"{unfit[0]!r}, expected some of {expected}; "
            "if the format has an option for classes, read the file with it"
        )
    arrays: dict[str, Any] = {
        name: _turned(held) if name in turned else held for name, held in layer.parameters.items()
    }
    return kind(layer.name, origin=origin, **arrays)


def _turned(held: Parameter) -> Parameter:
    """Return an array as the model has it, a view with its axes in the other order."""
    return held if held.value is UNKNOWN else replace(held, value=held.value.T)


def refuse_open_loops(
    before: Mapping[str, Layer], after: Mapping[str, Layer], edges: Iterable[Connection]
) -> None:
    """Refuse a recurrent class for a layer of unknown kind whose spikes do not come back.

    Its recurrent weights, if the file has them, stand in what the layer was.

    Raises
    ------
    SpecError
        Naming the layer.
    """
    named = [
        (name, layer.origin.kind) for name, layer in after.items()
        if isinstance(before.get(name), Opaque) and layer.origin is not None
        and (layer.origin.framework, layer.origin.kind) in _RECURRENT
    ]  # fmt: skip
    following: dict[str, list[str]] = {}
    for edge in edges if named else ():
        following.setdefault(edge.source, []).append(edge.target)
    for name, kind in named:
        if name not in _reached(name, following):
            raise SpecError(
                f"layer {name!r}: a {kind} runs its last spikes back into itself, but the file "
                f"has no connection from {name!r} to itself, and its recurrent weights would be "
                "lost; in Python, replace the layer by the neuron, a Linear or a Scale of these "
                "weights, and connections between the two with a delay of one step"
            )


def _reached(start: str, following: Mapping[str, list[str]]) -> set[str]:
    """Return the layers that edges lead to from one, itself only where they lead back."""
    seen: set[str] = set()
    pending = [start]
    while pending:
        new = [name for name in following.get(pending.pop(), ()) if name not in seen]
        seen.update(new)
        pending += new
    return seen
