"""A class that consists of a synapse and a neuron brings both into a checkpoint."""

import numpy as np
import pytest

from snnbridge import (
    PER_STEP,
    UNKNOWN,
    Connection,
    Input,
    Linear,
    Neuron,
    Opaque,
    Origin,
    Quantity,
    SNNCheckpoint,
    SpecError,
    Synapse,
    rules,
    simulate,
    spec,
)

COMPOSED = [
    (framework, kind)
    for (framework, kind), found in rules.classes.items()
    if found.layer is Neuron and found.synapse is not None
]


def weights():
    return np.linspace(-0.5, 1.0, 12, dtype=np.float32).reshape(4, 3)


def plain(**more):
    return SNNCheckpoint([Linear("fc", weights()), *more.pop("layers", [])], **more)


def stated(framework, kind, **arguments):
    return {
        "dt": "1 ms",
        "chains": [["fc", "lif"]],
        "layers": {"lif": {"class": f"{framework}.{kind}", **arguments}},
    }


@pytest.mark.parametrize(("framework", "kind"), COMPOSED, ids=[".".join(c) for c in COMPOSED])
def test_a_class_of_a_synapse_and_a_neuron_adds_both(framework, kind):
    found = rules.get(framework, kind)
    given = {"tau_syn": 4.0} if found.synapse_if else {}
    made = spec.apply(plain(), stated(framework, kind, **given))
    assert [type(layer) for layer in made.layers.values()] == [Linear, Synapse, Neuron]
    assert made.connections == (
        Connection("fc", "lif.synapse"),
        Connection("lif.synapse", "lif"),
    )
    synapse = made.layers["lif.synapse"]
    assert synapse.origin == Origin(framework, found.synapse.kind)
    assert (synapse.shape, made.layers["lif"].shape) == ((4,), (4,))
    assert any("adds 'lif.synapse'" in note for note in made.source.notes)


def test_the_current_of_norse_s_cell_runs_as_in_a_network_that_was_built():
    arguments = {"tau_mem_inv": 200.0, "tau_syn_inv": 300.0, "v_th": 0.25}
    made = spec.apply(plain(), stated("norse", "LIFCell", defaults=True, **arguments))
    chain = rules.norse.LIFCell.chain("lif", shape=(4,), **arguments)
    built = SNNCheckpoint(
        [Linear("fc", weights()), *chain],
        connections=[Connection("fc", "lif.synapse"), Connection("lif.synapse", "lif")],
        dt=Quantity(1.0, "ms"),
    )
    x = (np.random.default_rng(0).random((50, 2, 3)) < 0.5).astype(np.float32)
    left, right = (
        simulate(net, x, record={"lif": "spikes"}).spikes["lif"] for net in (made, built)
    )
    assert left.any()
    assert np.array_equal(left, right)


def test_arguments_go_to_the_synapse_that_has_them_at_the_top_too():
    wanted = stated("norse", "LIFCell", tau_mem_inv=200.0) | {"tau_syn_inv": 300.0}
    made = spec.apply(plain(), wanted)
    assert made.layers["lif.synapse"].parameters["tau_inv"].value == 300.0
    assert made.layers["lif"].parameters["tau_inv"].value == 200.0


def test_an_argument_that_both_have_goes_to_both():
    made = spec.apply(plain(), stated("rockpool", "LIFTorch", leak_mode="decays", alpha=0.5))
    schemes = {made.layers[name].rule.scheme for name in ("lif", "lif.synapse")}
    assert UNKNOWN not in schemes
    assert len(schemes) == 1


def test_a_synapse_that_a_file_holds_takes_its_arguments_from_the_neuron_s_table():
    chain = (
        Synapse("lif.synapse", origin=Origin("snntorch", "Synaptic.synapse")),
        Neuron("lif", origin=Origin("snntorch", "Synaptic")),
    )
    made = spec.apply(plain(layers=chain), {"layers": {"lif": {"alpha": 0.5, "beta": 0.75}}})
    assert made.layers["lif.synapse"].parameters["decay"].value == 0.5
    assert list(made.layers) == ["fc", "lif.synapse", "lif"]


def test_a_synapse_that_the_spec_names_is_wired_as_it_says():
    wanted = stated("norse", "LIFCell") | {"chains": [["fc", "lif.synapse", "lif"]]}
    edges = spec.apply(plain(), wanted).connections
    assert edges == (Connection("fc", "lif.synapse"), Connection("lif.synapse", "lif"))


def test_what_is_fed_back_goes_into_the_synapse_too():
    held = plain(layers=[Linear("back", np.eye(4, dtype=np.float32))])
    wanted = stated("norse", "LIFCell") | {"connections": [["lif", "back", 1], ["back", "lif"]]}
    edges = spec.apply(held, wanted).connections
    assert Connection("back", "lif.synapse") in edges


def test_a_neuron_of_a_known_graph_gains_the_synapse_of_its_class():
    held = plain(layers=[Neuron("lif", (4,))], connections=[Connection("fc", "lif")], dt=PER_STEP)
    made = spec.apply(held, {"layers": {"lif": {"class": "snntorch.Synaptic", "alpha": 0.5}}})
    assert made.connections == (
        Connection("fc", "lif.synapse"),
        Connection("lif.synapse", "lif"),
    )
    assert made.layers["lif.synapse"].shape == (4,)


def test_a_neuron_whose_synapse_stands_before_it_gains_none():
    layers = [Synapse("syn", (4,)), Neuron("lif", (4,))]
    held = plain(layers=layers, connections=[Connection("fc", "syn"), Connection("syn", "lif")])
    made = spec.apply(held, {"layers": {"lif": {"class": "snntorch.Synaptic", "beta": 0.5}}})
    assert list(made.layers) == ["fc", "syn", "lif"]


def test_sinabs_neurons_are_asked_whether_they_have_a_synapse():
    with pytest.raises(SpecError, match='state tau_syn, or tau_syn = "none"'):
        spec.apply(plain(), stated("sinabs", "LIF", tau_mem=10.0))
    without = spec.apply(plain(), stated("sinabs", "LIF", tau_mem=10.0, tau_syn="none"))
    assert list(without.layers) == ["fc", "lif"]
    usual = spec.apply(plain(), stated("sinabs", "LIF", tau_mem=10.0, defaults=True))
    assert list(usual.layers) == ["fc", "lif"]
    learned = spec.apply(plain(), stated("sinabs", "LIF", alpha_mem=0.5, alpha_syn=0.25))
    assert learned.layers["lif.synapse"].parameters["decay"].value == 0.25


def test_a_class_alone_adds_a_layer():
    made = spec.apply(plain(), stated("norse", "IAFCell", v_th=0.5))
    assert isinstance(made.layers["lif"], Neuron)
    with pytest.raises(SpecError, match=r'state its class, like "norse\.LIFCell", or its kind'):
        spec.apply(plain(), {"layers": {"lif": {"v_th": 0.5}}})


def test_a_matrix_that_is_turned_in_its_framework_is_turned_by_its_class():
    held = SNNCheckpoint([Opaque("a", {"weight": weights()}), Opaque("b", {"weight": weights()})])
    layers = {"a": {"class": "rockpool.LinearTorch"}, "b": {"kind": "Linear"}}
    made = spec.apply(held, {"layers": layers}).layers
    assert (made["a"].size, made["b"].size) == ((4, 3), (3, 4))


def test_inputs_stay_where_they_are():
    held = plain(layers=[Input("in", (3,))])
    wanted = stated("norse", "LIFCell") | {"chains": [["in", "fc", "lif"]]}
    assert spec.apply(held, wanted).connections[0] == Connection("in", "fc")


def test_a_chain_of_modules_need_not_name_the_synapses_that_a_file_holds():
    chain = rules.snntorch.Synaptic.chain("lif", shape=(4,), alpha=0.5, beta=0.75)
    edges = spec.apply(plain(layers=chain), {"chains": [["fc", "lif"]]}).connections
    assert edges == (Connection("fc", "lif.synapse"), Connection("lif.synapse", "lif"))
