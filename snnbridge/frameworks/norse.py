"""Saving nets of Norse with what their state dicts leave out: everything but weights.

A cell's parameters are a named tuple and its time step a number; no state dict holds either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from snnbridge.errors import CheckpointError
from snnbridge.frameworks._torch import Arguments, Framework, Piece, as_array
from snnbridge.model import Connection, Linear

__all__ = ["checkpoint_of", "export"]

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
    recurrent = as_array(module.recurrent_weights)
    if not module.autapses:
        recurrent = recurrent * (1 - np.eye(len(recurrent), dtype=recurrent.dtype))
    piece.feed_back(Linear(f"{name}.recurrent", recurrent))
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
        "LIFRefracCell": _refractory,
        "LIFBoxCell": _named(*_BOX),
        "IAFCell": _named("v_th", "v_reset"),
        "LICell": _named("tau_syn_inv", "tau_mem_inv", "v_leak"),
        "LIBoxCell": _named("tau_mem_inv", "v_leak"),
    },
    finish=_weights,
    time_step=_time_step,
)
checkpoint_of, export = FRAMEWORK.checkpoint_of, FRAMEWORK.export
