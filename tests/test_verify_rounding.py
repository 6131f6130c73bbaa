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


def branches(scale=1.0, threshold=1.0, seed=0):
    """Two layers that one input feeds, and that do the same but for what is given."""
    weight = np.random.default_rng(seed).integers(-16, 32, (8, 10)).astype(np.float32) / 32
    parts = [
        Input("in", (10,)),
        Linear("fc_a", weight * np.float32(scale)),
        rules.snntorch.Leaky("a", shape=(8,), beta=0.75, threshold=1.0),
        Linear("fc_b", weight),
        rules.snntorch.Leaky("b", shape=(8,), beta=0.75, threshold=threshold),
    ]
    edges = [("in", "fc_a"), ("fc_a", "a"), ("in", "fc_b"), ("fc_b", "b")]
    return SNNCheckpoint(parts, [Connection(*edge) for edge in edges], dt=PER_STEP)


@pytest.mark.parametrize("seed", [1, 2, 3, 5, 6, 7])
def test_a_rounding_hides_nothing_in_a_layer_that_it_does_not_reach(seed):
    left = branches(seed=seed)
    for scale in (1.0, ROUNDED):
        found = verify(left, branches(scale, 0.9999, seed), rounding=True, steps=20)
        assert found.verdict == "different"
    assert found.first[0].left == "b"
    assert [layer.differing > 0 for layer in found.layers] == [False, True]
    with_both = verify(left, branches(scale, seed=seed), rounding=True, steps=20)
    assert (with_both.verdict, with_both.rounded > 0) == ("equivalent", True)


def test_a_layer_is_judged_as_if_no_other_branch_rounded():
    left = branches(seed=1)
    found = [verify(left, branches(s, 0.9999, 1), rounding=True) for s in (1.0, ROUNDED)]
    assert found[0].layers[1].as_json() == found[1].layers[1].as_json()


def looped(scale=1.0, seed=1, delay=2):
    """The two branches, each of which speaks to the other some steps later."""
    weight = np.random.default_rng(3).integers(-16, 16, (8, 8)).astype(np.float32) / 32
    source = branches(scale, seed=seed)
    parts = {**source.layers, "ab": Linear("ab", weight), "ba": Linear("ba", weight)}
    loop = [("a", "ab", delay), ("ab", "b", 0), ("b", "ba", delay), ("ba", "a", 0)]
    edges = [Connection(one, other, delay=steps) for one, other, steps in loop]
    return replace(source, layers=parts, connections=[*source.connections, *edges])


def test_what_a_rounding_does_over_delays_and_loops_is_left_out_too():
    plain = verify(looped(), looped(ROUNDED))
    assert [layer.differing > 0 for layer in plain.layers] == [True, True]
    found = verify(looped(), looped(ROUNDED), rounding=True)
    assert (found.verdict, found.rounded > 0) == ("equivalent", True)
    assert verify(looped(), looped(ROUNDED, delay=3), rounding=True).verdict == "different"


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


def single(weight):
    """A net of one neuron, which a steady input takes to twice the weight."""
    parts = [
        Input("in", (1,)),
        Linear("fc", np.full((1, 1), weight, np.float32)),
        rules.snntorch.Leaky("lif", shape=(1,), beta=0.5, threshold=1.0),
    ]
    edges = [Connection(a.name, b.name) for a, b in pairwise(parts)]
    return SNNCheckpoint(parts, edges, dt=PER_STEP)


def test_a_verdict_names_rounding_only_where_spikes_differ(tmp_path, capsys):
    files = {"a.h5": single(0.2), "b.h5": single(0.45), "c.h5": net(), "d.h5": net(scale=ROUNDED)}
    for name, checkpoint in files.items():
        write(checkpoint, tmp_path / name)
    a, b, c, d = (tmp_path / name for name in files)
    np.save(tmp_path / "drive.npy", np.ones((6, 1, 1), np.float32))
    silent = "no spike differs, but potentials differ by more than their distance to the threshold"
    told = {(a, b, "--input", tmp_path / "drive.npy"): silent}
    told[c, d] = "rounding decides whether spikes differ"
    for given, meaning in told.items():
        page = tmp_path / "page.html"
        assert run("verify", *given, "--report", page) == 3
        out = " ".join(capsys.readouterr().out.split())
        assert f"verdict: indeterminate ({meaning})" in out
        assert f"<p>{meaning}. " in page.read_text()
        assert run("verify", *given, "--json") == 3
        found = json.loads(capsys.readouterr().out)
        assert found["meaning"] == meaning
        assert any(layer["differing"] for layer in found["layers"]) == (meaning != silent)
