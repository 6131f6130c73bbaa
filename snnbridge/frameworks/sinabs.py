"""Saving nets of sinabs with what their state dicts leave out: norm_input, spike_fn, reset_fn."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from snnbridge.errors import CheckpointError
from snnbridge.frameworks._building import Builder, Group
from snnbridge.frameworks._pieces import Piece, as_array
from snnbridge.frameworks._standard import BUILT, tensor
from snnbridge.frameworks._torch import Arguments, Framework
from snnbridge.model import InputGain, Linear, Reset, Scheme, SumPool

__all__ = ["build", "checkpoint_of", "export"]


def _leak(module: Any, which: str) -> Arguments:
    """Return a time constant, or the decay where that is trained."""
    tau, decay = (getattr(module, f"{kind}_{which}", None) for kind in ("tau", "alpha"))
    if not module.train_alphas or decay is None:
        return {f"tau_{which}": tau}
    return {f"tau_{which}": 1.0, f"alpha_{which}": decay}  # the decay counts


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


def _sum_pool(layer: Any) -> Any:
    return import_module("sinabs.layers").SumPool2d(layer.window, layer.stride)


FRAMEWORK = Framework(
    name="sinabs",
    neurons={
        **dict.fromkeys(("LIF", "LIFSqueeze", "LIFRecurrent", "LIFRecurrentSqueeze"), _lif),
        **dict.fromkeys(("IAF", "IAFSqueeze", "IAFRecurrent", "IAFRecurrentSqueeze"), _fire),
        **dict.fromkeys(("ExpLeak", "ExpLeakSqueeze"), _readout),
    },
    finish=_feed_back,
)


def _neuron(group: Group) -> Any:
    layers = import_module("sinabs.layers")
    given: Arguments = {"norm_input": value} if (value := _norm(group)) is not None else {}
    if group.kind.startswith(("LIF", "ExpLeak")):
        given["tau_mem"] = _steps(group, "neuron")
        given["train_alphas"] = group.neuron.rule.scheme is Scheme.STATED
    if group.synapse is not None:
        given["tau_syn"] = _steps(group, "synapse")
    if group.neuron.rule.spiking is True:
        given |= _firing(group)
    if (floor := group.value("v_min")) is not None:
        given["min_v_mem"] = tensor(floor)
    if group.recurrent is not None:
        given["rec_connect"] = BUILT[Linear](group.recurrent)
    module = getattr(layers, group.kind.replace("Squeeze", ""))(**given)
    return _with_decays(module, group)


def _norm(group: Group) -> bool | None:
    if group.kind.startswith("IAF"):
        return None
    return group.neuron.rule.input_gain is InputGain.COMPLEMENT


def _steps(group: Group, which: str) -> Any:
    """Return a time constant; any will do where the decay itself is put in its place."""
    held = group.value("tau", of=which)
    return 10.0 if held is None else tensor(held)


def _firing(group: Group) -> Arguments:
    activation = import_module("sinabs.activation")
    most, rule = group.neuron.rule.max_spikes, group.neuron.rule
    spikes = {None: activation.MultiSpike, 1: activation.SingleSpike}
    subtract = group.value("reset_amount")
    reset = (
        activation.MembraneReset()
        if rule.reset is Reset.SET
        else activation.MembraneSubtract(None if subtract is None else _amount(subtract))
    )
    return {
        "spike_threshold": tensor(group.value("threshold")),
        "spike_fn": spikes[most] if most in spikes else activation.MaxSpike(most),
        "reset_fn": reset,
    }


def _amount(subtract: Any) -> Any:
    return float(subtract.reshape(())) if subtract.size == 1 else tensor(subtract)


def _with_decays(module: Any, group: Group) -> Any:
    torch = import_module("torch")
    for which, layer in (("mem", "neuron"), ("syn", "synapse")):
        decay = group.value("decay", of=layer)
        if decay is not None:
            setattr(module, f"alpha_{which}", torch.nn.Parameter(tensor(decay)))
    return module


checkpoint_of, export = FRAMEWORK.checkpoint_of, FRAMEWORK.export
build = Builder(name="sinabs", neuron=_neuron, plain={SumPool: _sum_pool}).build
