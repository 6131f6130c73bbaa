"""Saving and building nets of Rockpool's torch modules with what their state dicts leave out.

The modules are ``rockpool.nn.modules.torch``; a state dict lacks ``dt``, ``leak_mode`` and
``max_spikes_per_dt``.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from snnbridge.errors import CheckpointError
from snnbridge.frameworks.building.builder import Builder
from snnbridge.frameworks.building.groups import Group
from snnbridge.frameworks.building.torch_layers import tensor, trained
from snnbridge.frameworks.reading.live_net import Arguments, Framework
from snnbridge.frameworks.reading.pieces import Piece, as_array
from snnbridge.model import Linear, Origin, Quantity, Scheme

__all__ = ["build", "checkpoint_of", "export"]

_LEAK = {"taus": "tau_{}", "decays": "{}", "bitshifts": "dash_{}"}
_SCHEMES = {"taus": Scheme.EXACT, "decays": Scheme.STATED, "bitshifts": Scheme.BIT_SHIFT}
_DECAYS = {"mem": "alpha", "syn": "beta"}


def _leak(module: Any, which: str) -> Arguments:
    mode = getattr(module, "leak_mode", "taus")
    name = _DECAYS[which] if mode == "decays" else _LEAK[mode].format(which)
    value = getattr(module, name)
    one = which == "syn" and value.ndim == 2 and value.shape[1] == 1
    return {"leak_mode": mode, name: value[:, 0] if one else value}


def _silent(module: Any) -> None:
    """Refuse a module that adds noise."""
    noise = float(getattr(module, "noise_std", 0))
    if noise != 0:
        raise CheckpointError(f"noise_std is {noise}, and noise is in no rule; expected 0")


def _synapse(module: Any) -> Arguments:
    _silent(module)
    return {"tau": module.tau, "shape": (module.size_out,)}


def _neuron(module: Any) -> Arguments:
    _silent(module)
    given = {name: getattr(module, name) for name in ("threshold", "max_spikes_per_dt")}
    bias = getattr(module, "bias", None)
    held = {} if bias is None or isinstance(bias, int) else {"bias": bias}
    return {**_leak(module, "mem"), **given, **held, "shape": (module.size_out,)}


def _lif(module: Any) -> Arguments:
    synapses = module.n_synapses
    more = {"receptors": synapses} if synapses > 1 else {}
    return {**_neuron(module), **_leak(module, "syn"), **more}


def _feed_back(name: str, module: Any, piece: Piece) -> None:
    if getattr(module, "_has_rec", False):
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
        "ExpSynTorch": _synapse,
    },
    finish=_feed_back,
    special={"LinearTorch": _linear},
    time_step=lambda module: module.dt,
)


_TRAINED = {
    "neuron": {
        "tau": "tau_mem", "decay": "alpha", "dash": "dash_mem", "threshold": "threshold",
        "bias": "bias",
    },
    "synapse": {"tau": "tau_syn", "decay": "beta", "dash": "dash_syn"},
    "recurrent": {"weight": "w_rec"},
}  # fmt: skip


def _built(group: Group) -> Any:
    modules = import_module("rockpool.nn.modules")
    shape = tuple(group.neuron.shape)
    given = {key: tensor(value) for key, value in group.arguments().items()}
    if group.kind != "ExpSynTorch":
        given |= _times(group, "neuron", "mem")
        given["max_spikes_per_dt"] = group.neuron.rule.max_spikes
    if group.kind == "LIFTorch":
        given |= _times(group, "synapse", "syn")
        given["has_rec"] = group.recurrent is not None
        shape = (shape[0] * group.synapse.receptors, shape[0])
    module = getattr(modules, group.kind)(shape, dt=_seconds(group), **given)
    if group.recurrent is not None:
        module.w_rec.data.copy_(tensor(group.recurrent.weight.value.T))
    for part, names in _TRAINED.items():
        trained(module, getattr(group, part), names)
    return module


def _times(group: Group, layer: str, which: str) -> Arguments:
    """Return a time constant by the leak mode's own name."""
    scheme = getattr(group, layer).rule.scheme
    mode = next(mode for mode, value in _SCHEMES.items() if value is scheme)
    parameter = {"taus": "tau", "decays": "decay", "bitshifts": "dash"}[mode]
    name = _DECAYS[which] if mode == "decays" else _LEAK[mode].format(which)
    value = group.value(parameter, of=layer)
    one = which == "syn" and value.ndim == 1
    more = {} if group.kind == "LIFNeuronTorch" else {"leak_mode": mode}
    return {name: tensor(value[:, None] if one else value), **more}


def _seconds(group: Group) -> float:
    dt = group.checkpoint.dt
    if not isinstance(dt, Quantity):
        raise group.refuse("Rockpool needs a time step in seconds; state dt")
    return dt.seconds


def _module(layer: Any) -> Any:
    modules, torch = import_module("rockpool.nn.modules"), import_module("torch")
    has_bias = layer.bias is not None
    module = modules.LinearTorch(layer.size, has_bias=has_bias)
    module.weight = torch.nn.Parameter(tensor(layer.weight.value.T))
    if has_bias:
        module.bias = torch.nn.Parameter(tensor(layer.bias.value))
    trained(module, layer, {"weight": "weight", "bias": "bias"})
    return module


def _sequential(modules: Any) -> Any:
    return import_module("rockpool.nn.combinators").Sequential(*modules.values())


checkpoint_of, export = FRAMEWORK.checkpoint_of, FRAMEWORK.export
build = Builder(
    name="rockpool",
    neuron=_built,
    sequential=_sequential,
    plain={Linear: _module},
    chains=True,
    synapses=frozenset({"ExpSynTorch"}),
).build
