"""Saving and building nets of Norse with what their state dicts leave out: everything but weights.

A cell's parameters are a named tuple and its time step a number; no state dict holds either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import numpy as np

from snnbridge.errors import CheckpointError
from snnbridge.frameworks.building.builder import Builder
from snnbridge.frameworks.building.groups import Group
from snnbridge.frameworks.building.torch_layers import tensor, weight_of
from snnbridge.frameworks.reading.live_net import Arguments, Framework
from snnbridge.frameworks.reading.pieces import Piece, as_array
from snnbridge.model import Connection, Linear, Quantity, Reset

__all__ = ["build", "checkpoint_of", "export"]

_LIF = ("tau_syn_inv", "tau_mem_inv", "v_leak", "v_th", "v_reset")
_BOX = ("tau_mem_inv", "v_leak", "v_th", "v_reset", "reset_method")


def _named(*names: str) -> Callable[[Any], Arguments]:
    def read(module: Any) -> Arguments:
        return {name: _value(getattr(module.p, name)) for name in names}

    return read


def _value(value: Any) -> Any:
    return value.__name__ if callable(value) and not hasattr(value, "detach") else value


def _refractory(module: Any) -> Arguments:
    inner = {name: getattr(module.p.lif, name) for name in _LIF}
    return {**inner, "rho_reset": module.p.rho_reset}


def _weights(name: str, module: Any, piece: Piece) -> None:
    """Add the weights of a recurrent cell: into the neurons, and back from them."""
    if not hasattr(module, "recurrent_weights"):
        return
    # Without autapses the constructor zeroes the diagonal; what is loaded later runs as it is.
    piece.feed_back(Linear(f"{name}.recurrent", as_array(module.recurrent_weights)))
    first = Linear(f"{name}.input", as_array(module.input_weights))
    piece.layers.insert(0, first)
    piece.edges.insert(0, Connection(first.name, piece.entry))
    piece.entry = first.name


def _time_step(module: Any) -> float:
    if not hasattr(module, "dt"):
        raise CheckpointError(f"{type(module).__name__} has no dt")
    return float(module.dt)


FRAMEWORK = Framework(
    name="norse",
    neurons={
        "LIF": _named(*_LIF),
        "LIFCell": _named(*_LIF),
        "LIFRecurrentCell": _named(*_LIF),
        "LIFRecurrent": _named(*_LIF),
        "LIFRefracCell": _refractory,
        "LIFBoxCell": _named(*_BOX),
        **dict.fromkeys(("IAFCell", "IAF"), _named("v_th", "v_reset")),
        **dict.fromkeys(("LICell", "LI"), _named("tau_syn_inv", "tau_mem_inv", "v_leak")),
        "LIBoxCell": _named("tau_mem_inv", "v_leak"),
    },
    finish=_weights,
    time_step=_time_step,
    over_time={"LIFRecurrent": "LIFRecurrentCell", "IAF": "IAFCell", "LI": "LICell"},
)


_PARAMETERS = {"LIFBoxCell": "LIFBoxParameters", "IAFCell": "IAFParameters"}
_PARAMETERS |= {"LICell": "LIParameters", "LIBoxCell": "LIBoxParameters"}


def _neuron(group: Group) -> Any:
    norse = import_module("norse.torch")
    given = {key: tensor(value) for key, value in group.arguments().items()}
    rest = group.value("v_rest")
    if rest is not None:
        given["v_leak"] = tensor(rest)
    if group.kind == "IAFCell":
        given["v_reset"] = tensor(group.value("v_reset"))
    dt = _seconds(group)
    if group.kind == "LIFRecurrentCell":
        return _cell(norse, group, given, dt)
    if group.kind == "LIFRefracCell":
        wait = given.pop("rho_reset")
        inner = norse.LIFRefracParameters(norse.LIFParameters(**given), wait)
        return norse.LIFRefracCell(p=inner, dt=dt)
    if group.kind == "LIFBoxCell":
        given["reset_method"] = _method(group)
    parameters = getattr(norse, _PARAMETERS.get(group.kind, "LIFParameters"))
    return getattr(norse, group.kind)(p=parameters(**given), dt=dt)


def _seconds(group: Group) -> float:
    dt = group.checkpoint.dt
    if not isinstance(dt, Quantity):
        raise group.refuse("Norse needs a time step in seconds; state dt")
    return dt.seconds


def _method(group: Group) -> Any:
    reset = import_module("norse.torch.functional.reset")
    return reset.reset_subtract if group.neuron.rule.reset is Reset.SUBTRACT else reset.reset_value


def _cell(norse: Any, group: Group, given: Arguments, dt: float) -> Any:
    if group.input is None or group.recurrent is None:
        raise group.refuse("lacks its input weights or its recurrent ones")
    if any(x.bias is not None and np.any(x.bias.value) for x in (group.input, group.recurrent)):
        raise group.refuse("has weights with a bias, for which the cell has no place")
    size = group.input.size
    cell = norse.LIFRecurrentCell(*size, norse.LIFParameters(**given), autapses=True, dt=dt)
    for name, layer in (("input", group.input), ("recurrent", group.recurrent)):
        setattr(cell, f"{name}_weights", weight_of(layer.weight))
    return cell


def _sequential(modules: Mapping[str, Any]) -> Any:
    """Return a SequentialState, which numbers its modules, with the modules' own names."""
    net = import_module("norse.torch").SequentialState(*modules.values())
    net._modules = dict(modules)
    return net


checkpoint_of, export = FRAMEWORK.checkpoint_of, FRAMEWORK.export
build = Builder(name="norse", neuron=_neuron, sequential=_sequential, stateful=True).build
