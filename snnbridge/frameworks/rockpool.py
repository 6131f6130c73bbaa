"""Saving nets of Rockpool's torch modules with what their state dicts leave out.

The modules are ``rockpool.nn.modules.torch``; a state dict lacks ``dt``, ``leak_mode`` and
``max_spikes_per_dt``.
"""

from __future__ import annotations

from typing import Any

from snnbridge.errors import CheckpointError
from snnbridge.frameworks._torch import Arguments, Framework, Piece, as_array
from snnbridge.model import Linear, Origin

__all__ = ["checkpoint_of", "export"]

_LEAK = {"taus": "tau_{}", "decays": "{}", "bitshifts": "dash_{}"}
_DECAYS = {"mem": "alpha", "syn": "beta"}


def _leak(module: Any, which: str) -> Arguments:
    mode = getattr(module, "leak_mode", "taus")
    name = _DECAYS[which] if mode == "decays" else _LEAK[mode].format(which)
    value = getattr(module, name)
    one = which == "syn" and value.ndim == 2 and value.shape[1] == 1
    return {"leak_mode": mode, name: value[:, 0] if one else value}


def _neuron(module: Any) -> Arguments:
    if getattr(module, "noise_std", 0) != 0:
        raise CheckpointError("noise is in no rule; build the module with noise_std=0")
    given = {name: getattr(module, name) for name in ("threshold", "max_spikes_per_dt")}
    bias = getattr(module, "bias", None)
    held = {} if bias is None or isinstance(bias, int) else {"bias": bias}
    return {**_leak(module, "mem"), **given, **held, "shape": (module.size_out,)}


def _lif(module: Any) -> Arguments:
    synapses = module.n_synapses
    more = {"receptors": synapses} if synapses > 1 else {}
    return {**_neuron(module), **_leak(module, "syn"), **more}


def _feed_back(name: str, module: Any, piece: Piece) -> None:
    if hasattr(module, "w_rec"):
        piece.feed_back(Linear(f"{name}.recurrent", as_array(module.w_rec).T))


def _linear(name: str, module: Any) -> Piece:
    """Return a LinearTorch: its weight is (in, out)."""
    bias = getattr(module, "bias", None)
    held = as_array(bias) if hasattr(bias, "detach") else None
    weight = as_array(module.weight).T
    return Piece.of(Linear(name, weight, held, origin=Origin("rockpool", "LinearTorch")))


FRAMEWORK = Framework(
    name="rockpool",
    neurons={
        "LIFTorch": _lif,
        "LIFNeuronTorch": _neuron,
        "ExpSynTorch": lambda module: {"tau": module.tau, "shape": (module.size_out,)},
    },
    finish=_feed_back,
    special={"LinearTorch": _linear},
    time_step=lambda module: module.dt,
)
checkpoint_of, export = FRAMEWORK.checkpoint_of, FRAMEWORK.export
