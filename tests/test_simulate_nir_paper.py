"""The published traces of one neuron on several platforms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snnbridge import rules
from snnbridge.model import Form, Quantity, SNNCheckpoint
from snnbridge.simulator import simulate

FOLDER = Path(__file__).parent.parent / "fixtures" / "nir-paper"
RULES = {
    "norse": ("norse", "LIFBoxCell", {"tau_mem_inv": np.float32(400), "v_th": 0.1}),
    "snntorch": (
        "snntorch",
        "Leaky",
        {"beta": 0.96, "threshold": 2.5, "reset_mechanism": "zero", "reset_delay": False},
    ),
    "exact": ("nir", "LIF", {"tau": 0.0025, "v_threshold": 0.1, "method": "exact"}),
    "nengo": ("nengo", "LIF", {"tau_rc": 0.0025, "tau_ref": 0.0, "gain": 10.0}),
}


def run(platform):
    trace = np.loadtxt(FOLDER / f"lif_{platform}.csv", delimiter=",")
    framework, kind, arguments = RULES[platform]
    layer = rules.get(framework, kind).build("lif", shape=(1,), **arguments)
    net = SNNCheckpoint([layer], connections=(), dt=Quantity(1e-4, "s"))
    found = simulate(net, trace[:, :1, None], record={"lif": ("v", "spikes")})
    return trace, found.traces["lif", "v"].ravel(), found.spikes["lif"].ravel()


@pytest.mark.parametrize("platform", RULES)
def test_the_spikes_fall_into_the_published_steps(platform):
    trace, _, spikes = run(platform)
    assert np.flatnonzero(spikes).tolist() == [460, 510, 710, 760]
    assert (spikes == trace[:, 2]).all()


@pytest.mark.parametrize("platform", ["norse", "snntorch"])
def test_every_published_row_is_reproduced_to_the_last_bit(platform):
    trace, v, _ = run(platform)
    assert (v == trace[:, 1].astype(np.float32)).sum() == 1000


def test_the_order_of_the_operations_decides_how_many_rows_agree():
    trace, _, _ = run("norse")
    affine = rules.nir.LIF("lif", shape=(1,), tau=0.0025, v_threshold=0.1, method="euler")
    affine = replace(affine, rule=replace(affine.rule, form=Form.AFFINE))
    net = SNNCheckpoint([affine], connections=(), dt=Quantity(1e-4, "s"))
    v = simulate(net, trace[:, :1, None], record={"lif": "v"}).traces["lif", "v"].ravel()
    assert (v == trace[:, 1].astype(np.float32)).sum() < 500
