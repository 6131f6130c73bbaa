"""Where rounding decides whether a neuron spikes, a verdict says so, and hides nothing else."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from snnbridge import (
    PER_STEP,
    Connection,
    Input,
    Linear,
    Parameter,
    SNNCheckpoint,
    convert,
    rewrites,
    rules,
    verify,
    write,
)
from snnbridge.cli import main
from snnbridge.model import Compare
from snnbridge.verifier import Comparison


def net(*more, scale=1.0, threshold=1.0, seed=2, **every):
    """A net whose weights sum exactly, but for a factor: then each sum is rounded."""
    rng = np.random.default_rng(seed)
    weights = [(rng.integers(-16, 32, shape) / 32) for shape in ((8, 10), (4, 8))]
    first, last = (weight.astype(np.float32) for weight in weights)
    given = {"beta": 0.75, "threshold": 1.0, **every}
    parts = [
        Input("in", (10,)),
        Linear("fc1", first * np.float32(scale)),
        rules.snntorch.Leaky("lif1", shape=(8,), **given),
        Linear("fc2", last),
        rules.snntorch.Leaky("lif2", shape=(4,), **{**given, "threshold": threshold}),
        *more,
    ]
    edges = [Connection(a.name, b.name) for a, b in pairwise(parts)]
    return SNNCheckpoint(parts, edges, dt=PER_STEP)


def changed(checkpoint, name, **changes):
    new = replace(checkpoint.layers[name], **changes)
    return replace(checkpoint, layers={**checkpoint.layers, name: new})


ROUNDED = 1.0000002


def test_a_last_bit_is_told_apart_from_another_network():
    found = verify(net(), net(scale=ROUNDED))
    assert (found.verdict, found.rounding) == ("indeterminate", False)
    assert 0 < found.rounded <= len(found.hitting)
    assert found.first[1].sample in found.hitting
    assert "part where rounding decides" in found.apart


def test_networks_known_to_round_otherwise_are_equivalent_on_ordinary_samples():
    found = verify(net(), net(scale=ROUNDED), rounding=True)
    assert (found.verdict, found.first) == ("equivalent", None)
    assert found.rounded > 0
    for layer in found.layers:
        assert layer.differing == 0
        assert layer.spikes_left == layer.spikes_right > 0
        assert layer.largest_difference < 1e-5


@pytest.mark.parametrize("rounding", [False, True])
@pytest.mark.parametrize("other", [{"scale": 1.00001}, {"scale": 1.001}, {"threshold": 1.25}])
def test_more_than_a_rounding_is_different(other, rounding):
    found = verify(net(), net(**other), rounding=rounding)
    assert (found.verdict, found.rounded) == ("different", 0)


def test_what_differs_behind_a_rounding_is_different():
    found = verify(net(), net(scale=ROUNDED, threshold=1.25), rounding=True)
    assert found.verdict == "different"
    assert found.first[1].sample not in found.hitting
    assert found.rounded > 0


def test_another_comparison_is_no_rounding():
    rule = replace(net().layers["lif1"].rule, compare=Compare.GREATER_EQUAL)
    found = verify(net(), changed(net(), "lif1", rule=rule), rounding=True)
    assert (found.verdict, found.rounded) == ("different", 0)


def test_a_comparison_with_the_next_number_is_the_same():
    source = net(reset_mechanism="zero")
    other = rewrites.with_compare(source, "lif1", Compare.GREATER_EQUAL)[0]
    assert verify(source, other).verdict == "equivalent"


def test_a_readout_that_differs_is_not_hidden_by_a_rounding_elsewhere():
    layers = [
        Linear("fc3", np.full((2, 4), 0.5, np.float32)),
        rules.snntorch.Leaky("read", shape=(2,), beta=0.5, threshold=1.0, reset_mechanism="none"),
    ]
    silent = replace(layers[1], rule=replace(layers[1].rule, spiking=False))
    other = replace(layers[0], weight=Parameter(np.full((2, 4), 0.501, np.float32)))
    left, same = net(layers[0], silent), net(layers[0], silent, scale=ROUNDED)
    assert verify(left, same, rounding=True).verdict == "equivalent"
    wrong = net(other, silent, scale=ROUNDED)
    found = verify(left, wrong, rounding=True)
    assert (found.verdict, found.first[0].left) == ("different", "read")


def test_every_spike_counts_in_an_input_of_one_s_own():
    sample = verify(net(), net(scale=ROUNDED)).first[1].sample
    made = Comparison(net(), net(scale=ROUNDED), 0.0).stimulus(None, 10, 0, 0.1)["in"]
    hit = made[:, sample : sample + 1]
    own = verify(net(), net(scale=ROUNDED), inputs=hit, rounding=True)
    assert (own.verdict, own.hitting, own.apart) == ("different", (), "")


def late(scale):
    """A net whose spikes are told a step late."""
    rng = np.random.default_rng(1)
    layers = [
        Input("in", (5,)),
        Linear("fc1", (rng.normal(0.2, 0.5, (8, 5)) * scale).astype(np.float32)),
        rules.spyx.LIF("lif1", shape=(8,), beta=0.5),
        Linear("fc2", rng.normal(0.2, 0.5, (3, 8)).astype(np.float32)),
        rules.spyx.LIF("lif2", shape=(3,), beta=0.75),
    ]
    edges = [Connection(a.name, b.name) for a, b in pairwise(layers)]
    return SNNCheckpoint(layers, edges, dt=PER_STEP)


def test_blocks_of_steps_and_latencies_give_the_same_verdict(monkeypatch):
    right = rewrites.with_output_delay(late(ROUNDED), 0)[0]
    told = []
    for size in (64 << 20, 1):
        monkeypatch.setattr("snnbridge.verifier.comparison._BLOCK_BYTES", size)
        found = verify(late(1.0), right, latency=True, rounding=True, steps=30)
        told.append((found.verdict, found.rounded, [x.as_json() for x in found.layers]))
    assert told[0] == told[1]
    assert told[0][0] == "equivalent"
    assert told[0][1] > 0


def spikingjelly(tmp_path, seed):
    """Write a net whose sums are exact; in another framework its input has a factor of a third."""
    rng = np.random.default_rng(seed)
    weight = (rng.integers(-16, 32, (40, 10)) / 32).astype(np.float32)
    lif = rules.spikingjelly.LIFNode("lif", shape=(40,), tau=3.0, v_threshold=1.0, v_reset=0.0)
    parts = [Input("in", (10,)), Linear("fc", weight), lif]
    edges = [Connection(a.name, b.name) for a, b in pairwise(parts)]
    write(SNNCheckpoint(parts, edges, dt=PER_STEP), tmp_path / "net.h5")
    return tmp_path / "net.h5"


def test_a_conversion_that_rounds_is_equivalent_and_tells_what_was_left_out(tmp_path):
    source, target = spikingjelly(tmp_path, seed=0), tmp_path / "net.pt"
    done = convert(source, target, write_options={"for": "sinabs"})
    assert any(entry.status.value == "rounded" for entry in done.ledger)
    assert (done.verdict, done.verification.rounding) == ("equivalent", True)
    assert done.verification.rounded > 0
    assert done.as_json()["verification"]["rounded"] == done.verification.rounded


def test_an_ordinary_sample_that_parts_where_rounding_decides_is_not_called_equivalent(tmp_path):
    source, target = spikingjelly(tmp_path, seed=1), tmp_path / "net.pt"
    done = convert(source, target, write_options={"for": "sinabs"})
    layer, first = done.verification.first
    assert (done.verdict, first.sample in done.verification.hitting) == ("indeterminate", False)
    assert layer.differing > 0


def run(*arguments):
    with pytest.raises(SystemExit) as left:
        main([str(x) for x in arguments])
    return left.value.code


def test_the_commands_say_what_rounding_decides(tmp_path, capsys):
    source, target = spikingjelly(tmp_path, seed=0), tmp_path / "net.pt"
    assert run("convert", source, target, "--for", "sinabs") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "made to hit a threshold part where rounding decides, and are left out" in out
    assert "verdict: equivalent (no spike differs on ordinary inputs)" in out
    assert run("verify", source, target) == 3
    out = " ".join(capsys.readouterr().out.split())
    assert "--rounding leaves them out" in out
    assert "(made to hit a threshold), neuron" in out
    assert run("verify", source, target, "--rounding", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["rounding"]) == ("equivalent", True)
    assert 0 < found["rounded"] <= len(found["hitting"])
