"""Saving nets of SpikingJelly with what their state dicts leave out: every neuron's parameters."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from snnbridge.errors import CheckpointError
from snnbridge.frameworks._building import Builder, Group
from snnbridge.frameworks._pieces import Piece, as_array
from snnbridge.frameworks._standard import number, tensor
from snnbridge.frameworks._torch import Arguments, Framework
from snnbridge.model import Connection, Linear, Reset

__all__ = ["build", "checkpoint_of", "export"]

_FIRE = ("v_threshold", "v_reset")


def _named(*names: str) -> Callable[[Any], Arguments]:
    return lambda module: {name: getattr(module, name) for name in names}


def _recurrent(name: str, module: Any) -> Piece:
    """Return a LinearRecurrentContainer: one weight for the input and the last output."""
    inner = FRAMEWORK.piece(f"{name}.sub_module", module.sub_module)
    if inner is None:
        raise CheckpointError(f"{name!r} holds no single neuron")
    weight, n = as_array(module.rc.weight), module.rc.weight.shape[0]
    bias = None if module.rc.bias is None else as_array(module.rc.bias)
    inputs = module.rc.weight.shape[1] - n
    inner.feed_back(Linear(f"{name}.recurrent", weight[:, inputs:]))
    first = Linear(f"{name}.rc", weight[:, :inputs], bias)
    edges = [Connection(first.name, inner.entry), *inner.edges]
    return Piece([first, *inner.layers], edges, first.name, inner.exit)


FRAMEWORK = Framework(
    name="spikingjelly",
    neurons={
        "LIFNode": _named("tau", "decay_input", *_FIRE),
        "SimpleLIFNode": _named("tau", "decay_input", *_FIRE),
        "ParametricLIFNode": _named("w", "decay_input", *_FIRE),
        "IFNode": _named(*_FIRE),
        "HalfThresholdIFNode": _named("v_threshold"),
        "CUBALIFNode": _named("v_decay", "c_decay", *_FIRE),
        "NonSpikingLIFNode": _named("tau"),
        "NonSpikingIFNode": _named(),
    },
    special={"LinearRecurrentContainer": _recurrent},
)


def _neuron(group: Group) -> Any:
    neuron = import_module("spikingjelly.activation_based.neuron")
    given: Arguments = {
        k: v if isinstance(v, bool) else number(v) for k, v in group.arguments().items()
    }
    if group.neuron.rule.spiking is True and group.kind != "HalfThresholdIFNode":
        soft = group.neuron.rule.reset is Reset.SUBTRACT
        given["v_reset"] = None if soft else number(group.value("v_reset"))
    module = getattr(neuron, group.kind)(**given)
    if (logit := group.value("logit")) is not None:
        module.w.data.copy_(tensor(logit))
    return module if group.recurrent is None else _container(module, group.recurrent)


def _container(module: Any, recurrent: Any) -> Any:
    """Put a neuron into a container that adds what its last spikes give to the input."""
    layer = import_module("spikingjelly.activation_based.layer")
    torch = import_module("torch")
    size, biased = recurrent.size[0], recurrent.bias is not None
    container = layer.LinearRecurrentContainer(module, size, size, bias=biased)
    both = torch.cat([torch.eye(size), tensor(recurrent.weight.value)], dim=1)
    container.rc.weight = torch.nn.Parameter(both)
    if biased:
        container.rc.bias = torch.nn.Parameter(tensor(recurrent.bias.value))
    return container


checkpoint_of, export = FRAMEWORK.checkpoint_of, FRAMEWORK.export
build = Builder(name="spikingjelly", neuron=_neuron).build
