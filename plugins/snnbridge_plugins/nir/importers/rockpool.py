"""``rockpool.nn.modules.torch.nir.from_nir`` of Rockpool 3.1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from snnbridge import Layer, Quantity
from snnbridge.express import Step
from snnbridge.express.demands import (
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
from snnbridge_plugins.nir.importers.running import at_once, without_graphs


def _cuba(name: str, fields: Mapping[str, Array], dt: float) -> tuple[Layer, ...]:
    """Return what it builds: the time step follows from r, the bias is v_leak."""
    step = np.min(np.asarray(fields["tau_mem"]) / (1 + np.asarray(fields["r"])))
    layers = framework(
        "rockpool", "LIFTorch", name, fields["tau_mem"].shape,
        tau_mem=fields["tau_mem"], tau_syn=fields["tau_syn"], threshold=fields["v_threshold"],
        bias=fields["v_leak"],
    )  # fmt: skip
    return tuple(replace(layer, dt=Quantity(float(step), "s")) for layer in layers)


def _writes(step: Step, dt: float) -> tuple[str, dict[str, Array]]:
    need_plain(step)
    need_unbounded(step)
    need(step.current is not None, "has a synapse")
    assert step.current is not None
    step = step.scaled(step.current.alpha)  # its synapse decays what arrives before it is used
    need_zero(step, "initial")
    threshold = need_soft(step, Compare.GREATER_EQUAL, 65536)
    need(same(step.amount, step.threshold), "is lowered by exactly its threshold at a spike")
    mem, syn = (exponential_tau(x, dt) for x in (step.beta, step.current.alpha))  # type: ignore[union-attr]
    fields = {"tau_mem": mem, "tau_syn": syn, "r": mem / np.float32(dt) - 1}
    fields |= {"v_leak": step.constant, "v_threshold": threshold, "w_in": np.ones_like(mem)}
    return "CubaLIF", {name: value.astype(np.float32) for name, value in fields.items()}


IMPORTER = Importer(
    name="rockpool",
    version="3.1",
    call="rockpool.nn.modules.torch.nir.from_nir(nir.read({file}))",
    neurons={"CubaLIF": _cuba},
    writes=_writes,
    plain=frozenset({"Affine", "Linear"}),
    dt=1e-3,
    takes_dt=True,
    runs=without_graphs(at_once),
    nir="1.0.4",
)
