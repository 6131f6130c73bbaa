"""Saving and building nets of sinabs with what their state dicts leave out.

That is ``norm_input``, ``spike_fn`` and ``reset_fn``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any

from snnbridge.errors import CheckpointError
from snnbridge.frameworks.building.builder import Builder
from snnbridge.frameworks.building.groups import Group
from snnbridge.frameworks.building.torch_layers import BUILT, padding_of, tensor, trained
from snnbridge.frameworks.reading.live_net import Arguments, Framework
from snnbridge.frameworks.reading.pieces import Piece, as_array
from snnbridge.model import (
    AvgPool,
    BatchNorm,
    Conv1d,
    Conv2d,
    Flatten,
    InputGain,
    Layer,
    Linear,
    MaxPool,
    Reset,
    Scheme,
    SNNCheckpoint,
    SumPool,
)

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
    if name not in ("MultiSpike", "SingleSpike", "MaxSpike"):
        raise CheckpointError(
            f"spike_fn is {name}, which no rule says; expected MultiSpike, SingleSpike or MaxSpike"
        )
    return int(function.max_num_spikes_per_bin) if name == "MaxSpike" else name


def _reset(function: Any) -> Any:
    name = type(function).__name__
    values = {"MembraneSubtract": "subtract_value", "MembraneReset": "reset_value"}
    if name not in values:
        raise CheckpointError(
            f"reset_fn is {name}, which no rule says; expected MembraneSubtract or MembraneReset"
        )
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
        raise CheckpointError(
            f"module {name!r}: rec_connect is a {type(inner).__name__}; expected nn.Linear, which "
            "alone can be told as a layer"
        )
    bias = None if inner.bias is None else as_array(inner.bias)
    piece.feed_back(Linear(f"{name}.rec_connect", as_array(inner.weight), bias), before=False)


def _sum_pool(layer: Any) -> Any:
    if any(padding_of(layer)):
        raise CheckpointError(f"layer {layer.name!r}: sinabs' SumPool2d pads nothing")
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


_TRAINED = {
    "neuron": {
        "tau": "tau_mem", "decay": "alpha_mem",
        "threshold": "spike_threshold", "v_min": "min_v_mem",
    },
    "synapse": {"tau": "tau_syn", "decay": "alpha_syn"},
}  # fmt: skip


def _neuron(group: Group, squeezed: Arguments) -> Any:
    """Return a neuron; `squeezed` is what its class needs to take batch and time as one axis."""
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
    module = _with_decays(getattr(layers, group.kind)(**given, **squeezed), group)
    for part, names in _TRAINED.items():
        trained(module, getattr(group, part), names)
    return module


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


def build(
    checkpoint: SNNCheckpoint,
    *,
    allow_loss: bool = False,
    batch_size: int | None = None,
    num_timesteps: int | None = None,
) -> Any:
    """Return a live net of sinabs' classes with a checkpoint's values.

    Without `batch_size` and `num_timesteps` the net takes (batch, time, ...), images too. With one
    of them its neurons are sinabs' ``Squeeze`` classes, and it takes (batch*time, ...).

    Parameters
    ----------
    checkpoint : SNNCheckpoint
        Layers that feed each other in the same step. Neurons of another framework become those of
        sinabs.
    allow_loss : bool
        Build also what does not quite do the same: spikes at most once in a step, or gives its
        outputs some steps earlier.
    batch_size, num_timesteps : int, optional
        One of them is needed for neurons of a ``Squeeze`` class.

    Returns
    -------
    torch.nn.Sequential or torch.fx.GraphModule
        Its modules under the layers' names; of a chain a ``Sequential``, with others inside for the
        dots in names.

    Raises
    ------
    CheckpointError
        Naming the layer for which sinabs has no module, or whose connections no net of its modules
        has.
    WriteError
        Naming the neuron that none of its classes computes, and why.
    LossyWrite
        If the net would not quite do the same and `allow_loss` is not given.
    """
    given = {"batch_size": batch_size, "num_timesteps": num_timesteps}
    squeezed = {name: n for name, n in given.items() if n is not None}
    builder = Builder(
        name="sinabs",
        neuron=lambda group: _neuron(_of_kind(group, squeezed=bool(squeezed)), squeezed),
        plain={SumPool: _sum_pool} if squeezed else _OVER_TIME,
    )
    return builder.build(checkpoint, allow_loss=allow_loss)


def _of_kind(group: Group, *, squeezed: bool) -> Group:
    """Return a group of the class that takes batch and time as the net does."""
    kind = group.kind
    if kind.endswith("Squeeze") and not squeezed:
        raise group.refuse(
            "takes batch and time as one axis and must know one of them; "
            "give build batch_size= or num_timesteps="
        )
    if not squeezed or kind.endswith("Squeeze"):
        return group
    origin = replace(group.neuron.origin, kind=f"{kind}Squeeze")
    return replace(group, neuron=replace(group.neuron, origin=origin))


def _over_time(make: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that makes a module for (batch, time, ...)."""

    def made(layer: Any, *axes: int) -> Any:
        module = import_module("snnbridge.frameworks.building.sinabs_modules").over_time(
            make(layer, *axes)
        )
        if axes:  # of a BatchNorm: the channels are another one
            module.axes = axes[0] + 1
        return module

    return made


def _flatten(layer: Any) -> Any:
    """Return a Flatten that leaves the steps alone."""
    module = BUILT[Flatten](layer)
    module.start_dim, module.end_dim = (
        n + 1 if n >= 0 else n for n in (module.start_dim, module.end_dim)
    )
    return module


#: Modules for (batch, time, ...).
_OVER_TIME: Mapping[type[Layer], Callable[..., Any]] = {
    **{kind: _over_time(BUILT[kind]) for kind in (Conv1d, Conv2d, AvgPool, MaxPool, BatchNorm)},
    SumPool: _over_time(_sum_pool),
    Flatten: _flatten,
}
