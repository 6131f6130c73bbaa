"""What `build` refuses before it makes a module, and what it says then."""

import sys
from dataclasses import replace
from importlib import import_module
from types import ModuleType

import numpy as np
import pytest

from snnbridge import (
    PER_STEP,
    AvgPool,
    CheckpointError,
    Connection,
    Conv2d,
    Input,
    Linear,
    MaxPool,
    Output,
    SNNCheckpoint,
    SumPool,
    rules,
)
from snnbridge.model import InputGain

GRAPHS = ("norse", "sinabs", "snntorch", "spikingjelly")


def build(framework, net):
    return import_module(f"snnbridge.frameworks.{framework}").build(net)


def leaky(name, **more):
    given = {"beta": 0.5, "reset_mechanism": "zero", "reset_delay": False, **more}
    return rules.snntorch.Leaky(name, shape=(2,), **given)


def linear(name):
    return Linear(name, np.ones((2, 2), np.float32))


def net(*edges, neuron=leaky, more=()):
    """A net of neurons called lif..., of weights, and of what else is handed in."""
    names = list(dict.fromkeys(name for edge in edges for name in edge[:2]))
    known = {layer.name: layer for layer in more}
    layers = [
        known.pop(name, None) or (neuron(name) if name.startswith("lif") else linear(name))
        for name in names
    ]
    connections = [Connection(*edge) for edge in edges]
    return SNNCheckpoint([*layers, *known.values()], connections=connections, dt=PER_STEP)


def refusal(framework, checkpoint):
    with pytest.raises(CheckpointError) as caught:
        build(framework, checkpoint)
    return str(caught.value)


@pytest.mark.parametrize("framework", GRAPHS)
def test_a_loop_through_several_layers_is_refused_with_its_late_connections(framework):
    edges = [("fc", "lif1"), ("lif1", "a"), ("a", "lif2"), ("lif2", "b", 1), ("b", "lif1")]
    told = refusal(framework, net(*edges))
    assert "'lif2' to 'b' (1 step later)" in told
    assert "in a forward of your own" in told


@pytest.mark.parametrize("framework", GRAPHS)
def test_every_late_connection_is_named(framework):
    told = refusal(framework, net(("fc", "lif1", 2), ("fc", "lif2"), ("lif1", "lif2", 1)))
    assert "'fc' to 'lif1' (2 steps later), 'lif1' to 'lif2' (1 step later)" in told
    assert "'fc' to 'lif2'" not in told


def test_recurrent_weights_that_lead_elsewhere_too_are_a_late_connection():
    edges = [("fc", "lif"), ("lif", "rec", 1), ("rec", "lif"), ("rec", "other")]
    assert "'lif' to 'rec' (1 step later)" in refusal("snntorch", net(*edges))


def test_a_neuron_that_feeds_itself_without_weights_is_a_late_connection():
    assert "'lif' to 'lif' (1 step later)" in refusal("snntorch", net(("lif", "lif", 1)))


@pytest.mark.parametrize("more", [linear("alone"), Output("end", (2,))])
def test_a_layer_that_nothing_feeds_beside_the_inputs_is_refused(more):
    ends = Input("in", (2,)), more
    told = refusal("snntorch", net(("in", "fc"), ("fc", "lif"), more=ends))
    assert f"layer {more.name!r}: nothing feeds it" in told


@pytest.mark.parametrize(
    ("edges", "why"),
    [
        ([("fc", "lif"), ("fc", "lif2")], "layer 'fc' feeds 'lif', 'lif2'"),
        ([("a", "lif"), ("b", "lif")], "layer 'lif' takes what 'a', 'b' give"),
        ([("a", "lif"), ("b", "lif2")], "the net has several ends, 'a', 'b'"),
    ],
)
def test_a_framework_of_chains_names_the_layer_that_branches(edges, why):
    def neuron(name):
        return rules.spyx.LIF(name, shape=(2,), beta=0.5, threshold=1.0)

    told = refusal("spyx", net(*edges, neuron=neuron))
    assert why in told
    assert "norse, sinabs, snntorch, spikingjelly" in told


def test_rockpool_s_nets_are_chains():
    def neuron(name):
        return rules.rockpool.LIFNeuronTorch(name, shape=(2,), tau_mem=0.02)

    told = refusal("rockpool", net(("fc", "lif"), ("fc", "lif2"), neuron=neuron))
    assert "layer 'fc' feeds 'lif', 'lif2'" in told
    assert "for Rockpool is a chain" in told


def test_a_synapse_that_feeds_two_neurons_is_refused():
    synapse, neuron = rules.snntorch.Synaptic.chain("lif", shape=(2,), alpha=0.5, beta=0.5)
    edges = [(synapse.name, "lif"), (synapse.name, "lif2")]
    told = refusal("snntorch", net(*edges, more=(synapse, neuron)))
    assert f"layer {synapse.name!r}: a neuron's class holds its synapse" in told


def test_a_convolution_of_which_something_is_not_known_is_refused():
    conv = Conv2d("conv", np.ones((1, 1, 3, 3), np.float32), stride=1, padding=1, dilation=1)
    lif = rules.snntorch.Leaky("lif", shape=(1, 4, 4), beta=0.5)
    told = refusal("snntorch", net(("conv", "lif"), more=[conv, lif]))
    assert "layer 'conv' (Conv2d): its groups is not known" in told


@pytest.mark.parametrize("kind", [AvgPool, MaxPool, SumPool])
@pytest.mark.parametrize(
    ("window", "stride", "padding", "why"),
    [
        (2, 2, "same", "pads 'same' with stride (2, 2), which no pool of PyTorch does; state the"),
        (2, 1, "same", "pads its axes by ((0, 1), (0, 1)) around a window of (2, 2)"),
        (3, 2, ((2, 2), (1, 1)), "pads its axes by ((2, 2), (1, 1)) around a window of (3, 3)"),
    ],
)
def test_a_pool_that_pads_as_no_pool_of_pytorch_does_is_refused(kind, window, stride, padding, why):
    own = {"count_padding": False} if kind is AvgPool else {}
    pool = kind("pool", (window,) * 2, stride=(stride,) * 2, padding=padding, **own)
    lif = rules.snntorch.Leaky("lif", beta=0.5, reset_mechanism="zero", reset_delay=False)
    told = refusal("snntorch", net(("pool", "lif"), more=[pool, lif]))
    assert f"layer 'pool' ({kind.__name__}) {why}" in told


@pytest.mark.parametrize("framework", GRAPHS)
def test_connections_that_are_not_known_are_asked_for(framework):
    native = {
        "norse": rules.norse.IAFCell,
        "sinabs": rules.sinabs.IAF,
        "snntorch": rules.snntorch.Leaky,
        "spikingjelly": rules.spikingjelly.IFNode,
    }
    given = {"beta": 0.5} if framework == "snntorch" else {}
    lif = native[framework].chain("lif", shape=(2,), **given)
    assert "connections are unknown" in refusal(framework, SNNCheckpoint(lif))


def test_an_argument_of_which_no_choice_is_the_neuron_s_rule_is_named(monkeypatch):
    name = "spikingjelly.activation_based.neuron"
    monkeypatch.setitem(sys.modules, name, ModuleType(name))
    lif = rules.spikingjelly.LIFNode("lif", shape=(2,), tau=2.0)
    lif = replace(lif, rule=replace(lif.rule, input_gain=InputGain.STATED))
    told = refusal("spikingjelly", net(("lif", "fc"), more=[lif]))
    assert "layer 'lif' (spikingjelly LIFNode): none of the choices of decay_input" in told
