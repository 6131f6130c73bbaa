"""The model refuses what breaks its rules, and leaves alone what it is handed."""

import copy
import itertools
import pickle

import numpy as np
import pytest

from snnbridge import (
    PER_STEP,
    UNKNOWN,
    AvgPool,
    BatchNorm,
    CheckpointError,
    Connection,
    Conv2d,
    Delay,
    Flatten,
    Input,
    Linear,
    Neuron,
    NeuronRule,
    Opaque,
    Origin,
    Parameter,
    Quantity,
    SNNCheckpoint,
    StateVariable,
    Subgraph,
    SumPool,
    Synapse,
    SynapseRule,
)


def linear(name, outputs=2, inputs=3, **more):
    return Linear(name, np.zeros((outputs, inputs), np.float32), **more)


def test_nothing_handed_in_is_copied_or_changed():
    weight = np.arange(6, dtype=np.float32).reshape(3, 2).T
    weight.flags.writeable = False
    checkpoint = SNNCheckpoint([Linear("fc", weight)])
    assert checkpoint.weights[0] is weight


def test_a_numpy_subclass_such_as_a_memory_map_stays_what_it_is(tmp_path):
    np.zeros((2, 3), np.float32).tofile(tmp_path / "w")
    weight = np.memmap(tmp_path / "w", np.float32, "r", shape=(2, 3))
    assert Linear("fc", weight).parameters["weight"].value is weight


def truth(number):
    return np.full((1, 1), number, np.uint8).view(bool)


def codes(number):
    return np.array([number], np.uint32).view("U1")


def state(value, batch_axis):
    variable = StateVariable(value, batch_axis)
    return SNNCheckpoint([Neuron("n", (3,))], state={("n", "v"): variable})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SNNCheckpoint([linear("a"), linear("a")]), "two layers are named 'a'"),
        (lambda: SNNCheckpoint({"b": linear("a")}), "stands under the name 'b'"),
        (lambda: SNNCheckpoint([3]), "expected a layer"),
        (lambda: linear("a\0"), "NUL"),
        (lambda: linear("\ud800"), "surrogate"),
        (lambda: linear(3), "named by text"),
        (lambda: Linear("a", np.zeros(3)), "'a' .*must have 2 axes.*\\(3,\\)"),
        (lambda: linear("a", bias=np.zeros(3)), "'a' .*bias must have shape \\(2,\\)"),
        (lambda: Linear("a", [[None]]), "must be a number or an array"),
        (lambda: Conv2d("c", np.zeros((3, 1, 2, 2)), groups=2), "do not divide into 2 groups"),
        (lambda: Conv2d("c", stride=(1, 0)), "stride must be 2 numbers of at least 1"),
        (lambda: Conv2d("c", padding="valid"), "padding must be 'same' or"),
        (lambda: Conv2d("c", padding=(1, 2, 3)), "padding must be 'same' or"),
        (lambda: SumPool("p", window=(2, 2), stride=(1,)), "stride must be 2 numbers"),
        (lambda: Flatten("f", order="CHW"), "channels first"),
        (lambda: Neuron("n", (2,), {"tau": np.zeros(3)}), "'n' .*does not broadcast"),
        (lambda: Neuron("n", (2,), {"colour": 1.0}), "no parameter 'colour'"),
        (lambda: Neuron("n", (-1,)), "at least 0"),
        (lambda: Neuron("n", (1.5,)), "whole numbers"),
        (lambda: Neuron("n", "x"), "whole numbers"),
        (lambda: linear("a", dt=0.1), "dt must be a Quantity"),
        (lambda: SNNCheckpoint(dt=0.1), "dt must be a Quantity"),
        (lambda: SNNCheckpoint([linear("a")], frozen_layers=["b"]), "'b', which is no layer"),
        (lambda: SNNCheckpoint([linear("a")], frozen_layers=["a", "a"]), "twice"),
        (
            lambda: SNNCheckpoint([linear("a")], [Connection("a", "b")]),
            "'b', which is no layer",
        ),
        (
            lambda: SNNCheckpoint([linear("a"), linear("b")], [Connection("a", "b")]),
            "'a' .*gives shape \\(2,\\), but layer 'b' .*takes \\(3,\\)",
        ),
        (
            lambda: SNNCheckpoint([linear("a", 3)], [Connection("a", "a", 1)] * 2),
            "stands twice",
        ),
        (lambda: SNNCheckpoint([linear("a", 3)], [Connection("a", "a")]), "cycle without delay"),
        (lambda: SNNCheckpoint([linear("a", 3)], [Connection("a", "a", -1)]), "delay -1"),
        (
            lambda: SNNCheckpoint([linear("a", 3)], [Connection("a", "a", 1, "port")]),
            "no port 'port'",
        ),
        (
            lambda: SNNCheckpoint([linear("a")], state={("b", "v"): StateVariable(np.zeros(1))}),
            "belongs to no layer",
        ),
        (
            lambda: SNNCheckpoint([linear("a")], state={("a", "v"): np.zeros(1)}),
            "must be a StateVariable",
        ),
        (
            lambda: SNNCheckpoint([linear("a")], ties=[{("a", "weight"), ("a", "nope")}]),
            "no such parameter",
        ),
        (lambda: SNNCheckpoint(metadata={"x": np.zeros(1)}), "metadata holds ndarray at x"),
        (lambda: SNNCheckpoint(training={"x": {1}}), "training holds set at x"),
        (lambda: SNNCheckpoint(training={"x": np.array([None])}), "training at x holds objects"),
        (lambda: SNNCheckpoint(training={1: 2}), "named by text"),
        (lambda: Subgraph("s", [], inputs={"in": "x"}), "'x', which is not inside"),
        (lambda: Quantity(1.0, "mV"), "'mV' is not a unit of time; expected one of s, ms"),
        (lambda: Quantity(-1.0, "ms"), "a finite number above 0, found -1.0 ms"),
        (lambda: Quantity(float("nan"), "ms"), "a finite number above 0"),
        (lambda: Quantity("1", "ms"), "a finite number above 0"),
        (lambda: Parameter(1.0, unit=3), "unit must be named by text"),
        (lambda: Parameter(1.0, trainable="yes"), "trainable must be True, False or UNKNOWN"),
        (lambda: Origin("brainpy", 3), "kind of an origin must be named by text"),
        (lambda: Linear("a", np.zeros((2, 2), object)), "'a' .*weight: .*holds objects"),
        (lambda: Linear("a", np.zeros((2, 2), "f4,f4")), "'a' .*weight: .*holds objects or fields"),
        (lambda: Linear("a", truth(2)), "'a' .*weight: .*neither 0 nor 1"),
        (lambda: linear("a", origin="brainpy"), "origin must be an Origin"),
        (lambda: NeuronRule(compare=">="), "Compare.GREATER_EQUAL or UNKNOWN, found '>='"),
        (lambda: NeuronRule(max_spikes="3"), "max_spikes .* at least 1, None or UNKNOWN"),
        (lambda: NeuronRule(max_spikes=0), "max_spikes .* at least 1, None or UNKNOWN"),
        (lambda: NeuronRule(spiking=1), "spiking .* True, False or UNKNOWN, found 1"),
        (lambda: NeuronRule(output_delay=True), "output_delay .* at least 0"),
        (lambda: SynapseRule(order="x"), "order of a SynapseRule must be .*DECAY_ADD_USE"),
        (lambda: Neuron("n", rule="x"), "'n' .*rule must be a NeuronRule, not 'x'"),
        (lambda: Synapse("s", rule=NeuronRule()), "'s' .*rule must be a SynapseRule"),
        (lambda: Synapse("s", receptors=0), "receptors must be a number of at least 1"),
        (lambda: Neuron("n", parameters=[1]), "parameters must be a mapping"),
        (lambda: Neuron("n", model=3), "model must be named by text"),
        (lambda: Conv2d("c", groups="x"), "'c' .*groups must be a whole number"),
        (lambda: Conv2d("c", stride="x"), "'c' .*stride must be 2 numbers"),
        (lambda: SumPool("p", window="x"), "'p' .*window must be"),
        (lambda: AvgPool("p", count_padding=3), "count_padding must be True, False or UNKNOWN"),
        (lambda: Flatten("f", start="x"), "'f' .*start must be the number of an axis"),
        (lambda: Flatten("f", 1, 3, input_shape=(2, 2)), "axes 1 to 3 are none of .*\\(2, 2\\)"),
        (lambda: Delay("d", Parameter(-1, "step")), "'d' .*numbers of at least 0, found -1"),
        (lambda: BatchNorm("b", epsilon=np.zeros(2)), "epsilon must be one number"),
        (lambda: Subgraph("s", layers=3), "'s' .*layers must be layers"),
        (lambda: Subgraph("s", connections=3), "'s' .*connections must be a list"),
        (lambda: Subgraph("s", inputs=3), "'s' .*inputs must be a mapping"),
        (lambda: Opaque("o", settings=3), "'o' .*settings must be a mapping"),
        (lambda: Opaque("o", {"x" * 5000: np.zeros(1)}), "longer than 4000 bytes"),
        (lambda: Connection("a", 3), "named by text, not 3"),
        (lambda: SNNCheckpoint({"a": 3}), "expected a layer, found 3"),
        (lambda: SNNCheckpoint(3), "layers must be layers"),
        (lambda: SNNCheckpoint([linear("a")], None), "list of Connection, or UNKNOWN; found None"),
        (
            lambda: SNNCheckpoint([linear("a")], [("a", "a")]),
            "write Connection\\(source, target\\)",
        ),
        (lambda: SNNCheckpoint(metadata="abc"), "metadata must be a mapping, not 'abc'"),
        (lambda: SNNCheckpoint(training=[1]), "training must be a mapping"),
        (lambda: SNNCheckpoint(state=[1]), "state must be a mapping"),
        (lambda: SNNCheckpoint(extras=3), "extras must be a mapping"),
        (lambda: SNNCheckpoint(step=-1), "step must be a whole number of at least 0"),
        (lambda: SNNCheckpoint(step="1"), "step must be a whole number of at least 0"),
        (lambda: SNNCheckpoint([linear("a")], frozen_layers="a"), "frozen_layers must be a list"),
        (lambda: SNNCheckpoint([linear("a")], frozen_layers=[["a"]]), "is no layer"),
        (lambda: SNNCheckpoint(provenance=[object()]), "provenance holds object at 0"),
        (lambda: SNNCheckpoint(provenance="x"), "provenance must be a list"),
        (lambda: SNNCheckpoint(ties=["ab"]), "a tie must be a list"),
        (lambda: SNNCheckpoint(ties=[[("a", "b", "c")]]), "expected \\(layer, parameter\\)"),
        (
            lambda: SNNCheckpoint(
                [linear("a"), linear("b", 5)], ties=[{("a", "weight"), ("b", "weight")}]
            ),
            "one array, but differ: a/weight float32\\[2, 3\\], b/weight float32\\[5, 3\\]",
        ),
        (lambda: SNNCheckpoint(metadata={"n": 1 << 2000}), "number of 2001 bits; expected at most"),
        (lambda: SNNCheckpoint(metadata={"x" * 5000: 1}), "longer than 4000 bytes"),
        (lambda: SNNCheckpoint(training={"x": [truth(2)]}), "training at x/0 .*neither 0 nor 1"),
        (lambda: SNNCheckpoint(training={"x": codes(0x110000)}), "beyond the code points"),
        (lambda: StateVariable([1.0]), "must be a numpy array, not list"),
        (lambda: StateVariable(np.zeros(2), 1), "one of the 1 axes of a state of shape \\(2,\\)"),
        (lambda: StateVariable(np.zeros(2), -1), "counted from 0"),
        (lambda: StateVariable(np.zeros(2), "0"), "counted from 0"),
        (lambda: state(np.zeros((2, 4)), None), "'v' of layer 'n' .*does not fit .*\\(3,\\)"),
        (lambda: state(np.zeros((3, 2)), 0), "does not fit the layer's shape \\(3,\\)"),
        (lambda: state(np.zeros((2, 2)), UNKNOWN), "does not fit the layer's shape"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(make, message):
    with pytest.raises(CheckpointError, match=message):
        make()


def conv(name, weight=(4, 2, 3, 3), **more):
    return Conv2d(name, np.zeros(weight, np.float32), groups=1, **more)


PLACED = {"stride": 1, "padding": 0, "dilation": 1, "input_shape": (8, 8)}


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        (conv("a"), conv("b"), r"'a' \(Conv2d\) gives shape \(4, \?, \?\), but .*takes \(2, \?"),
        (conv("a", **PLACED), Neuron("b", (4, 8, 8)), r"gives shape \(4, 6, 6\), .*\(4, 8, 8\)"),
        (conv("a", **{**PLACED, "padding": "same", "stride": 3}), Neuron("b", (4, 2, 3)), "3, 3"),
        (conv("a"), Neuron("b", (5, 8, 8)), r"gives shape \(4, \?, \?\)"),
        (conv("a"), linear("b"), "is a Flatten missing"),
        (conv("a", **PLACED), Flatten("b", input_shape=(4, 8, 8)), r"takes \(4, 8, 8\)"),
        (Flatten("a", input_shape=(4, 2, 2)), linear("b", 2, 15), r"gives shape \(16,\)"),
        (Input("a", (1, 8, 8)), conv("b", input_shape=(8, 8)), r"takes \(2, 8, 8\)"),
        (linear("a"), Neuron("b", (3,)), r"gives shape \(2,\), but .*takes \(3,\)"),
        (linear("a"), Neuron("b", parameters={"tau": np.zeros(3)}), r"tau of .*'b'.*\(3,\)"),
    ],
)
def test_shapes_along_a_connection_fit(source, target, message):
    with pytest.raises(CheckpointError, match=message):
        SNNCheckpoint([source, target], [Connection("a", "b")])


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (conv("a"), conv("b", (3, 4, 3, 3))),
        (conv("a", **PLACED), Neuron("b", (4, 6, 6))),
        (conv("a"), Neuron("b", (4, 6, 6))),
        (Conv2d("a"), Neuron("b", (4, 6, 6))),
        (linear("a"), Neuron("b", parameters={"tau": np.zeros((1, 2)), "threshold": UNKNOWN})),
        (conv("a", **PLACED), Flatten("b", input_shape=(4, 6, 6))),
        (Flatten("a", 1, input_shape=(4, 2, 2)), Neuron("b", (4, 4))),
        (conv("a"), SumPool("b", window=(2, 2))),
    ],
)
def test_shapes_that_fit_as_far_as_they_are_known_are_taken(source, target):
    SNNCheckpoint([source, target], [Connection("a", "b")])


@pytest.mark.parametrize(
    ("value", "batch_axis"),
    [((3,), None), ((5, 3), 0), ((3, 5), 1), ((5, 1), 0), ((), None), ((7, 5, 3), UNKNOWN)],
)
def test_a_state_has_the_shape_of_its_layer_beside_its_batch(value, batch_axis):
    state(np.zeros(value), batch_axis)


def test_graphs_inside_graphs_are_refused_before_the_stack_overflows():
    def nested(levels):
        graph = linear("a")
        for _ in range(levels):
            graph = Subgraph("s", [graph])
        return graph

    assert nested(64).name == "s"
    with pytest.raises(CheckpointError, match="nested more than 64 deep"):
        nested(3000)


def test_whole_numbers_of_numpy_become_those_of_python():
    edge = Connection("a", "b", np.int64(2))
    layer = Conv2d("c", stride=np.int32(2), groups=np.int64(1))
    assert (type(edge.delay), type(layer.stride[0]), type(layer.groups)) == (int, int, int)
    assert StateVariable(np.zeros((1, 2)), np.int8(1)).batch_axis == 1


@pytest.mark.parametrize("name", ["connections", "metadata", "state", "ties", "provenance"])
def test_a_part_that_was_replaced_by_nonsense_is_refused_on_demand(name):
    checkpoint = SNNCheckpoint([linear("a")])
    setattr(checkpoint, name, "nonsense")
    with pytest.raises(CheckpointError):
        checkpoint.validate()


def test_a_tree_that_is_too_deep_is_refused():
    tree = {}
    for _ in range(1000):
        tree = {"x": tree}
    with pytest.raises(CheckpointError, match="deeper"):
        SNNCheckpoint(metadata=tree)


@pytest.mark.parametrize(
    "broken",
    [
        [Connection("a", "n"), Connection("n", "a", 1)],
        [Connection("a", "n"), Connection("n", "d"), Connection("d", "a")],
        [Connection("a", "n"), Connection("n", "a", UNKNOWN)],
    ],
)
def test_a_cycle_is_allowed_where_a_delay_breaks_it(broken):
    parts = [linear("a", 3), Neuron("n", (3,)), Delay("d", Parameter(1, "step"))]
    assert SNNCheckpoint(parts, broken).connections == tuple(broken)


def test_a_neuron_that_emits_late_breaks_a_cycle():
    late = Neuron("n", (3,), rule=NeuronRule(output_delay=1))
    SNNCheckpoint([linear("a", 3), late], [Connection("a", "n"), Connection("n", "a")])


def test_a_long_chain_is_checked_without_deep_recursion():
    names = [str(i) for i in range(20_000)]
    chain = [Connection(a, b) for a, b in itertools.pairwise(names)]
    assert len(SNNCheckpoint([Input(n) for n in names], chain).layers) == 20_000


def test_what_is_not_stated_is_listed_and_never_guessed():
    checkpoint = SNNCheckpoint([linear("fc"), Neuron("n", (2,), {"tau": UNKNOWN})])
    unknown = checkpoint.unknown()
    assert ("connections",) in unknown
    assert ("dt",) in unknown
    assert ("layers", "n", "tau") in unknown
    assert ("layers", "n", "rule.compare") in unknown
    assert not any(path[1:2] == ("fc",) for path in unknown)


def test_unknown_is_one_value_that_is_neither_true_nor_false():
    assert copy.deepcopy(UNKNOWN) is UNKNOWN
    assert pickle.loads(pickle.dumps(PER_STEP)) is PER_STEP
    with pytest.raises(TypeError, match="neither true nor false"):
        bool(UNKNOWN)


def test_changes_after_construction_are_checked_again_on_demand():
    checkpoint = SNNCheckpoint([linear("fc")])
    checkpoint.frozen_layers.append("nope")
    with pytest.raises(CheckpointError, match="nope"):
        checkpoint.validate()


def stack():
    lif = Origin("sc-neurocore", "LIF")
    return SNNCheckpoint(
        [linear("fc1", 4, 3), Neuron("fc1.neuron", origin=lif), linear("fc2", 2, 4)]
    )


def test_the_view_of_a_stack_follows_the_graph():
    checkpoint = stack()
    assert checkpoint.layer_names == ["fc1", "fc2"]
    assert checkpoint.layer_sizes == [(3, 4), (4, 2)]
    assert checkpoint.neuron_types == ["LIF", ""]
    assert (checkpoint.n_layers, checkpoint.total_params) == (2, 20)
    assert [w.shape for w in checkpoint.weights] == [(4, 3), (2, 4)]


def test_a_weight_assigned_through_the_view_reaches_the_graph():
    checkpoint = stack()
    new = np.ones((4, 3))
    checkpoint.weights[0] = new
    assert checkpoint.layers["fc1"].weight.value is new
    with pytest.raises(CheckpointError, match="2 axes"):
        checkpoint.weights[0] = np.ones(3)
    with pytest.raises(CheckpointError, match="add a layer"):
        checkpoint.weights.append(new)


@pytest.mark.parametrize(
    "change",
    [
        lambda layers: layers.update(new=linear("new")),
        lambda layers: layers.setdefault("new", linear("new")),
        lambda layers: layers.__setitem__("new", linear("new")),
        lambda layers: layers.__ior__({"new": linear("new")}),
        lambda layers: layers.pop("fc1"),
        lambda layers: layers.__delitem__("fc1"),
        lambda layers: layers.clear(),
    ],
)
def test_the_view_follows_every_change_of_the_layers(change):
    checkpoint = stack()
    assert checkpoint.n_layers == 2
    change(checkpoint.layers)
    names = [name for name, layer in checkpoint.layers.items() if isinstance(layer, Linear)]
    assert checkpoint.layer_names == names
    checkpoint.layers = {"own": linear("own")}
    assert checkpoint.layer_names == ["own"]


def test_the_view_shows_a_layer_that_was_added_later():
    checkpoint = stack()
    checkpoint.layers["fc3"] = linear("fc3", 1, 2)
    assert checkpoint.n_layers == 3


def test_the_view_finds_neurons_along_the_connections():
    lif = Neuron("out", (2,), origin=Origin("brainpy", "LifRef"))
    fc1, fc2 = linear("fc1"), linear("fc2")
    checkpoint = SNNCheckpoint([lif, fc1, fc2], [Connection("fc2", "out")])
    assert checkpoint.neuron_types == ["", "LifRef"]


def test_names_of_any_text_are_allowed():
    names = ["", "/", "..", "a.b", "ヒ", "$array", "🧠"]
    assert list(SNNCheckpoint([linear(n) for n in names]).layers) == names


def test_a_checkpoint_shows_itself_in_a_console_and_in_a_notebook():
    checkpoint = stack()
    checkpoint.layers["<b>"] = Opaque("<b>", {"x": np.zeros(3)}, origin=Origin("f", "Strange"))
    assert "fc1" in repr(checkpoint)
    assert "Strange" in repr(checkpoint)
    html = checkpoint._repr_html_()
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
