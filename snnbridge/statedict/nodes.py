"""One node of a state dict as a layer, its state, and where each of its entries went.

An entry's role says where the model keeps it: ``p:weight`` is a parameter of the layer,
``s:v`` a variable of its state, ``o:steps`` a setting of an opaque layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from snnbridge import rules
from snnbridge.errors import CheckpointError
from snnbridge.model import (
    UNKNOWN,
    Array,
    Flatten,
    Layer,
    Neuron,
    Opaque,
    Origin,
    Parameter,
    Shape,
    StateVariable,
    Synapse,
    Tree,
)
from snnbridge.model.values import Unknown
from snnbridge.statedict.classes import CELLS, DYNAMIC, FAMILY, class_of
from snnbridge.statedict.forms import ARRAYS, states_of

_UNSTATED = Parameter(UNKNOWN)
_NEURON_STATES = frozenset({"V", "spike", "input", "t_last_spike", "refractory"})
_SYNAPSE_STATES = frozenset({"g", "h", "g_rise", "g_decay"})


@dataclass(frozen=True, slots=True)
class Node:
    """What one node became.

    Parameters
    ----------
    layer : Layer
    states : mapping of str to StateVariable
        Under the model's names.
    roles : mapping of str to str
        By the node's keys, in their order.
    note : str
        What could not be told; empty if there is nothing to say.
    """

    layer: Layer
    states: Mapping[str, StateVariable]
    roles: Mapping[str, str]
    note: str = ""


def read_node(name: str, content: Mapping[str, Tree], stated: str = "") -> Node:
    """Read one node.

    Parameters
    ----------
    name : str
        The node's name, which becomes the layer's.
    content : mapping of str to leaf or tree
        Keys are ``<name>.<attribute>``, or anything where a class saves itself its own way.
    stated : str
        The class, where somebody says it; the name tells it otherwise.
    """
    kind = stated or class_of(name)
    attributes = _attributes(name, content)
    if kind not in FAMILY:
        return _opaque(name, content, attributes, kind)
    found = rules.get("brainpy", kind)
    arrays_only = all(isinstance(value, np.ndarray) for value in content.values())
    try:
        if not arrays_only:
            node = None
        elif issubclass(found.layer, Neuron | Synapse):
            node = _dynamic(name, content, attributes, kind)
        else:
            node = _static(name, content, attributes, kind)
    except CheckpointError:  # shapes that no layer of this class has
        node = None
    if node is not None:
        return node
    opaque = _opaque(name, content, attributes, "")
    note = f"node {name!r} is no {kind}: its entries are {', '.join(attributes.values())}"
    return Node(opaque.layer, opaque.states, opaque.roles, note)


def _attributes(name: str, content: Iterable[str]) -> dict[str, str]:
    """Name each entry by its key without the node's name; by the whole key where that clashes."""
    start = len(name) + 1
    prefix = name + "."
    short = {key: key[start:] if key.startswith(prefix) else key for key in content}
    if len(set(short.values())) == len(short):
        return short
    return {key: key for key in short}


def _static(
    name: str, content: Mapping[str, Array], attributes: Mapping[str, str], kind: str
) -> Node | None:
    layer = rules.get("brainpy", kind).layer
    known = ARRAYS.get(layer, {})
    fields: dict[str, Any] = {}
    roles: dict[str, str] = {}
    for key, attribute in attributes.items():
        if attribute not in known:
            return None
        parameter, form = known[attribute]
        stored = content[key]
        if len(form.axes or (0,) * (form.lead + 1)) != stored.ndim:
            return None
        if stored.shape[: form.lead] != (1,) * form.lead:
            return None
        fields[parameter] = Parameter(form.held(stored))
        roles[key] = f"p:{parameter}"
    if known and next(iter(known.values()))[0] not in fields:
        return None  # a bias without a weight
    if layer is Flatten:  # its axes are arguments, and no file holds those
        fields = {"start": UNKNOWN, "end": UNKNOWN}
    return Node(layer(name, origin=_origin(kind), **fields), {}, roles)


def _dynamic(
    name: str, content: Mapping[str, Array], attributes: Mapping[str, str], kind: str
) -> Node | None:
    layer, names, variables, parameters = _vocabulary(kind)
    held = dict.fromkeys(parameters.values(), _UNSTATED)
    roles: dict[str, str] = {}
    state: dict[str, Array] = {}
    for key, attribute in attributes.items():
        if attribute in variables:
            variable = names.get(attribute, attribute)
            roles[key], state[variable] = f"s:{variable}", content[key]
        elif attribute in parameters:
            parameter = parameters[attribute]
            unit = rules.get("brainpy", kind).arguments[attribute].unit
            roles[key], held[parameter] = f"p:{parameter}", Parameter(content[key], unit)
        else:
            return None
    shape, states = _states(state)
    return Node(layer(name, shape, held, origin=_origin(kind)), states, roles)


@cache
def _vocabulary(
    kind: str,
) -> tuple[type[Neuron | Synapse], Mapping[str, str], frozenset[str], Mapping[str, str]]:
    """Return a class's layer, its own names of states, its states, and its parameters."""
    found = rules.get("brainpy", kind)
    layer = Neuron if issubclass(found.layer, Neuron) else Synapse
    names = states_of(kind)
    variables = _NEURON_STATES if layer is Neuron else _SYNAPSE_STATES
    parameters = {key: a.parameter for key, a in found.arguments.items() if a.parameter}
    return layer, names, variables | names.keys(), parameters


@cache
def _origin(kind: str) -> Origin:
    return Origin("brainpy", kind)


def _states(state: Mapping[str, Array]) -> tuple[Shape | Unknown, dict[str, StateVariable]]:
    """Tell the neurons' shape and the batch axis, as far as the arrays do.

    An array of one axis has no batch. Where spikes are floats the node ran in training mode,
    and its first axis is the batch. Everything else could be either.
    """
    if not state:
        return UNKNOWN, {}
    first = next(iter(state.values())) if "v" not in state else state["v"]
    spike = state.get("spike")
    batched = spike is not None and spike.dtype.kind not in "biu"
    axes = {k: None if a.ndim < 2 else 0 if batched else UNKNOWN for k, a in state.items()}
    states = {k: StateVariable(a, axes[k]) for k, a in state.items()}
    if first.ndim == 1:
        return first.shape, states
    return (first.shape[1:] if batched and first.ndim else UNKNOWN), states


def _opaque(
    name: str, content: Mapping[str, Tree], attributes: Mapping[str, str], kind: str
) -> Node:
    names = states_of(kind) if kind in DYNAMIC else {}
    parameters: dict[str, Array] = {}
    settings: dict[str, Tree] = {}
    state: dict[str, Array] = {}
    roles: dict[str, str] = {}
    for key, attribute in attributes.items():
        value = content[key]
        if not isinstance(value, np.ndarray):
            settings[attribute], roles[key] = value, f"o:{attribute}"
        elif kind in DYNAMIC or (kind in CELLS and attribute == "state"):
            variable = names.get(attribute, attribute)
            if variable in state:
                variable = attribute
            state[variable], roles[key] = value, f"s:{variable}"
        else:
            parameters[attribute], roles[key] = value, f"p:{attribute}"
    _, states = _states(state)
    origin = _origin(kind) if kind else None
    layer = Opaque(name, parameters=parameters, settings=settings, origin=origin)  # type: ignore[arg-type]
    return Node(layer, states, roles)
