"""Saving nets of sinabs with what their state dicts leave out: norm_input, spike_fn, reset_fn."""

from __future__ import annotations

from typing import Any

from snnbridge.errors import CheckpointError
from snnbridge.frameworks._torch import Arguments, Framework, Piece, as_array
from snnbridge.model import Linear

__all__ = ["checkpoint_of", "export"]


def _leak(module: Any, which: str) -> Arguments:
    """Return a time constant, or the decay where that is trained."""
    if getattr(module, f"tau_{which}", None) is None:
        return {f"tau_{which}": None}
    if module.train_alphas:
        decay = getattr(module, f"alpha_{which}")
        return {f"tau_{which}": getattr(module, f"tau_{which}"), f"alpha_{which}": decay}
    return {f"tau_{which}": getattr(module, f"tau_{which}")}


def _fire(module: Any) -> Arguments:
    return {
        "spike_threshold": module.spike_threshold,
        "spike_fn": _spikes(module.spike_fn),
        "reset_fn": _reset(module.reset_fn),
        "min_v_mem": module.min_v_mem,
        **_leak(module, "syn"),
    }


def _spikes(function: Any) -> Any:
    name = getattr(function, "__name__", type(function).__name__)
    return int(function.max_num_spikes_per_bin) if name == "MaxSpike" else name


def _reset(function: Any) -> Any:
    name = type(function).__name__
    values = {"MembraneSubtract": "subtract_value", "MembraneReset": "reset_value"}
    if name not in values:
        raise CheckpointError(f"reset_fn is {name}, which no rule says")
    return name, getattr(function, values[name])


def _lif(module: Any) -> Arguments:
    return {**_leak(module, "mem"), "norm_input": bool(module.norm_input), **_fire(module)}


def _readout(module: Any) -> Arguments:
    given = {"norm_input": bool(module.norm_input), "min_v_mem": module.min_v_mem}
    return {**_leak(module, "mem"), **given}


def _feed_back(name: str, module: Any, piece: Piece) -> None:
    """Add the layer that a recurrent class runs on its last spikes, silent at the first step."""
    inner = getattr(module, "rec_connect", None)
    if inner is None:
        return
    if type(inner).__name__ != "Linear":
        raise CheckpointError(f"rec_connect of {name!r} is no Linear layer")
    bias = None if inner.bias is None else as_array(inner.bias)
    piece.feed_back(Linear(f"{name}.rec_connect", as_array(inner.weight), bias), before=False)


FRAMEWORK = Framework(
    name="sinabs",
    neurons={
        **dict.fromkeys(("LIF", "LIFSqueeze", "LIFRecurrent", "LIFRecurrentSqueeze"), _lif),
        **dict.fromkeys(("IAF", "IAFSqueeze", "IAFRecurrent", "IAFRecurrentSqueeze"), _fire),
        **dict.fromkeys(("ExpLeak", "ExpLeakSqueeze"), _readout),
    },
    finish=_feed_back,
)
checkpoint_of, export = FRAMEWORK.checkpoint_of, FRAMEWORK.export
