"""Saving and building nets of snnTorch with what their state dicts leave out.

A state dict says neither the class of a neuron nor ``reset_delay``, and its
``reset_mechanism_val`` need not be what the net does: a net that loads another value goes on as it
was built.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from snnbridge.errors import CheckpointError
from snnbridge.frameworks.building.builder import Builder
from snnbridge.frameworks.building.groups import Group
from snnbridge.frameworks.building.torch_layers import filled, tensor
from snnbridge.frameworks.reading.live_net import Arguments, Framework
from snnbridge.frameworks.reading.pieces import Piece, as_array
from snnbridge.model import Conv2d, Linear, Reset, ResetTiming, Scale

__all__ = ["build", "checkpoint_of", "export"]

_HOW = {"_base_sub": "subtract", "_base_zero": "zero", "_base_int": "none"}


def _fire(module: Any) -> Arguments:
    if module.inhibition:
        raise CheckpointError(
            "inhibition=True silences all neurons but one, which no rule says; build it without"
        )
    if module.state_quant:
        raise CheckpointError(
            "state_quant rounds the membrane in every step, which no rule says; build it without"
        )
    reset = getattr(module.state_function, "__name__", "")
    if reset not in _HOW:
        raise CheckpointError(
            f"its state_function is {reset or 'its own'}; expected one of {', '.join(_HOW)}"
        )
    return {
        "threshold": module.threshold,
        "graded_spikes_factor": module.graded_spikes_factor,
        "reset_mechanism": _HOW[reset],
        "reset_delay": bool(getattr(module, "reset_delay", True)),  # Lapicque has no choice
    }


def _leaky(module: Any) -> Arguments:
    return {"beta": module.beta, **_fire(module)}


def _synaptic(module: Any) -> Arguments:
    return {"alpha": module.alpha, **_leaky(module)}


def _lapicque(module: Any) -> Arguments:
    parts = {name: getattr(module, name) for name in ("R", "C", "time_step")}
    return {"beta": None, **parts, **_fire(module)}


def _feed_back(name: str, module: Any, piece: Piece) -> None:
    inner = getattr(module, "recurrent", None)
    if inner is None:
        return
    kind = type(inner).__name__
    if kind == "Linear":
        piece.feed_back(Linear(f"{name}.recurrent", as_array(inner.weight), as_array(inner.bias)))
    elif kind == "Conv2d":
        options = {k: getattr(inner, k) for k in ("stride", "padding", "dilation", "groups")}
        weights = as_array(inner.weight), as_array(inner.bias)
        piece.feed_back(Conv2d(f"{name}.recurrent", *weights, **options))
    else:
        piece.feed_back(Scale(f"{name}.V", as_array(inner.V)))


FRAMEWORK = Framework(
    name="snntorch",
    neurons={
        "Leaky": _leaky, "RLeaky": _leaky, "Synaptic": _synaptic, "RSynaptic": _synaptic,
        "Lapicque": _lapicque,
    },
    finish=_feed_back,
)  # fmt: skip


def _neuron(group: Group) -> Any:
    snn = import_module("snntorch")
    given = {key: tensor(value) for key, value in group.arguments().items()}
    factor = given.pop("graded_spikes_factor", None)
    given |= {**_resetting(group), "init_hidden": True}
    if group.kind == "Lapicque":
        given |= _circuit(group)
        given.pop("reset_delay", None)  # it is always late
    kind = getattr(snn, _kind(group))
    module = kind(**given) if group.recurrent is None else _recurrent(kind, group, given)
    if factor is not None:  # not every class takes it
        module.graded_spikes_factor = factor
    for part, names in _TRAINED.items():
        _train(module, getattr(group, part), names)
    return module


#: What may be trained.
_TRAINED = {
    "neuron": {"decay": "beta", "threshold": "threshold", "output_gain": "graded_spikes_factor"},
    "synapse": {"decay": "alpha"},
}


def _train(module: Any, layer: Any, names: Mapping[str, str]) -> None:
    """Make parameters of what is trained, as ``learn_beta=True`` does."""
    nn = import_module("torch").nn
    for name, attribute in names.items():
        held = None if layer is None else layer.parameters.get(name)
        if held is None or held.trainable is not True or attribute not in module._buffers:
            continue
        value = module._buffers.pop(attribute)
        setattr(module, attribute, nn.Parameter(value))


def _kind(group: Group) -> str:
    """Return the class; one with weights of its own where the net has them beside the neuron."""
    if group.recurrent is None or group.kind.startswith("R"):
        return group.kind
    rule = group.neuron.rule
    late = rule.reset_timing is ResetTiming.NEXT_AFTER_LEAK and rule.reset is Reset.SUBTRACT
    if group.kind not in ("Leaky", "Synaptic") or not (late or rule.reset is Reset.NONE):
        raise group.refuse(
            f"feeds itself through {group.recurrent.name!r}; R{group.kind} would reset in another "
            "way, so that no Sequential of snnTorch does the same: keep the loop in your own "
            "forward, and load the state dict there"
        )
    if group.waits and group.recurrent.parameters.get("bias") is not None:
        raise group.refuse(
            f"feeds itself through {group.recurrent.name!r}, whose bias is silent at the first "
            f"step; that of an R{group.kind} is not"
        )
    return f"R{group.kind}"


def _circuit(group: Group) -> Arguments:
    dt = group.neuron.dt
    given = {"R": tensor(group.value("resistance")), "C": tensor(group.value("capacitance"))}
    return given if dt is None else {**given, "time_step": dt.value}


def _resetting(group: Group) -> Arguments:
    rule = group.neuron.rule
    if rule.reset is Reset.NONE:
        return {"reset_mechanism": "none"}
    late = rule.reset_timing in (ResetTiming.NEXT_AFTER_LEAK, ResetTiming.NEXT_BEFORE_LEAK)
    how = "subtract" if rule.reset is Reset.SUBTRACT else "zero"
    return {"reset_mechanism": how, "reset_delay": late}


def _recurrent(kind: Any, group: Group, given: Arguments) -> Any:
    layer: Any = group.recurrent
    if layer.kind == "Scale":
        return kind(**given, all_to_all=False, V=tensor(layer.factor.value))
    if layer.kind == "Linear":
        module = kind(**given, linear_features=layer.size[0])
    else:
        window = layer.weight.value.shape[2:]
        module = kind(**given, conv2d_channels=layer.size[0], kernel_size=window)
    filled(module.recurrent, layer)
    return module


checkpoint_of, export = FRAMEWORK.checkpoint_of, FRAMEWORK.export
build = Builder(name="snntorch", neuron=_neuron).build
