"""``sinabs.nir.from_nir`` of sinabs 3.1."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from snnbridge import Layer
from snnbridge.express import Step
from snnbridge.express.demands import (
    Refused,
    exponential_tau,
    need,
    need_plain,
    need_soft,
    need_unbounded,
    need_zero,
    same,
)
from snnbridge.model import Array, Compare
from snnbridge_plugins.nir.importers.base import Importer, framework
from snnbridge_plugins.nir.importers.running import at_once


def _need_vector(v_leak: Array) -> None:
    """Refuse neurons in several axes: the importer asks ``any`` of a whole row."""
    if v_leak.ndim > 1:
        raise Refused("its neurons must lie along one axis")


def _lif(name: str, fields: Mapping[str, Array], dt: float) -> tuple[Layer, ...]:
    _need_vector(fields["v_leak"])
    if np.any(fields["v_leak"]):
        raise Refused("v_leak must be 0")
    return framework(
        "sinabs", "LIF", name, fields["tau"].shape,
        tau_mem=fields["tau"], spike_threshold=fields["v_threshold"], norm_input=False,
    )  # fmt: skip


def _if(name: str, fields: Mapping[str, Array], dt: float) -> tuple[Layer, ...]:
    threshold = np.asarray(fields["v_threshold"], np.float32)
    return framework(
        "sinabs", "IAF", name, fields["r"].shape, spike_threshold=threshold, min_v_mem=-threshold
    )


def _li(name: str, fields: Mapping[str, Array], dt: float) -> tuple[Layer, ...]:
    _need_vector(fields["v_leak"])
    if np.any(fields["v_leak"]) or np.any(fields["r"] != 1):
        raise Refused("v_leak must be 0, and r must be 1")
    return framework(
        "sinabs", "ExpLeak", name, fields["tau"].shape, tau_mem=fields["tau"], norm_input=False
    )


def _writes(step: Step, dt: float) -> tuple[str, dict[str, Array]]:
    need_plain(step)
    need(step.current is None, "has no synapse")
    one = np.ones_like(step.beta, np.float32)
    if step.rule.spiking is False:
        need(step.gain == 1, "that does not spike takes its input as it is")
        need_zero(step, "constant", "initial")
        need_unbounded(step)
        return "LI", {"tau": exponential_tau(step.beta, 1.0), "r": one, "v_leak": 0 * one}
    step = step.scaled()
    need_zero(step, "constant", "initial")
    threshold = need_soft(step, Compare.GREATER_EQUAL, None).astype(np.float32)
    need(same(step.amount, step.threshold), "is lowered by exactly its threshold at a spike")
    if np.all(step.beta == 1) and same(step.floor, -step.threshold):
        return "IF", {"r": one, "v_threshold": threshold}
    need_unbounded(step)
    tau = exponential_tau(step.beta, 1.0)
    return "LIF", {"tau": tau, "r": one, "v_leak": 0 * one, "v_threshold": threshold}


IMPORTER = Importer(
    name="sinabs",
    version="3.1",
    call="sinabs.nir.from_nir(nir.read({file}), batch_size=...)",
    neurons={"LIF": _lif, "IF": _if, "LI": _li},
    writes=_writes,
    plain=frozenset({"Affine", "Conv2d", "SumPool2d", "Flatten"}),
    in_steps=True,
    biased=True,
    runs=at_once,
    nir="1.0.4",
)
