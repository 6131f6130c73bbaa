"""A spec states what a file does not; a skeleton asks for it."""

import tomllib
from dataclasses import fields

import numpy as np
import pytest

from snnbridge import (
    PER_STEP,
    UNKNOWN,
    Connection,
    Conv2d,
    Linear,
    Neuron,
    Opaque,
    Origin,
    Parameter,
    Quantity,
    SNNCheckpoint,
    SpecError,
    StateVariable,
    differences,
    rules,
    spec,
)
from snnbridge.model import Form, Reset, Scheme


def origin(kind):
    return Origin("brainpy", kind)


def bare():
    return SNNCheckpoint(
        [
            Linear("Dense0", np.zeros((2, 3), np.float32), origin=origin("Dense")),
            Neuron("Lif0", origin=origin("Lif")),
            Conv2d("Conv2d0", np.zeros((2, 3, 3, 3)), origin=origin("Conv2d")),
            Neuron("n"),
            Opaque("SNN0", {"weight": np.zeros((2, 2))}, origin=origin("SNN")),
        ],
        state={("Lif0", "v"): StateVariable(np.zeros((7, 2)))},
    )


def apply(**stated):
    return spec.apply(bare(), stated)


def test_a_skeleton_is_a_valid_spec_that_states_nothing():
    stated = tomllib.loads(spec.skeleton(bare()))
    assert differences(bare(), spec.apply(bare(), stated)) == []


def test_a_skeleton_asks_for_everything_unknown_in_the_framework_s_words():
    text = spec.skeleton(bare())
    for words in ('dt = "?"', "chains", "[layers.Lif0]", 'V_th = "?"', "default is 20.0", "rhs_d"):
        assert words in text


def test_a_filled_in_skeleton_leaves_nothing_to_ask():
    full = spec.apply(
        SNNCheckpoint([Neuron("Lif0", origin=origin("Lif"))]),
        {
            "dt": "1 ms",
            "connections": [],
            "defaults": True,
            "version": "2.8.2",
            "layers": {"Lif0": {"shape": [2]}},
        },
    )
    assert full.unknown() == []
    assert "[layers" not in spec.skeleton(full)


def test_arguments_are_the_framework_s_own_and_keep_their_unit():
    lif = apply(layers={"Lif0": {"tau": 5.0, "V_th": "1 mV"}}).layers["Lif0"]
    assert (lif.parameters["tau"].value, lif.parameters["tau"].unit) == (5.0, "ms")
    assert lif.parameters["threshold"].unit == "mV"
    assert "v_rest" not in lif.parameters


def test_switches_set_the_rule_and_leave_the_rest_unknown():
    lif = apply(layers={"Lif0": {"spk_reset": "hard"}}).layers["Lif0"]
    assert lif.rule.reset is Reset.SET
    assert lif.rule.scheme is UNKNOWN


def test_an_argument_at_the_top_counts_for_every_layer_that_has_it():
    lif = apply(method="euler").layers["Lif0"]
    assert (lif.rule.scheme, lif.rule.form) == (Scheme.EULER, Form.DERIVATIVE)


def test_defaults_are_taken_only_when_asked_for_and_never_over_what_is_stated():
    stated = apply(defaults=True, layers={"Lif0": {"tau": 3.0}})
    lif = stated.layers["Lif0"]
    assert (lif.parameters["tau"].value, lif.parameters["threshold"].value) == (3.0, 20.0)
    assert stated.layers["Conv2d0"].padding == "same"


def test_chains_and_connections_make_the_graph():
    stated = apply(chains=[["Dense0", "Lif0"]], connections=[["Lif0", "n", 2]])
    assert stated.connections == (Connection("Dense0", "Lif0"), Connection("Lif0", "n", 2))


def test_shapes_and_batch_axes_follow_from_the_connections():
    stated = apply(chains=[["Dense0", "Lif0", "n"]])
    assert (stated.layers["Lif0"].shape, stated.layers["n"].shape) == ((2,), (2,))
    assert stated.state["Lif0", "v"].batch_axis == 0


def test_a_layer_without_arrays_is_added_by_its_kind():
    flat = {"kind": "Flatten", "order": "channels last", "start": 1}
    stated = apply(layers={"flat": flat}).layers["flat"]
    assert (stated.order, stated.start) == ("channels last", 1)


def test_an_opaque_layer_becomes_what_its_owner_says():
    stated = apply(layers={"SNN0": {"class": "Dense"}})
    assert isinstance(stated.layers["SNN0"], Linear)


def test_a_layer_of_no_known_class_takes_the_model_s_own_names():
    n = apply(layers={"n": {"tau": "10 ms", "rule": {"compare": ">"}, "shape": [4]}}).layers["n"]
    assert (n.parameters["tau"].unit, n.rule.compare.value, n.shape) == ("ms", ">", (4,))


def test_dt_is_a_time_or_per_step():
    assert apply(dt="0.1 ms").dt == Quantity(0.1, "ms")
    assert apply(dt="per step").dt is PER_STEP


def test_the_checkpoint_itself_stays_as_it_is():
    checkpoint = bare()
    spec.apply(checkpoint, {"dt": "1 ms", "layers": {"Lif0": {"tau": 1.0}}})
    assert differences(checkpoint, bare()) == []


def test_a_version_is_kept_with_every_layer_of_the_framework():
    assert apply(version="2.8.2").layers["Lif0"].origin.version == "2.8.2"


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"layers": {"nope": {"tau": 1.0}}}, "no layer 'nope'; to add one"),
        ({"layers": {"Lif0": {"Tau": 1.0}}}, "no argument 'Tau'; expected some of tau"),
        ({"layers": {"Lif0": {"method": "rk9"}}}, "method must be one of 'exp_auto'"),
        ({"layers": {"Lif0": {"kind": "Linear"}}}, "is a Neuron, not a 'Linear'"),
        ({"layers": {"Lif0": 3}}, "must be a table"),
        ({"layers": {"Dense0": {"class": "Lif"}}}, "is a Dense in the file, and a Lif"),
        ({"layers": {"n": {"class": "brainpy.Dense"}}}, "is a Neuron; Dense is a Linear"),
        ({"layers": {"Lif0": {"class": "Nope"}}}, "no rule for brainpy 'Nope'; known are Lif"),
        ({"layers": {"n": {"rule": {"compare": "="}}}}, "compare must be one of '>', '>='"),
        ({"layers": {"n": {"rule": {"nope": 1}}}}, "no switch 'nope'"),
        ({"layers": {"n": {"colour": 1}}}, "has no 'colour'; expected some of"),
        ({"layers": {"Conv2d0": {"stride": 0}}}, "stride must be"),
        ({"layers": {"Lif0": {"tau": [1.0, 2.0, 3.0], "shape": [2]}}}, "does not broadcast"),
        ({"dt": "fast"}, "dt must be like"),
        ({"dt": "0 ms"}, "dt must be like"),
        ({"dt": "1 mV"}, "dt must be like"),
        ({"colour": 1}, "neither a key of a spec nor an argument"),
        ({"chains": ["Dense0"]}, "list of lists"),
        ({"chains": [["Dense0", "nope"]]}, "'nope', which is no layer"),
        ({"connections": [["Dense0"]]}, "a connection is"),
        ({"chains": [["Dense0", "Lif0", "Dense0"]]}, "fit"),
        ({"frozen_layers": ["nope"]}, "'nope', which is no layer"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_by_name(stated, message):
    with pytest.raises((SpecError, ValueError), match=message) as caught:
        spec.apply(bare(), stated)
    assert isinstance(caught.value, SpecError)


@pytest.mark.parametrize("text", [b"\xff", b"a = ", b'{"a": ', b"{" * 5000])
def test_a_file_that_is_no_spec_is_refused_with_its_path(tmp_path, text):
    path = tmp_path / "net.toml"
    path.write_bytes(text)
    with pytest.raises(SpecError, match=r"net\.toml"):
        spec.load(path)


def test_json_is_as_good_as_toml(tmp_path):
    path = tmp_path / "net.json"
    path.write_text('{"dt": "1 ms"}')
    assert spec.load(path) == {"dt": "1 ms"}


def test_a_parameter_with_its_own_unit_keeps_it():
    lif = apply(layers={"Lif0": {"tau": "0.01 s"}}).layers["Lif0"]
    assert lif.parameters["tau"].unit == "s"
    assert isinstance(lif.parameters["tau"], Parameter)


def told(rule):
    return {f.name: x for f in fields(rule) if (x := getattr(rule, f.name)) is not UNKNOWN}


RELEASES = [
    found
    for framework, kind in rules.classes
    for found in rules.releases(framework, kind)
    if found.rule is not None
]


@pytest.mark.parametrize("found", RELEASES, ids=lambda x: f"{x.framework} {x.release}")
def test_a_class_has_its_rule_without_any_argument(found):
    stated = {"class": f"{found.framework}.{found.kind}"}
    stated |= {found.synapse_if: "none"} if found.synapse_if else {}
    made = spec.apply(
        SNNCheckpoint([found.layer("x")]),
        {"version": found.since or "0.0.1", "layers": {"x": stated}},
    )
    rule = made.layers["x"].rule
    assert told(found.rule).items() <= told(rule).items()


def test_a_version_chooses_the_rule_of_a_class_that_the_spec_states():
    stated = {"layers": {"n": {"class": "brainpy.Lif"}}}
    for version, reset in (("2.4.2", Reset.SET), ("2.8.2", UNKNOWN)):
        layer = spec.apply(bare(), {**stated, "version": version}).layers["n"]
        assert layer.origin == Origin("brainpy", "Lif", version)
        assert layer.rule.reset is reset


def test_a_class_whose_arguments_the_file_holds_is_known_by_its_name():
    held = SNNCheckpoint([Neuron("n", (2,), {"decay": Parameter(0.5)})])
    layer = spec.apply(held, {"layers": {"n": {"class": "spyx.LI"}}}).layers["n"]
    assert not layer.unknown()
    assert layer.rule.spiking is False
