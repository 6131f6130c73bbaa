"""One node of a state dict as a layer, its state, and where each of its entries went.

An entry's role says where the model keeps it: ``p:weight`` is a parameter of the layer,
``s:v`` a variable of its state, ``o:steps`` a setting of an opaque layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, NamedTuple

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
from snnbridge.statedict.classes import CELLS, DYNAMIC, FAMILY
from snnbridge.statedict.forms import ARRAYS, states_of

_UNSTATED = Parameter(UNKNOWN)
_NEURON_STATES = frozenset({"V", "spike", "input", "t_last_spike", "refractory"})
_SYNAPSE_STATES = frozenset({"g", "h", "g_rise", "g_decay"})


class Node(NamedTuple):
    """What one node became.

    Attributes
    ----------
    layer : Layer
    states : mapping of str to StateVariable
        Under the model's names.
    roles : mapping of str to str
        By the node's keys, in their order.
    usual : bool
        Whether :func:`to_tree` would choose the same keys and order by itself.
    misnamed : bool
        Whether the node's name speaks of a class that the node cannot be of.
    """

    layer: Layer
    states: Mapping[str, StateVariable]
    roles: Mapping[str, str]
    usual: bool
    misnamed: bool = False


def read_node(name: str, content: Mapping[str, Tree], kind: str) -> Node:
    """Read one node.

    Parameters
    ----------
    name : str
        The node's name, which becomes the layer's.
    content : mapping of str to leaf or tree
        Keys are ``<name>.<attribute>``, or anything where a class saves itself its own way.
    kind : str
        Its class, as far as it is known.
    """
    attributes = _attributes(name, content)
    if kind not in FAMILY:
        return _opaque(name, content, attributes, kind)
    try:
        node = _of_family(name, content, attributes, kind)
    except CheckpointError:  # shapes that no layer of this class has
        node = None
    return node or _opaque(name, content, attributes, "")._replace(misnamed=True)


def _attributes(name: str, content: Iterable[str]) -> list[str]:
    """Name each entry by its key without the node's name; by the whole key where that clashes."""
    start = len(name) + 1
    prefix = name + "."
    short = [key[start:] if key.startswith(prefix) else key for key in content]
    return short if len(set(short)) == len(short) else list(content)


def _of_family(
    name: str, content: Mapping[str, Tree], attributes: list[str], kind: str
) -> Node | None:
    layer = rules.get("brainpy", kind).layer
    if layer is Neuron or layer is Synapse:
        return _dynamic(name, content, attributes, kind)
    known = ARRAYS.get(layer, {})
    fields: dict[str, Any] = {}
    for attribute, stored in zip(attributes, content.values(), strict=True):
        if attribute not in known or not isinstance(stored, np.ndarray):
            return None
        parameter, form = known[attribute]
        if not form.fits(stored):
            return None
        fields[parameter] = Parameter(form.held(stored))
    usual = [a for a in known if known[a][0] in fields] == attributes and _is_usual(name, content)
    roles = {k: f"p:{known[a][0]}" for k, a in zip(content, attributes, strict=True)}
    if layer is Flatten:  # its axes are arguments, and no file holds those
        fields = {"start": UNKNOWN, "end": UNKNOWN}
    return Node(layer(name, origin=_origin(kind), **fields), {}, roles, usual)


def _is_usual(name: str, content: Mapping[str, Tree]) -> bool:
    prefix = name + "."
    return bool(content) and all(key.startswith(prefix) for key in content)


def _dynamic(
    name: str, content: Mapping[str, Tree], attributes: list[str], kind: str
) -> Node | None:
    layer, names, variables, parameters = _vocabulary(kind)
    held = dict.fromkeys(parameters.values(), _UNSTATED)
    roles: dict[str, str] = {}
    state: dict[str, Array] = {}
    for (key, value), attribute in zip(content.items(), attributes, strict=True):
        if not isinstance(value, np.ndarray):
            return None
        if attribute in variables:
            variable = names.get(attribute, attribute)
            roles[key], state[variable] = f"s:{variable}", value
        elif attribute in parameters:
            parameter = parameters[attribute]
            unit = rules.get("brainpy", kind).arguments[attribute].unit
            roles[key], held[parameter] = f"p:{parameter}", Parameter(value, unit)
        else:
            return None
    shape, states = _states(state)
    usual = len(state) == len(roles) and _is_usual(name, content)
    return Node(layer(name, shape, held, origin=_origin(kind)), states, roles, usual)


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


def _opaque(name: str, content: Mapping[str, Tree], attributes: list[str], kind: str) -> Node:
    names = states_of(kind) if kind in DYNAMIC else {}
    parameters: dict[str, Parameter] = {}
    settings: dict[str, Tree] = {}
    state: dict[str, Array] = {}
    roles: dict[str, str] = {}
    for (key, value), attribute in zip(content.items(), attributes, strict=True):
        if not isinstance(value, np.ndarray):
            settings[attribute], roles[key] = value, f"o:{attribute}"
        elif kind in DYNAMIC or (kind in CELLS and attribute == "state"):
            variable = names.get(attribute, attribute)
            if variable in state:
                variable = attribute
            state[variable], roles[key] = value, f"s:{variable}"
        else:
            parameters[attribute], roles[key] = Parameter(value), f"p:{attribute}"
    _, states = _states(state)
    layer = Opaque(
        name, parameters=parameters, settings=settings, origin=_origin(kind) if kind else None
    )
    usual = len(roles) in (len(parameters), len(state)) and _is_usual(name, content)
    return Node(layer, states, roles, usual)
