"""The framework's class of a layer, where the file does not tell it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from snnbridge import rules
from snnbridge.errors import SpecError
from snnbridge.model import UNKNOWN, Layer, Neuron, Opaque, Origin
from snnbridge.spec.values import short


def with_class(layer: Layer, stated: Mapping[str, Any], where: str) -> Layer:
    """Return a layer as one of the class, and of the kind, that a spec states.

    Parameters
    ----------
    layer : Layer
    stated : mapping
        Its table; ``class`` is a class of its framework, or of another as ``snntorch.Leaky``.
    where : str

    Raises
    ------
    SpecError
        For a class that is not known, or that the layer cannot be of.
    """
    if "class" in stated:
        return _as_class(layer, stated["class"], where)
    if stated.get("kind", layer.kind) != layer.kind:
        raise SpecError(f"{where} is a {layer.kind}, not a {short(stated['kind'])}")
    return layer


def _as_class(layer: Layer, name: Any, where: str) -> Layer:
    framework, kind = _parted(layer, name, where)
    found = rules.get(framework, kind)
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
    return _from_opaque(layer, found.layer, origin, where)


def _parted(layer: Layer, name: Any, where: str) -> tuple[str, str]:
    """Part "snntorch.Leaky"; a name alone is a class of the layer's own framework."""
    if not isinstance(name, str):
        raise SpecError(f"{where}: class must be a name, not {short(name)}")
    framework, dot, kind = name.partition(".")
    if dot and any(framework == known for known, _ in rules.classes):
        return framework, kind
    if layer.origin is None:
        raise SpecError(
            f"{where}: class must name the framework too, like 'brainpy.{name}', for the file does "
            "not"
        )
    return layer.origin.framework, name


def _from_opaque(layer: Opaque, kind: type[Layer], origin: Origin, where: str) -> Layer:
    known = {f.name for f in fields(kind)} - {"name", "origin", "dt"}
    unfit = [name for name in layer.parameters if name not in known]
    if unfit:
        expected = ", ".join(sorted(known))
        raise SpecError(
            f"{where}: {origin.kind} has no array {unfit[0]!r}, expected some of {expected}; "
            "if the format has an option for classes, read the file with it"
        )
    arrays: dict[str, Any] = dict(layer.parameters)
    return kind(layer.name, origin=origin, **arrays)
