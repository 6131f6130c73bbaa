"""One node of a state dict as a layer, its state, and where each of its entries went.

An entry's role says where the model keeps it: ``p:weight`` is a parameter of the layer,
``s:v`` a variable of its state, ``o:steps`` a setting of an opaque layer; digits behind the
letter are the stored axes in the order of the held ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from snnbridge import rules
from snnbridge.document import AS_IT_IS, ArrayForm, channels_last
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
from snnbridge.node_trees.brainstate import read_weights
from snnbridge.node_trees.classes import CELLS, DYNAMIC, FAMILY
from snnbridge.node_trees.forms import ARRAYS, role, state_form, states_of

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
    roles : mapping of str to str or such mappings, or None
        By the node's keys, in their order; ``None`` where :func:`to_tree` would choose the same
        keys and order by itself.
    misnamed : bool
        Whether the node's name speaks of a class that the node cannot be of.
    """

    layer: Layer
    states: Mapping[str, StateVariable]
    roles: Mapping[str, Any] | None
    misnamed: bool = False


def read_node(name: str, content: Mapping[str, Tree], kind: str, batch_axis: Any = ...) -> Node:
    """Read one node.

    Parameters
    ----------
    name : str
        The node's name, which becomes the layer's.
    content : mapping of str to leaf or tree
        Keys are ``<name>.<attribute>``, or anything where a class saves itself its own way.
    kind : str
        Its class, as far as it is known.
    batch_axis : int or None, optional
        That of its state, where somebody knows it.
    """
    attributes, usual = _attributes(name, content)
    if kind not in FAMILY:
        return _opaque(name, content, attributes, kind, usual)
    if found := read_weights(name, content, kind):
        return Node(found[0], {}, found[1])
    layer = rules.get("brainpy", kind).layer
    try:
        if layer is Neuron or layer is Synapse:
            node = _dynamic(name, content, attributes, kind, usual, batch_axis)
        else:
            node = _static(name, content, attributes, kind, usual)
    except CheckpointError:  # shapes that no layer of this class has
        node = None
    return node or _opaque(name, content, attributes, "", usual)._replace(misnamed=True)


def _attributes(name: str, content: Mapping[str, Tree]) -> tuple[list[str], bool]:
    """Name each entry by its key without the node's name, and say whether that is possible.

    Where names clash an entry is named by its whole key.
    """
    start = len(name) + 1
    prefix = name + "."
    short = [key[start:] for key in content if key.startswith(prefix)]
    if len(short) == len(content):
        return short, bool(short)
    mixed = [key.removeprefix(prefix) for key in content]
    return (mixed if len(set(mixed)) == len(mixed) else list(content)), False


def _static(
    name: str, content: Mapping[str, Tree], attributes: list[str], kind: str, usual: bool
) -> Node | None:
    layer = rules.get("brainpy", kind).layer
    known = ARRAYS.get(layer, {})
    fields: dict[str, Any] = {}
    for attribute, stored in zip(attributes, content.values(), strict=True):
        if attribute not in known or not isinstance(stored, np.ndarray):
            return None
        parameter, form = known[attribute]
        if not form.fits(stored):
            return None
        fields[parameter] = Parameter(form.held(stored))
    if len(attributes) > 1:
        usual = usual and attributes == [a for a in known if a in attributes]
    found = [known[attribute][0] for attribute in attributes]
    if layer is Flatten:  # its axes are arguments, and no file holds those
        fields = {"start": UNKNOWN, "end": UNKNOWN}
    roles = None if usual else {k: role("p", p) for k, p in zip(content, found, strict=True)}
    return Node(layer(name, origin=_origin(kind), **fields), {}, roles)


def _dynamic(
    name: str,
    content: Mapping[str, Tree],
    attributes: list[str],
    kind: str,
    usual: bool,
    batch_axis: Any,
) -> Node | None:
    layer, names, variables, parameters = _vocabulary(kind)
    held = dict.fromkeys(parameters.values(), _UNSTATED)
    roles: dict[str, str] = {}
    state: dict[str, tuple[str, Array]] = {}
    for (key, value), attribute in zip(content.items(), attributes, strict=True):
        if not isinstance(value, np.ndarray):
            return None
        if attribute in variables:
            variable = names.get(attribute, attribute)
            roles[key], state[variable] = "", (key, value)
        elif attribute in parameters:
            parameter, form = parameters[attribute], channels_last(value.ndim)
            unit = rules.get("brainpy", kind).arguments[attribute].unit
            roles[key] = role("p", parameter, form)
            held[parameter] = Parameter(form.held(value), unit)
        else:
            return None
    states, forms = _states({k: value for k, (_, value) in state.items()}, batch_axis)
    roles |= {key: role("s", k, forms[k]) for k, (key, _) in state.items()}
    usual = usual and len(state) == len(roles) and all(f is AS_IT_IS for f in forms.values())
    found = layer(name, _shape(states), held, origin=_origin(kind))
    return Node(found, states, None if usual else roles)


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


def _states(
    state: Mapping[str, Array], batch_axis: Any
) -> tuple[dict[str, StateVariable], dict[str, ArrayForm]]:
    """Tell the batch axis as far as the arrays do, and put channels first.

    An array of one axis has no batch. Where spikes are floats the node ran in training mode,
    and its first axis is the batch. Everything else could be either.
    """
    if batch_axis is ...:
        batch_axis = 0 if "spike" in state and state["spike"].dtype.kind not in "biu" else UNKNOWN
    states: dict[str, StateVariable] = {}
    forms: dict[str, ArrayForm] = {}
    for name, array in state.items():
        axis = None if array.ndim < 2 else batch_axis
        forms[name] = state_form(array.ndim, axis)
        states[name] = StateVariable(forms[name].held(array), axis)
    return states, forms


def _shape(states: Mapping[str, StateVariable]) -> Shape | Unknown:
    """Return the neurons' shape, where the batch axis is known."""
    held = states.get("v") or next(iter(states.values()), None)
    if held is None or held.value.ndim == 0 or held.batch_axis is UNKNOWN:
        return UNKNOWN
    shape: Shape = held.value.shape
    return shape if held.batch_axis is None else shape[1:]


def _opaque(
    name: str, content: Mapping[str, Tree], attributes: list[str], kind: str, usual: bool
) -> Node:
    names = states_of(kind) if kind in DYNAMIC else {}
    parameters: dict[str, Parameter] = {}
    settings: dict[str, Tree] = {}
    state: dict[str, Array] = {}
    roles: dict[str, str] = {}
    for (key, value), attribute in zip(content.items(), attributes, strict=True):
        if not isinstance(value, np.ndarray):
            settings[attribute], roles[key] = value, role("o", attribute)
        elif kind in DYNAMIC or (kind in CELLS and attribute == "state"):
            variable = names.get(attribute, attribute)
            if variable in state:
                variable = attribute
            state[variable], roles[key] = value, role("s", variable)
        else:
            parameters[attribute], roles[key] = Parameter(value), role("p", attribute)
    batched = "spike" in state and state["spike"].dtype.kind not in "biu"
    axis = 0 if batched else UNKNOWN
    states = {k: StateVariable(a, None if a.ndim < 2 else axis) for k, a in state.items()}
    layer = Opaque(
        name, parameters=parameters, settings=settings, origin=_origin(kind) if kind else None
    )
    usual = usual and len(roles) in (len(parameters), len(state))
    return Node(layer, states, None if usual else roles)
