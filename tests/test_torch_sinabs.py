"""Templates of sinabs: time constants, or with ``train_alphas`` decays."""

from itertools import pairwise

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from snnbridge import PER_STEP, Connection, Linear, Registry, SNNCheckpoint, Status, rules, write
from snnbridge_plugins import torch

REGISTRY = Registry([torch])


def net(**decays):
    chain = rules.sinabs.LIF.chain("lif", shape=(2,), norm_input=False, **decays)
    names = ["fc", *(layer.name for layer in chain)]
    edges = [Connection(a, b) for a, b in pairwise(names)]
    fc = Linear("fc", np.eye(2, dtype=np.float32))
    return SNNCheckpoint([fc, *chain], connections=edges, dt=PER_STEP)


def template(path, **decays):
    """Write what a new net holds."""
    held = {key: np.asarray(value, np.float32) for key, value in decays.items()}
    held |= {"spike_threshold": np.ones((), np.float32), "v_mem": np.zeros(0, np.float32)}
    held |= {"i_syn": np.zeros(0, np.float32)}
    weight = {"fc.weight": np.zeros((2, 2), np.float32)}
    save_file({**weight, **{f"lif.{key}": value for key, value in held.items()}}, path)
    return str(path)


def put(checkpoint, path, like):
    ledger = write(checkpoint, path, registry=REGISTRY, options={"like": like})
    return load_file(path), [x.status for x in ledger.told if "the template keeps" in x.reason]


def test_decays_become_the_time_constants_that_a_default_net_has(tmp_path):
    like = template(tmp_path / "fresh.safetensors", tau_mem=10.0, tau_syn=5.0)
    alphas = {"alpha_mem": np.exp(np.float32(-1 / 20)), "alpha_syn": np.exp(np.float32(-1 / 3))}
    source = net(tau_mem=1.0, tau_syn=1.0, **alphas)
    held, told = put(source, tmp_path / "net.safetensors", like)
    assert np.exp(np.float32(-1) / held["lif.tau_mem"]) == alphas["alpha_mem"]
    assert held["lif.tau_mem"] == pytest.approx(20, rel=1e-5)
    assert len(told) == 2
    assert set(told) <= {Status.REWRITTEN, Status.ROUNDED}


def test_time_constants_become_the_decays_that_are_trained(tmp_path):
    like = template(tmp_path / "fresh.safetensors", alpha_mem=0.5, alpha_syn=0.5)
    held, told = put(net(tau_mem=20.0, tau_syn=3.0), tmp_path / "net.safetensors", like)
    assert held["lif.alpha_mem"] == np.exp(np.float32(-1) / np.float32(20))
    assert told == [Status.REWRITTEN] * 2


def test_the_same_form_stays_as_it_is(tmp_path):
    like = template(tmp_path / "fresh.safetensors", tau_mem=10.0, tau_syn=5.0)
    held, told = put(net(tau_mem=20.0, tau_syn=3.0), tmp_path / "net.safetensors", like)
    assert (held["lif.tau_mem"], told) == (20.0, [])
