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


@pytest.mark.parametrize("name", ["lif1", "lif2"])
def test_another_comparison_is_no_rounding(name):
    rule = replace(net().layers[name].rule, compare=Compare.GREATER_EQUAL)
    found = verify(net(), changed(net(), name, rule=rule), rounding=True)
    assert (found.verdict, found.rounded) == ("different", 0)


def test_a_comparison_with_the_next_number_is_the_same():
    other = rewrites.with_compare(net(reset_mechanism="zero"), Compare.GREATER_EQUAL)[0]
    assert verify(net(reset_mechanism="zero"), other).verdict == "equivalent"


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


def test_blocks_of_steps_and_latencies_give_the_same_verdict(monkeypatch):
    rng = np.random.default_rng(1)

    def late(scale):
        layers = [
            Input("in", (5,)),
            Linear("fc1", (rng.integers(-8, 16, (8, 5)) / 16 * scale).astype(np.float32)),
            rules.spyx.LIF("lif1", shape=(8,), beta=0.5),
            Linear("fc2", (rng.integers(-8, 16, (3, 8)) / 16).astype(np.float32)),
            rules.spyx.LIF("lif2", shape=(3,), beta=0.75),
        ]
        edges = [Connection(a.name, b.name) for a, b in pairwise(layers)]
        return SNNCheckpoint(layers, edges, dt=PER_STEP)

    left = late(1.0)
    rng = np.random.default_rng(1)
    right = rewrites.with_output_delay(late(ROUNDED), 0)[0]
    verdicts = []
    for size in (64 << 20, 1):
        monkeypatch.setattr("snnbridge.verifier.comparison._BLOCK_BYTES", size)
        found = verify(left, right, latency=True, rounding=True, steps=30)
        verdicts.append((found.verdict, found.rounded, [x.spikes for x in found.layers]))
    assert verdicts[0] == verdicts[1]
    assert verdicts[0][0] == "equivalent"
    assert verdicts[0][1] > 0


def written(tmp_path):
    rng = np.random.default_rng(0)
    source = changed(
        net(reset_mechanism="zero", beta=0.9),
        "fc1",
        weight=Parameter(rng.normal(0.1, 0.4, (8, 10)).astype(np.float32)),
    )
    write(source, tmp_path / "net.h5")
    return tmp_path / "net.h5"


def test_a_conversion_that_rounds_is_equivalent_and_tells_what_was_left_out(tmp_path):
    source, target = written(tmp_path), tmp_path / "net.pt"
    done = convert(source, target, write_options={"for": "norse"})
    assert any(entry.status.value == "rounded" for entry in done.ledger)
    assert (done.verdict, done.verification.rounding) == ("equivalent", True)
    assert done.verification.rounded > 0
    assert done.as_json()["verification"]["rounded"] == done.verification.rounded


def test_the_commands_say_what_rounding_decides(tmp_path, capsys):
    source, target = written(tmp_path), tmp_path / "net.pt"
    assert main(["convert", str(source), str(target), "--for", "norse"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "made to hit a threshold part where rounding decides, and are left out" in out
    assert "verdict: equivalent (no spike differs on ordinary inputs)" in out
    assert main(["verify", str(source), str(target)]) == 3
    out = " ".join(capsys.readouterr().out.split())
    assert "--rounding leaves them out" in out
    assert "(made to hit a threshold), neuron" in out
    assert main(["verify", str(source), str(target), "--rounding", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["rounding"]) == ("equivalent", True)
    assert 0 < found["rounded"] <= len(found["hitting"])
