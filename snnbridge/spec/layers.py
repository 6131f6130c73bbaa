"""What a spec states of one layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from snnbridge import rules
from snnbridge.errors import SpecError
from snnbridge.model import KINDS, UNKNOWN, Layer, StateVariable
from snnbridge.rules import FrameworkClass
from snnbridge.rules.table import Evidence
from snnbridge.spec.classes import class_named, with_class
from snnbridge.spec.joint import held_words
from snnbridge.spec.settling import keep, refusal, settled
from snnbridge.spec.values import POTENTIALS, flag
from snnbridge.spec.words import Words, by_model_name, sorted_out

#: Settings of the model's layers that a spec may state for all at once.
_SETTINGS = (
    "stride", "padding", "dilation", "groups", "window", "count_padding", "order", "start", "end",
)  # fmt: skip


@dataclass
class Shared:
    """What a spec states for all layers, and what became of it.

    Attributes
    ----------
    arguments : mapping
        For every layer whose class has them.
    version : str or UNKNOWN
        Of the framework.
    defaults : bool
        Whether the framework's defaults stand for what is not stated.
    stated : int
        How many values layers took from the spec.
    taken : dict
        By framework, the arguments whose defaults were taken, in order.
    renamed : dict
        Words of the file for a class, and the class that the spec states instead, in order.
    """

    arguments: Mapping[str, Any] = field(default_factory=dict)
    version: Any = UNKNOWN
    defaults: bool = False
    stated: int = 0
    taken: dict[str, dict[str, None]] = field(default_factory=dict)
    renamed: dict[tuple[str, str], None] = field(default_factory=dict)


def new_layer(name: str, stated: Mapping[str, Any]) -> Layer:
    """Make a layer that the checkpoint does not hold, by its kind or its class.

    Raises
    ------
    SpecError
        If the kind, or the class, is none.
    """
    kind = stated.get("kind", "")
    if not kind and "class" in stated:
        return class_named(None, stated["class"], f"layer {name!r}").layer(name)
    if not isinstance(kind, str) or kind not in KINDS:
        raise SpecError(
            f"the checkpoint has no layer {name!r}; to add one without arrays, state its class, "
            f'like "norse.LIFCell", or its kind, one of {", ".join(KINDS)}'
        )
    return KINDS[kind](name)


def apply_layer(
    layer: Layer,
    stated: Mapping[str, Any],
    shared: Shared,
    state: Mapping[str, StateVariable],
    *,
    bare: Layer | None,
) -> Layer:
    """Return a layer with what a spec states of it.

    Parameters
    ----------
    layer : Layer
    stated : mapping
        Its own table, without what is left open.
    shared : Shared
    state : mapping of str to StateVariable
        What the file holds of its state.
    bare : Layer, optional
        The layer without what its reader assumed; None if the spec adds the layer, so that it
        holds nothing to contradict.

    Raises
    ------
    SpecError
        For what the spec says wrongly, or what contradicts the file.
    CheckpointError
        For what the layer itself refuses.
    """
    where = f"layer {layer.name!r}"
    held = layer.origin
    layer = _with_version(with_class(layer, stated, where), shared.version, where)
    if held is not None and layer.origin is not None and held.kind != layer.origin.kind:
        shared.renamed[held.kind, layer.origin.kind] = None
    everything = {
        **{k: v for k, v in shared.arguments.items() if takes(layer, k)},
        **{k: v for k, v in stated.items() if k not in ("kind", "class", "defaults")},
    }
    found = rules.of(layer, everything)
    # A class has its rule without any argument, if need be in a release.
    told = "class" in stated or shared.version is not UNKNOWN
    named = told and found is not None
    words = sorted_out(layer, found, everything, where)
    defaults = flag(stated.get("defaults", shared.defaults), f"{where}: defaults")
    if not (words or defaults or named):
        return layer
    if found is not None and found.evidence:
        evidence = found.evidence(state)
        words.arguments = _with_evidence(layer, found, words.arguments, evidence)
    shared.stated += len(everything)
    if found is not None and any(found.arguments[key].joint for key in words.arguments):
        words.arguments = {**held_words(layer, found), **words.arguments}
    if found is not None and bare is not None and _settles(found, words):
        layer = replace(layer, parameters=bare.parameters, rule=bare.rule)  # type: ignore[call-arg, attr-defined]
    made = words.put_into(layer, found) if words or named else layer
    if bare is not None:
        made = settled(layer, made, refusal(where, by_model_name(found)))
    _check_units(made, where)
    return _with_defaults(made, found, words, shared) if found and defaults else made


def takes(layer: Layer, key: str) -> bool:
    """Whether a layer's class has an argument, in one of its releases or by the model's name."""
    if key in _SETTINGS and hasattr(layer, key):
        return True
    if layer.origin is None:
        return False
    releases = rules.releases(layer.origin.framework, layer.origin.kind)
    return any(key in found.arguments or key in by_model_name(found) for found in releases)


def _with_version(layer: Layer, version: Any, where: str) -> Layer:
    if layer.origin is None or version is UNKNOWN:
        return layer
    held = layer.origin.version
    if held is not UNKNOWN and rules.release(held) != rules.release(version):
        raise SpecError(
            f"{where}: the file says that {layer.origin.framework} {held} wrote it, and the spec "
            f"{version!r}; leave the version out"
        )
    return replace(layer, origin=replace(layer.origin, version=version))


def _check_units(layer: Layer, where: str) -> None:
    potentials = {k: p.unit for k, p in layer.parameters.items() if k in POTENTIALS and p.unit}
    if len(set(potentials.values())) > 1:
        told = ", ".join(f"{name} in {unit}" for name, unit in potentials.items())
        raise SpecError(f"{where} must have its potentials in one unit, found {told}")


def _with_evidence(
    layer: Layer, found: FrameworkClass, arguments: dict[str, Any], told: Evidence | None
) -> dict[str, Any]:
    """Add what the file's state tells of an argument, and refuse what contradicts it.

    A rule that the file states itself goes before what its state tells.
    """
    if told is None or told.argument not in found.arguments:
        return arguments
    stated, choices = arguments.get(told.argument), found.arguments[told.argument].choices
    rule = layer.rule  # type: ignore[attr-defined]  # classes with evidence are neurons
    if any(getattr(rule, switch) is not UNKNOWN for switch in choices[told.value]):
        return arguments
    if stated is None:
        return {**arguments, told.argument: told.value}
    if choices.get(stated) != choices[told.value]:
        raise SpecError(
            f"layer {layer.name!r}: {told.argument} is {told.value!r} by the file "
            f"({told.reason}) and {stated!r} in the spec; leave it out"
        )
    return arguments


def _settles(found: FrameworkClass, words: Words) -> bool:
    """Whether a spec settles what a reader may have assumed."""
    return any(found.arguments[key].switches for key in words.arguments)


def _is_settled(found: FrameworkClass, key: str, layer: Layer) -> bool:
    """Whether the switches that an argument settles are stated."""
    switches = found.arguments[key].switches
    rule = getattr(layer, "rule", None)
    return bool(switches) and all(getattr(rule, name) is not UNKNOWN for name in switches)


def _with_defaults(layer: Layer, found: FrameworkClass, words: Words, shared: Shared) -> Layer:
    """Take the framework's defaults for what neither the file nor the spec states."""
    defaults = {
        key: value
        for key, value in found.defaults().items()
        if key not in words.arguments and not _is_settled(found, key, layer)
    }
    full = settled(layer, found.state(layer, {**defaults, **words.arguments}), keep)
    known = {name for name, p in layer.parameters.items() if p.value is not UNKNOWN}
    taken = shared.taken.setdefault(found.framework, {})
    taken.update(dict.fromkeys(k for k in defaults if found.arguments[k].parameter not in known))
    return full
