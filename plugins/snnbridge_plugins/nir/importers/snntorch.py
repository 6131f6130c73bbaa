"""``snntorch.import_nir.import_from_nir`` of snnTorch 1.0."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from snnbridge import Layer
from snnbridge.express import Step
from snnbridge.express.demands import (
    Refused,
    need_hard,
    need_plain,
    need_unbounded,
    need_zero,
    time_constant,
    uniform,
)
from snnbridge.model import Array, Compare
from snnbridge_plugins.nir.importers.base import Importer, framework
from snnbridge_plugins.nir.importers.running import traced_after_search

_ZERO = {"reset_mechanism": "zero", "reset_delay": False}


def _threshold(fields: Mapping[str, Array], scale: Array) -> float:
    """Return the threshold, divided by the factor on the input: weights are never scaled."""
    value = np.asarray(fields["v_threshold"], np.float64)
    if not np.allclose(scale, 1.0):
        value = value / np.unique(scale)[0]
    return uniform(value, "the threshold, divided by the factor on the input,")


def _without_leak(fields: Mapping[str, Array]) -> None:
    if not np.allclose(fields["v_leak"], 0):
        raise Refused("v_leak must be 0")


def _lif(name: str, fields: Mapping[str, Array], dt: float) -> tuple[Layer, ...]:
    _without_leak(fields)
    tau = np.asarray(fields["tau"], np.float64)
    threshold = _threshold(fields, np.asarray(fields["r"], np.float64) * dt / tau)
    beta = 1 - dt / tau
    return framework("snntorch", "Leaky", name, tau.shape, beta=beta, threshold=threshold, **_ZERO)


def _cuba(name: str, fields: Mapping[str, Array], dt: float) -> tuple[Layer, ...]:
    _without_leak(fields)
    mem, syn = (np.asarray(fields[k], np.float64) for k in ("tau_mem", "tau_syn"))
    if not np.allclose(fields["r"], mem / dt):
        raise Refused("r must be tau_mem/dt")
    threshold = _threshold(fields, np.asarray(fields["w_in"], np.float64) * (dt / syn))
    decays = {"alpha": 1 - dt / syn, "beta": 1 - dt / mem}
    return framework(
        "snntorch", "Synaptic", name, mem.shape, threshold=threshold, **decays, **_ZERO
    )


def _if(name: str, fields: Mapping[str, Array], dt: float) -> tuple[Layer, ...]:
    raise Refused("what it builds of an IF cannot be run")


def _writes(step: Step, dt: float) -> tuple[str, dict[str, Array]]:
    need_plain(step)
    need_unbounded(step)
    step = step.scaled()
    threshold = need_hard(step, Compare.GREATER)
    need_zero(step, "constant", "reset", "initial")
    uniform(threshold, "the threshold")
    tau = time_constant(step.beta, dt)
    zero = np.zeros_like(tau)
    if step.current is None:
        return "LIF", {"tau": tau, "r": tau / dt, "v_leak": zero, "v_threshold": threshold}
    syn = time_constant(step.current.alpha, dt)
    fields = {"tau_mem": tau, "tau_syn": syn, "r": tau / dt, "w_in": syn / dt}
    return "CubaLIF", {**fields, "v_leak": zero, "v_threshold": threshold}


IMPORTER = Importer(
    name="snntorch",
    version="1.0",
    call="snntorch.import_nir.import_from_nir(nir.read({file}))",
    neurons={"LIF": _lif, "CubaLIF": _cuba, "IF": _if},
    writes=_writes,
    plain=frozenset({"Affine", "Linear", "Conv1d", "Conv2d", "AvgPool2d", "SumPool2d", "Flatten"}),
    runs=traced_after_search,
    flattens="batch",
)
