"""Saving and building nets of SpikingJelly with what their state dicts leave out.

That is every parameter of a neuron.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from snnbridge.errors import CheckpointError
from snnbridge.frameworks.building.builder import Builder
from snnbridge.frameworks.building.groups import Group
from snnbridge.frameworks.building.torch_layers import number, tensor
from snnbridge.frameworks.reading.live_net import Arguments, Framework
from snnbridge.frameworks.reading.pieces import Piece, as_array
from snnbridge.model import Connection, Linear, Reset, Scale

__all__ = ["build", "checkpoint_of", "export"]

_FIRE = ("v_threshold", "v_reset")


def _named(*names: str) -> Callable[[Any], Arguments]:
    return lambda module: {name: getattr(module, name) for name in names}


def _recurrent(name: str, module: Any) -> Piece:
    """Return a LinearRecurrentContainer: one weight for the input and the last output."""
    inner = FRAMEWORK.piece(f"{name}.sub_module", module.sub_module)
    if inner is None:
        raise CheckpointError(f"{name!r} holds no single neuron")
    weight = as_array(module.rc.weight)
    bias = None if module.rc.bias is None else as_array(module.rc.bias)
    inputs = len(weight)  # what it gives, the neuron takes; the rest is what came back
    inner.feed_back(Linear(f"{name}.recurrent", weight[:, inputs:]))
    first = Linear(f"{name}.rc", weight[:, :inputs], bias)
    edges = [Connection(first.name, inner.entry), *inner.edges]
    return Piece([first, *inner.layers], edges, first.name, inner.exit)


def _own_recurrence(name: str, module: Any) -> Piece:
    """Return an ElementWiseRecurrentContainer that :func:`build` made."""
    function = module.element_wise_function
    if type(function).__name__ != "Feedback":
        raise CheckpointError(
            f"{name!r} feeds its output back through a function of its own, which no layer says"
        )
    inner = FRAMEWORK.piece(f"{name}.sub_module", module.sub_module)
    if inner is None:
        raise CheckpointError(f"{name!r} holds no single neuron")
    inner.feed_back(Scale(f"{name}.element_wise_function", as_array(function.factor)))
    return inner


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
    special={
        "LinearRecurrentContainer": _recurrent,
        "ElementWiseRecurrentContainer": _own_recurrence,
    },
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
    return module if group.recurrent is None else _container(module, group)


def _container(module: Any, group: Group) -> Any:
    """Put a neuron into a container that adds what its last spikes give to the input."""
    layer = import_module("spikingjelly.activation_based.layer")
    torch, recurrent = import_module("torch"), group.recurrent
    if recurrent.kind == "Scale":
        feedback = import_module("snnbridge.frameworks.building.feedback").Feedback
        return layer.ElementWiseRecurrentContainer(module, feedback(tensor(recurrent.factor.value)))
    size = recurrent.size[0]
    first = torch.eye(size) if group.input is None else tensor(group.input.weight.value)
    bias = (recurrent if group.input is None else group.input).bias
    container = layer.LinearRecurrentContainer(module, size, size, bias=bias is not None)
    both = torch.cat([first, tensor(recurrent.weight.value)], dim=1)
    container.rc.weight = torch.nn.Parameter(both)
    if bias is not None:
        container.rc.bias = torch.nn.Parameter(tensor(bias.value))
    return container


checkpoint_of, export = FRAMEWORK.checkpoint_of, FRAMEWORK.export
build = Builder(name="spikingjelly", neuron=_neuron).build
