"""``norse.torch.from_nir`` of Norse 1.1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from snnbridge import Layer, Neuron, Parameter, Synapse, SynapseRule
from snnbridge.express import Step
from snnbridge.express.demands import (
    Refused,
    need,
    need_hard,
    need_plain,
    need_unbounded,
    need_zero,
    once,
    solved,
)
from snnbridge.model import (
    Array,
    Compare,
    Form,
    InputGain,
    Inputs,
    Scheme,
    SynapseKind,
    SynapseOrder,
    Width,
)
from snnbridge_plugins.nir.importers.base import Importer, framework


def _inverse(tau: Array) -> Array:
    """Return the inverse time constant as Norse computes it, in float32."""
    return np.float32(1) / np.asarray(tau, np.float32)


def _box(name: str, fields: Mapping[str, Array], tau: Array, **more: Any) -> tuple[Layer, ...]:
    return framework(
        "norse", "LIFBoxCell", name, tau.shape,
        tau_mem_inv=_inverse(tau), v_leak=fields["v_leak"], v_th=fields["v_threshold"], **more,
    )  # fmt: skip


def _lif(name: str, fields: Mapping[str, Array], dt: float) -> tuple[Layer, ...]:
    return _box(name, fields, fields["tau"])


def _if(name: str, fields: Mapping[str, Array], dt: float) -> tuple[Layer, ...]:
    return framework("norse", "IAFCell", name, fields["r"].shape, v_th=fields["v_threshold"])


def _cuba(name: str, fields: Mapping[str, Array], dt: float) -> tuple[Layer, ...]:
    if np.any(fields["v_leak"]):
        raise Refused("v_leak must be 0, since its synapse leaks to it as well")
    (made,) = _box(name, fields, fields["tau_mem"])
    assert isinstance(made, Neuron)
    resistance = Parameter(once(fields["r"]))
    neuron = replace(made, parameters={**made.parameters, "resistance": resistance})
    current = {
        "tau_inv": Parameter(once(_inverse(fields["tau_syn"])), "1/s"),
        "input_gain": Parameter(once(fields["w_in"])),
    }
    return Synapse(f"{name}.synapse", neuron.shape, current, _SYNAPSE), neuron


#: ``i + dt*tau_syn_inv*((0 - i) + w_in*x)``; Norse adds the input inside the brackets.
_SYNAPSE = SynapseRule(
    kind=SynapseKind.EXPONENTIAL,
    order=SynapseOrder.DECAY_ADD_USE,
    scheme=Scheme.EULER_INVERSE,
    form=Form.DIFFERENCE,
    input_gain=InputGain.COMPLEMENT,
    inputs=Inputs.SUMMED,
    width=Width.FLOAT32,
)


def _tau(leak: Array, dt: float) -> Array:
    need((leak > 0) & (leak <= 1), "has a decay from 0 to below 1, or all of its layer have 1")
    return solved(lambda tau: np.float32(dt) * _inverse(tau), dt / leak, leak)


def _writes(step: Step, dt: float) -> tuple[str, dict[str, Array]]:
    need_plain(step)
    need_unbounded(step)
    one = np.ones_like(step.beta)
    if step.current is None and np.all(step.beta == 1):
        step = step.scaled()
        need_zero(step, "constant", "reset", "initial")
        return "IF", {"r": one, "v_threshold": need_hard(step, Compare.GREATER)}
    tau = _tau(step.leak, dt)
    if step.current is None:
        step = step.scaled(step.leak)
        v_leak = step.constant / step.leak
        need_zero(step, "reset")
        need(step.initial == v_leak, "starts from the potential that it leaks to")
        threshold = need_hard(step, Compare.GREATER)
        return "LIF", {"tau": tau, "r": one, "v_leak": v_leak, "v_threshold": threshold}
    syn = 1.0 - step.current.alpha
    step = step.scaled(step.leak * syn)
    need_zero(step, "constant", "reset", "initial")
    fields = {"tau_mem": tau, "tau_syn": _tau(syn, dt), "r": one, "w_in": one, "v_leak": 0 * one}
    return "CubaLIF", {**fields, "v_threshold": need_hard(step, Compare.GREATER)}


IMPORTER = Importer(
    name="norse",
    version="1.1",
    call="norse.torch.from_nir(nir.read({file}), dt={dt})",
    neurons={"LIF": _lif, "IF": _if, "CubaLIF": _cuba},
    writes=_writes,
    plain=frozenset({"Affine", "Linear", "Conv2d", "SumPool2d", "Flatten"}),
    dt=2.0**-10,  # a power of two, by which its float32 products are not rounded
    default=1e-3,
    takes_dt=True,
    flattens="batch",
)
