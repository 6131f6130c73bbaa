"""Nets as people write them: what `export` sees of them, what it leaves alone, what it says."""

import json
from pathlib import Path

import numpy as np
import pytest

import beside
from snnbridge import UNKNOWN, Neuron, read, simulate

ROOT = Path(__file__).parents[2]
NETS = (
    "snntorch_direct", "snntorch_one_pool", "snntorch_tied", "snntorch_modules",
    "snntorch_one_axis", "snntorch_own_recurrence", "snntorch_functions",
    "snntorch_loop_from_zeros", "snntorch_residual", "snntorch_lapicque", "snntorch_subclass",
    "snntorch_normed_weights", "norse_over_time", "norse_over_time_then_by_step",
    "sinabs_from_model", "sinabs_images", "sinabs_merged", "spikingjelly_normed",
    "spikingjelly_residual",
)  # fmt: skip
#: What is said of nets that cannot be told as layers.
ERRORS = {
    "shared neuron": "module 'lif1' is used 2 times in every step",
    "shared neuron in a chain": "one module stands at '1' and '3'",
    "input": "'input', which is no module of the net; leave it out",
    "no module": "'lif', which is no module of the net; the modules are 'fc1', 'lif1'",
    "no edge": "a connection is (source, target)",
    "state_quant": "module '1' (Leaky): state_quant rounds",
    "inhibition": "module '1' (Leaky): inhibition=True",
    "dilation": "module '1' (MaxPool2d) has dilation=2",
    "ceil_mode": "module '1' (MaxPool2d) has ceil_mode=True",
    "divisor_override": "module '1' (AvgPool2d) has divisor_override=3",
    "padding_mode": "module '1' (Conv2d) has padding_mode='circular'",
    "track_running_stats": "module '1' (BatchNorm2d) keeps no running statistics",
    "start_dim": "module '1' (Flatten) joins axis 0",
    "overlapping": "module '1' (AdaptiveAvgPool2d) makes (4, 4) of (7, 7)",
    "noise": "module '1_LIFTorch' (LIFTorch): noise_std is 0.5",
    "spike_fn": "module '1' (IAF): spike_fn is Own",
}
WARNINGS = {
    "changed in place": "what feeds module 'lif1': not known: the output of 'fc1' is changed",
    "scaled in place": "what feeds module 'lif1': not known: the output of 'fc1' is changed",
    "transposed": "what feeds module 'lif1': not known: it takes a part of the output of 'fc1'",
    "a part": "what feeds module 'lif1': not known: it takes a part of the output of 'fc1'",
    "a function": "what feeds module 'lif1': not known: it takes what the function 'mul' gives",
    "a scaled input": "what feeds module 'fc1': not known: it takes what the function 'mul' gives",
    "spread": "what feeds module 'lif1': not known: it takes a sum of tensors of different shapes",
    "twice": "what feeds module 'lif1': not known: it takes one output twice",
    "more of it": "what feeds module 'lif2': not known: it takes what the function 'add' gives",
    "zeros": "what feeds module 'fc2': not known: it takes zeros, and whether spikes come",
    "random": "what feeds module 'lif1': not known: it takes what the function 'dropout' gives",
    "now and then": "what feeds module 'fc2': not known: what it takes differs from step to step",
    "own reset": "the state of module 'lif': not the one that it gave in the step before: what the"
    " function 'sub' gives",
    "own leak": "in the step before: what the function 'mul_' gives is given in its place",
    "now and then zero": "in the step before: zeros are given in its place",
    "begun anew": "the state of module 'lif': not the one that it gave in the step before: none is",
    "potential": "what feeds module 'fc2': not known: it takes a state of 'lif1', not its output",
    "no sample": "connections: not known, since Loop is no nn.Sequential: pass sample=",
    "adaptive": "pass sample=, an input of the net, with which it is known as an AvgPool",
    "relu": "behind a layer of spikes it changes nothing",
    "own class": "does what __main__.Leaky does; it is kept, but not simulated",
    "own forward": "it is a Leaky with a forward of its own",
    "images": "the shape of '1': no module states it; pass sample=",
}
LINES = {
    "unused": "modules 'fc2', 'lif2': left out",
    "handed on": "surrogate gradients",
    "copied": "modules 'fc2', 'lif2': left out",
    "dropout": "module '1' (Dropout): left out: p=0.25",
}

pytestmark = pytest.mark.live


def judge(folder, action, **arguments):
    """Ask the real frameworks."""
    told = json.dumps(arguments)
    return beside.ask("torch", "judge_torch_nets.py", action, told, folder=folder)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    return folder, judge(folder, "exported")


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    return judge(tmp_path_factory.mktemp("told"), "told")


@pytest.mark.parametrize("name", NETS)
def test_the_simulator_gives_the_spikes_of_the_live_net(name, exported):
    checkpoint = read(exported[0] / name / "net.pt")
    with np.load(exported[0] / name / "run.npz") as held:
        inputs, spikes = held["input"], held["output"]
    neurons = [layer.name for layer in checkpoint.layers.values() if isinstance(layer, Neuron)]
    last = neurons[-1]
    found = simulate(checkpoint, inputs, record={last: "output"}).traces[last, "output"]
    assert spikes.any()
    assert np.array_equal(found, spikes)


@pytest.mark.parametrize("name", NETS)
def test_a_net_that_is_built_gives_the_same_spikes(name, exported):
    assert exported[1][name]["differing"] == 0


@pytest.mark.parametrize("name", NETS)
def test_a_net_is_after_its_export_what_it_was_before(name, exported):
    assert exported[1][name]["changed"] == []


def test_a_module_that_stands_twice_is_two_tied_layers(exported):
    tied, pools = (
        read(exported[0] / f"snntorch_{name}" / "net.pt") for name in ("tied", "one_pool")
    )
    assert frozenset({("0", "weight"), ("2", "weight")}) in tied.ties
    assert {"pool", "pool_2", "fc", "fc_2"} <= set(pools.layers)
    assert frozenset({("fc", "weight"), ("fc_2", "weight")}) in pools.ties


def test_a_net_beside_the_one_that_runs_is_left_out(exported):
    checkpoint = read(exported[0] / "sinabs_from_model" / "net.pt")
    assert not any(name.startswith("analog_model") for name in checkpoint.layers)
    assert checkpoint.connections is not UNKNOWN


@pytest.mark.parametrize("name", ERRORS)
def test_what_no_layer_does_is_refused_by_name(name, told):
    assert ERRORS[name] in told[name]["error"]


@pytest.mark.parametrize("name", WARNINGS)
def test_what_is_not_known_of_a_net_is_a_warning_and_a_line_of_the_ledger(name, told):
    assert told[name]["error"] == ""
    assert any(WARNINGS[name] in text for text in told[name]["warnings"])
    assert set(told[name]["warnings"]) <= set(told[name]["lines"])
    assert told[name]["losses"] == len(told[name]["warnings"])


@pytest.mark.parametrize("name", LINES)
def test_what_changes_no_output_is_a_line_of_the_ledger(name, told):
    assert any(LINES[name] in text for text in told[name]["lines"])
    assert told[name]["warnings"] == []


def test_what_a_net_trains_is_trained_in_the_net_that_is_built(tmp_path):
    own, built, frozen, sinabs, again = judge(tmp_path, "trained")
    assert built == own == ["0.bias", "1.beta", "1.threshold", "2.weight", "3.alpha"]
    assert frozen == ["1.beta", "1.threshold", "3.alpha"]
    assert again == sinabs == ["0.bias", "0.weight", "1.tau_mem"]


def test_what_cannot_be_built_is_said_with_the_way_out(tmp_path):
    squeezed, shape, loop, opaque = judge(tmp_path, "refused")
    assert "'spiking_model.1' (IAFSqueeze)" in squeezed
    assert "batch_size=" in squeezed
    assert "Conv2d takes (batch, time) and 3 axes after them, found the shape (160, 1, 8" in shape
    assert "layer 'lif' (Leaky): feeds itself through 'rec'" in loop
    assert "layer '1': it is not known what it computes" in opaque
