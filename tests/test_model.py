"""The model refuses what breaks its rules, and leaves alone what it is handed."""

import copy
import itertools
import pickle

import numpy as np
import pytest

from snnbridge import (
    PER_STEP,
    UNKNOWN,
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
        (lambda: SNNCheckpoint(training={"x": np.array([None])}), "array of objects"),
        (lambda: SNNCheckpoint(training={1: 2}), "named by text"),
        (lambda: Subgraph("s", [], inputs={"in": "x"}), "'x', which is not inside"),
        (lambda: Quantity(1.0, "mV").seconds, "not a unit of time"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(make, message):
    with pytest.raises(CheckpointError, match=message):
        make()


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
