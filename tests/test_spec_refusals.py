"""A spec adds what a file does not say; it changes nothing, and it may come from a stranger."""

import contextlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnbridge import (
    UNKNOWN,
    Connection,
    Linear,
    Neuron,
    Opaque,
    Origin,
    Parameter,
    Quantity,
    SNNBridgeError,
    SNNCheckpoint,
    SpecError,
    StateVariable,
    Synapse,
    differences,
    read,
    rules,
    spec,
)
from snnbridge.model import Compare


def net():
    """Return a network that states everything."""
    own = {"tau": np.float32(0.1), "V_th": 1.0, "V_reset": 0.0}
    fc = Linear("fc", np.ones((2, 3), np.float32), origin=Origin("brainpy", "Dense", "2.8.2"))
    return SNNCheckpoint(
        [fc, rules.brainpy.Lif("lif", "2.8.2", shape=(2,), **own)],
        connections=[Connection("fc", "lif")],
        dt=Quantity(1.0, "ms"),
        step=5,
        state={("lif", "v"): StateVariable(np.zeros((4, 2)), 0)},
        frozen_layers=["fc"],
    )


CONTRADICTIONS = [
    ({"dt": "2 ms"}, r"dt is 1\.0 ms in the file and 2\.0 ms in the spec"),
    ({"dt": "per step"}, "dt is 1.0 ms in the file"),
    ({"step": 6}, "the file has step 5, and the spec step 6"),
    ({"frozen_layers": ["lif"]}, r"\['fc'\] in the file and \['lif'\]"),
    ({"chains": [["lif", "fc"]]}, "'lif' to 'fc' with the delay 0 is not in the file"),
    ({"connections": [["fc", "lif", 1]]}, "with the delay 1 is not in the file"),
    ({"V_th": 2.0}, r"layer 'lif': V_th is 1\.0 in the file and 2\.0 in the spec"),
    ({"method": "euler"}, "method is 'exact' in the file and 'euler'"),
    ({"layers": {"lif": {"tau": 0.2}}}, r"layer 'lif': tau is 0\.1 ms in the file and 0\.2 ms"),
    ({"layers": {"lif": {"tau": "0.1 s"}}}, r"tau is 0\.1 ms in the file and 0\.1 s"),
    ({"layers": {"lif": {"spk_reset": "hard"}}}, "spk_reset is 'subtract' in the file"),
    ({"layers": {"lif": {"shape": [3]}}}, "shape"),
    ({"layers": {"lif": {"batch_axis": "none"}}}, "batch_axis of v is 0 in the file and None"),
    ({"layers": {"lif": {"class": "LifRef"}}}, "is a Lif in the file, and a LifRef in the spec"),
    ({"layers": {"fc": {"weight": [[0.0, 0.0, 0.0]] * 2}}}, r"weight is float32\[2,3\] in the"),
    ({"layers": {"fc": {"bias": [0.0, 0.0]}}}, "bias is none in the file"),
]  # fmt: skip


@pytest.mark.parametrize(("stated", "message"), CONTRADICTIONS, ids=str)
def test_what_contradicts_the_file_is_refused_with_both_values(stated, message):
    with pytest.raises(SpecError, match=message):
        spec.apply(net(), stated)


SAME = [
    {"dt": "1 ms"},
    {"dt": "0.001 s"},
    {"step": 5},
    {"frozen_layers": ["fc"]},
    {"chains": [["fc", "lif"]]},
    {"version": "2.8.2"},
    {"layers": {"lif": {"tau": 0.1}}},
    {"layers": {"lif": {"tau": "0.0001 s", "V_th": [1.0, 1.0], "spk_reset": "soft"}}},
    {"layers": {"lif": {"threshold": 1.0, "shape": [2], "batch_axis": 0, "class": "Lif"}}},
    {"defaults": True},
]


@pytest.mark.parametrize("stated", SAME, ids=str)
def test_what_the_file_says_already_changes_nothing(stated):
    assert differences(net(), spec.apply(net(), stated)) == []


def test_a_unit_and_a_delay_that_the_file_leaves_open_are_filled_in():
    bare = SNNCheckpoint(
        [Neuron("a", (1,), {"tau": 5.0}), Neuron("b", (1,))],
        connections=[Connection("a", "b", UNKNOWN)],
    )
    stated = {"layers": {"a": {"tau": "5 ms"}}, "connections": [["a", "b", 2]]}
    full = spec.apply(bare, stated)
    assert full.layers["a"].parameters["tau"].unit == "ms"
    assert full.connections == (Connection("a", "b", 2),)


def test_switches_of_the_file_stay_beside_those_of_the_spec():
    bare = SNNCheckpoint([Neuron("n", rule=rules.snntorch.Leaky.rule)])
    with pytest.raises(SpecError, match="compare is '>' in the file and '>=' in the spec"):
        spec.apply(bare, {"layers": {"n": {"rule": {"compare": ">="}}}})
    full = spec.apply(bare, {"layers": {"n": {"rule": {"reset": "none", "max_spikes": 1}}}})
    assert full.layers["n"].rule.compare is Compare.GREATER


def test_the_notes_tell_what_is_the_spec_s_and_which_defaults_were_taken():
    bare = SNNCheckpoint([Neuron("x", (1,), origin=Origin("brainpy", "Lif", "2.8.2"))])
    full = spec.apply(bare, {"dt": "1 ms", "defaults": True, "layers": {"x": {"tau": 1.0}}})
    assert full.source.notes == (
        "the spec states 2 values that the file does not",
        "the spec takes the defaults of brainpy for V_rest, R, V_reset, V_th, spk_reset, method",
    )
    assert spec.apply(bare, {}).source is None


def test_the_notes_and_the_errors_name_the_file_of_the_spec(tmp_path):
    path = tmp_path / "net.toml"
    path.write_text('dt = "1 ms"\nchains = [["Lif0", "Dense1"]]\n', encoding="utf-8")
    full = read("fixtures/brainpy-2.8.2/snn.bp", spec=path)
    assert any("net.toml states 2 values" in note for note in full.source.notes)
    path.write_text("[layers.Lif0]\ntau = -1.0\n", encoding="utf-8")
    with pytest.raises(SpecError, match=r"net\.toml: layer 'Lif0': tau must be above 0"):
        read("fixtures/brainpy-2.8.2/snn.bp", spec=path)


def bare():
    return SNNCheckpoint(
        [
            Neuron("lif", origin=Origin("brainpy", "Lif")),
            Neuron("leaky", origin=Origin("snntorch", "Leaky")),
            Neuron("plif", origin=Origin("sinabs", "LIF")),
            Neuron("n"),
            Synapse("s"),
        ],
        state={("lif", "v"): StateVariable(np.zeros((4, 2)))},
        step=UNKNOWN,
    )


def of(layer, **stated):
    return {"layers": {layer: stated}}


REFUSED = [
    ({"tau": True}, "layer 'lif': tau must be a number"),
    ({"tau": "10 mV"}, "tau must be stated in one of s, ms, us, ns, step, found '10 mV'"),
    (of("lif", tau="nan"), "tau must be a number or a list of numbers, found 'nan'"),
    (of("lif", tau=float("nan")), "tau must be finite"),
    (of("lif", tau=float("inf")), "tau must be finite"),
    (of("lif", tau="1e999 ms"), "tau must be finite"),
    (of("lif", tau=-1.0), "tau must be above 0"),
    (of("lif", tau=0), "tau must be above 0"),
    (of("lif", tau=[1.0, -1.0]), "tau must be above 0"),
    (of("lif", tau=[]), "tau must be finite numbers"),
    (of("lif", tau=[[1.0], [1.0, 2.0]]), "lists of one length"),
    (of("lif", tau=["1 ms", "2 ms"]), "tau must be a number or a list"),
    (of("lif", tau=1 << 80), "tau must be a number"),
    (of("lif", tau={"value": 1}), "tau must be a number"),
    (of("lif", tau=None), "tau cannot be none"),
    (of("lif", V_th="1 ms"), "V_th must be stated in one of V, mV, uV, nV"),
    (of("lif", R="2 kg"), "R must be stated without a unit"),
    (of("lif", spk_reset=["soft"]), "spk_reset must be one of 'soft'"),
    (of("lif", tau=1.0, defaults="yes"), "defaults must be true or false, not 'yes'"),
    (of("lif", R=1.0, resistance=1.0), "resistance and R are the same"),
    (of("lif", decay=0.5), "brainpy Lif has no argument 'decay'"),
    (of("lif", rule={"compare": ">"}), "has no argument 'rule'"),
    (of("lif", shape="wide"), "shape"),
    (of("lif", shape=[1 << 70]), "shape must be a number, a word or a list"),
    (of("lif", batch_axis=2), "'lif': batch_axis must be \"none\" or an axis of v"),
    (of("lif", batch_axis=True), "batch_axis must be"),
    (of("lif", kind=3), "is a Neuron, not a 3"),
    (of("lif", **{"class": 3}), "class must be a name"),
    (of("leaky", reset_delay="no"), "reset_delay must be true or false"),
    (of("leaky", reset_mechanism=1.5, reset_delay=True), "reset_mechanism"),
    (of("plif", tau_mem="20 ms"), "tau_mem must be stated in step, found '20 ms'"),
    (of("n", tau="1 step", v_rest="1 s"), "v_rest must be stated in one of V"),
    (of("lif", V_th="1 mV", V_rest="0.001 V"), "potentials in one unit, found"),
    (of("n", dt="1 mV"), "dt must be like"),
    (of("n", **{"class": "Leaky"}), "class must name the framework too, like 'brainpy.Leaky'"),
    (of("n", rule={"max_spikes": 0}), "rule.max_spikes must be a whole number of at least 1"),
    (of("n", rule={"output_delay": -1}), "rule.output_delay must be a whole number"),
    (of("n", rule={"spiking": 1}), "rule.spiking must be true or false"),
    (of("n", rule={"compare": []}), "rule.compare must be one of"),
    (of("n", rule="lif"), "rule must be a table"),
    (of("new", kind=[]), "no layer 'new'"),
    (of("s", gain=[None]), "gain must be a number"),
    ({"defaults": "yes"}, "defaults must be true or false, not 'yes'"),
    ({"defaults": 1}, "defaults must be true or false"),
    ({"step": True}, "step must be a whole number"),
    ({"step": -1}, "step must be a whole number"),
    ({"step": 1 << 70}, "step must be a whole number"),
    ({"dt": True}, "dt must be like"),
    ({"dt": "-1 ms"}, "dt must be like"),
    ({"dt": "1e999 ms"}, "dt must be like"),
    ({"dt": ["1 ms"]}, "dt must be like"),
    ({"frozen_layers": "lif"}, "frozen_layers must be a list of layer names"),
    ({"frozen_layers": [1]}, "frozen_layers must be a list of layer names"),
    ({"chains": [[1, 2]]}, "chains must be a list of lists"),
    ({"chains": [["lif", "n", 1]]}, "chains must be a list of lists"),
    ({"connections": [["lif", "n", "late"]]}, "a connection is"),
    ({"connections": [["lif", "n", True]]}, "a connection is"),
    ({"connections": [["lif", "n", -1]]}, "the delay -1"),
    ({"layers": []}, "layers must be a table"),
]  # fmt: skip


@pytest.mark.parametrize(("stated", "message"), REFUSED, ids=str)
def test_a_value_that_cannot_be_meant_is_refused_with_layer_and_key(stated, message):
    with pytest.raises(SpecError, match=message.replace("(", r"\(")):
        spec.apply(bare(), stated)


def test_a_number_of_very_many_digits_is_refused_in_a_few_words():
    with pytest.raises(SpecError, match="a number of too many digits") as caught:
        spec.apply(bare(), of("lif", tau=1 << 20000))
    assert len(str(caught.value)) < 200


def test_arrays_and_parameters_may_stand_in_a_spec_of_a_program():
    full = spec.apply(bare(), of("n", tau=np.ones(3), threshold=Parameter(1.0, "mV")))
    assert full.layers["n"].parameters["tau"].value.shape == (3,)
    assert full.layers["n"].parameters["threshold"].unit == "mV"


HOSTILE = {
    "deep.json": b'{"a":' * 3000,
    "deep.toml": b"a = " + b"[" * 3000 + b"]" * 3000,
    "deeper.toml": b"a = " + b"[" * 100 + b"]" * 100,
    "dots.toml": b"a." * 500_000 + b"b = 1",
    "quoted.toml": b'"a" . ' * 200_000 + b"b = 1",
    "digits.toml": b"dt = " + b"1" * 100_000,
    "digits.json": b'{"dt": ' + b"1" * 100_000 + b"}",
    "hexadecimal.toml": b"step = 0x" + b"f" * 100_000,
    "twice.json": b'{"dt": "1 ms", "dt": "2 ms"}',
    "twice.toml": b'dt = "1 ms"\ndt = "2 ms"',
    "list.json": b"[]",
    "nul.toml": b"a\0 = 1",
    "large.toml": b"#" * (17 << 20),
    "nan.json": b'{"layers": {"lif": {"tau": NaN}}}',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_with_its_path(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(HOSTILE[name])
    with pytest.raises(SpecError, match=name) as caught:
        spec.apply(bare(), path)
    assert len(str(caught.value)) < len(str(path)) + 300


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(SpecError, match="a folder; expected a TOML or JSON file"):
        spec.load(tmp_path)


def test_a_missing_file_stays_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        spec.load(tmp_path / "absent.toml")


def test_a_file_of_windows_is_read(tmp_path):
    path = tmp_path / "net.toml"
    path.write_bytes(b'\xef\xbb\xbfdt = "1 ms"\r\nstep = 0\r\n')
    assert spec.load(path) == {"dt": "1 ms", "step": 0}


def test_a_recurrent_class_needs_what_leads_back():
    layers = [Linear("fc", np.ones((2, 3), np.float32)), Opaque("l", origin=Origin("onnx", "?"))]
    stated = {"class": "snntorch.RLeaky", "shape": [2], "beta": 0.5, "defaults": True}
    open_ended = SNNCheckpoint(layers, connections=[Connection("fc", "l")])
    with pytest.raises(SpecError, match=r"'l': a RLeaky runs its last spikes back .* be lost"):
        spec.apply(open_ended, {"layers": {"l": stated}})
    back = Linear("back", np.ones((2, 2), np.float32))
    edges = [*open_ended.connections, Connection("l", "back", 1), Connection("back", "l")]
    closed = SNNCheckpoint([*layers, back], connections=edges)
    assert isinstance(spec.apply(closed, {"layers": {"l": stated}}).layers["l"], Neuron)


JUNK = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
        st.sampled_from(["?", "none", "1 ms", "-3", "lif", "n", "Lif", "snntorch.Leaky", ">"]),
    ),
    lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=5), x, max_size=3),
    max_leaves=6,
)  # fmt: skip
KEYS = st.sampled_from([
    "tau", "V_th", "spk_reset", "shape", "rule", "kind", "class", "dt", "defaults", "batch_axis",
    "beta", "tau_mem", "spike_fn", "reset_fn", "model", "receptors", "gain", "reset_mechanism",
])  # fmt: skip
LAYERS = st.dictionaries(
    st.sampled_from(["lif", "leaky", "plif", "n", "s", "new"]),
    st.dictionaries(KEYS, JUNK, max_size=3),
    max_size=3,
)
TOP = st.sampled_from(["dt", "chains", "connections", "version", "step", "frozen_layers", "tau"])


@given(st.dictionaries(TOP, JUNK, max_size=3), LAYERS)
def test_no_content_raises_anything_but_our_errors(top, layers):
    stated = json.loads(json.dumps({**top, "layers": layers}))
    with contextlib.suppress(SNNBridgeError):
        spec.apply(bare(), stated)
