"""Saving nets of SpikingJelly with what their state dicts leave out: every neuron's parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from snnbridge.errors import CheckpointError
from snnbridge.frameworks._torch import Arguments, Framework, Piece, as_array
from snnbridge.model import Connection, Linear

__all__ = ["checkpoint_of", "export"]

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
checkpoint_of, export = FRAMEWORK.checkpoint_of, FRAMEWORK.export
