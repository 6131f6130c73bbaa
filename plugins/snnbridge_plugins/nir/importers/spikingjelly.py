"""``spikingjelly.activation_based.nir_exchange.import_from_nir`` of SpikingJelly 2.0."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from snnbridge import Layer
from snnbridge.express import Step
from snnbridge.express.demands import (
    Refused,
    need,
    need_hard,
    need_plain,
    need_unbounded,
    need_zero,
    time_constant,
    uniform,
)
from snnbridge.model import Array, Compare, Form, InputGain
from snnbridge_plugins.nir.importers.base import Importer, framework
from snnbridge_plugins.nir.importers.running import traced


def _close(value: float, wanted: float) -> bool:
    return bool(np.isfinite(value) and np.isclose(value, wanted, rtol=1e-6, atol=1e-12))


def _fire(fields: Mapping[str, Array]) -> dict[str, float]:
    reset = fields.get("v_reset", np.zeros(1))
    return {
        "v_threshold": uniform(fields["v_threshold"], "v_threshold"),
        "v_reset": uniform(reset, "v_reset"),
    }


def _lif(name: str, fields: Mapping[str, Array], dt: float) -> tuple[Layer, ...]:
    tau, r = uniform(fields["tau"], "tau") / dt, uniform(fields["r"], "r")
    if tau <= 1 or not (_close(r, 1.0) or _close(r, tau)):
        raise Refused("tau must be above dt, and r must be 1 or tau/dt")
    fire = _fire(fields)
    if not _close(uniform(fields["v_leak"], "v_leak"), fire["v_reset"]):
        raise Refused("v_leak must be v_reset")
    return framework(
        "spikingjelly", "LIFNode", name, fields["tau"].shape,
        tau=tau, decay_input=_close(r, 1.0), **fire,
    )  # fmt: skip


def _if(name: str, fields: Mapping[str, Array], dt: float) -> tuple[Layer, ...]:
    if not _close(uniform(fields["r"], "r"), 1.0 / dt):
        raise Refused("r must be 1/dt")
    return framework("spikingjelly", "IFNode", name, fields["r"].shape, **_fire(fields))


def _cuba(name: str, fields: Mapping[str, Array], dt: float) -> tuple[Layer, ...]:
    mem, syn = (uniform(fields[k], k) for k in ("tau_mem", "tau_syn"))
    r, w_in = uniform(fields["r"], "r"), uniform(fields["w_in"], "w_in")
    if not (_close(r, mem / dt) and _close(w_in, syn / dt)) or np.any(fields["v_leak"]):
        raise Refused("r must be tau_mem/dt, w_in tau_syn/dt and v_leak 0")
    if min(mem, syn) < dt:
        raise Refused("no time constant may be below dt")
    return framework(
        "spikingjelly", "CUBALIFNode", name, fields["r"].shape,
        c_decay=1.0 - dt / syn, v_decay=1.0 - dt / mem, **_fire(fields),
    )  # fmt: skip


def _writes(step: Step, dt: float) -> tuple[str, dict[str, Array]]:
    need_plain(step)
    need_unbounded(step)
    if _is_quotient(step):
        return "LIF", _quotient(step, dt)
    step = step.scaled()
    need_zero(step, "constant")
    fire = _hard(step)
    one = np.ones_like(step.beta)
    if step.current is None and np.all(step.beta == 1):
        return "IF", {"r": one / dt, **fire}
    tau = time_constant(step.beta, dt)
    # A synapse that forgets at once: its current is what arrives.
    syn = time_constant(step.current.alpha if step.current else 0 * one, dt)
    fields = {"tau_mem": tau, "tau_syn": syn, "r": tau / dt, "w_in": syn / dt, "v_leak": 0 * one}
    return "CubaLIF", {**fields, **fire}


def _is_quotient(step: Step) -> bool:
    inside = step.rule.input_gain is InputGain.COMPLEMENT
    plain = step.current is None and np.all(step.beta < 1) and step.rule.form is Form.QUOTIENT
    return bool(plain and np.all(step.gain == (step.leak if inside else 1.0)))


def _quotient(step: Step, dt: float) -> dict[str, Array]:
    v_leak = step.constant / step.leak
    need(np.isclose(v_leak, step.reset, rtol=1e-6), "is reset to what it leaks to")
    tau = dt / step.leak
    inside = step.rule.input_gain is InputGain.COMPLEMENT
    r = np.ones_like(tau) if inside else tau / dt
    return {"tau": tau, "r": r, "v_leak": step.reset, **_hard(step)}


def _hard(step: Step) -> dict[str, Array]:
    threshold = need_hard(step, Compare.GREATER_EQUAL)
    need(step.initial == step.reset, "starts from its reset potential")
    uniform(threshold, "the threshold")
    uniform(step.reset, "the potential after a spike")
    uniform(step.beta, "the decay")
    return {"v_threshold": threshold, **({"v_reset": step.reset} if step.reset.any() else {})}


IMPORTER = Importer(
    name="spikingjelly",
    version="2.0",
    call="spikingjelly.activation_based.nir_exchange.import_from_nir({file}, dt={dt})",
    neurons={"LIF": _lif, "IF": _if, "CubaLIF": _cuba},
    writes=_writes,
    plain=frozenset({"Affine", "Linear", "Conv1d", "Conv2d", "AvgPool2d", "SumPool2d", "Flatten"}),
    takes_dt=True,
    runs=traced,
)
