"""``spyx.nir.from_nir`` of Spyx 1.0."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from snnbridge import Layer
from snnbridge.express import Step
from snnbridge.express.demands import (
    need,
    need_plain,
    need_soft,
    need_unbounded,
    need_zero,
    same,
    time_constant,
)
from snnbridge.model import Array, Compare
from snnbridge_plugins.nir.importers.base import Importer, framework
from snnbridge_plugins.nir.importers.running import in_a_row


def _lif(name: str, fields: Mapping[str, Array], dt: float) -> tuple[Layer, ...]:
    beta = 1 - dt / np.asarray(fields["tau"], np.float64)
    _check_axes(beta.ndim)
    return framework("spyx", "LIF", name, beta.shape, beta=beta, threshold=fields["v_threshold"])


def _if(name: str, fields: Mapping[str, Array], dt: float) -> tuple[Layer, ...]:
    _check_axes(fields["r"].ndim)
    return framework("spyx", "IF", name, fields["r"].shape, threshold=fields["v_threshold"])


def _cuba(name: str, fields: Mapping[str, Array], dt: float) -> tuple[Layer, ...]:
    decays = {
        ours: 1 - dt / np.asarray(fields[theirs], np.float64)
        for ours, theirs in (("alpha", "tau_syn"), ("beta", "tau_mem"))
    }
    shape = fields["tau_mem"].shape
    _check_axes(len(shape), synapse=True)
    return framework("spyx", "CuBaLIF", name, shape, threshold=fields["v_threshold"], **decays)


def _check_axes(axes: int, *, synapse: bool = False) -> None:
    """Refuse neurons whose arrays it does not turn to images, or whose state it then splits."""
    need(axes < 2 or not synapse, "with a synapse lies along one axis")
    need(axes != 2, "lies along one axis or those of an image")


def _writes(step: Step, dt: float) -> tuple[str, dict[str, Array]]:
    _check_axes(step.beta.ndim, synapse=step.current is not None)
    need_plain(step, delay=1)
    need_unbounded(step)
    step = step.scaled()
    need_zero(step, "constant", "initial")
    threshold = need_soft(step, Compare.GREATER, 1)
    one = np.ones_like(step.beta)
    after_leak = step.amount if step.current is not None else step.amount * step.beta
    need(same(after_leak, step.threshold), "is lowered by exactly its threshold at a spike")
    if step.current is None and np.all(step.beta == 1):
        return "IF", {"r": one, "v_threshold": threshold}
    tau = time_constant(step.beta, dt)
    if step.current is None:
        return "LIF", {"tau": tau, "r": tau, "v_leak": 0 * one, "v_threshold": threshold}
    syn = time_constant(step.current.alpha, dt)
    fields = {"tau_mem": tau, "tau_syn": syn, "r": tau, "w_in": syn, "v_leak": 0 * one}
    return "CubaLIF", {**fields, "v_threshold": threshold}


IMPORTER = Importer(
    name="spyx",
    version="1.0",
    call="spyx.nir.from_nir(nir.read({file}), x)",
    neurons={"LIF": _lif, "IF": _if, "CubaLIF": _cuba},
    writes=_writes,
    plain=frozenset({"Affine", "Linear", "Conv2d", "SumPool2d", "Flatten"}),
    in_steps=True,
    order="channels last",
    output_delay=1,
    runs=in_a_row,
    flattens="all",
)
