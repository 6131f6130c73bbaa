"""The form asks for all that a simulation needs, and every answer is a valid spec."""

import re
import tomllib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnbridge import (
    PER_STEP,
    UNKNOWN,
    Linear,
    Neuron,
    Opaque,
    Origin,
    SNNCheckpoint,
    StateVariable,
    Synapse,
    differences,
    read,
    rules,
    simulate,
    spec,
)
from snnbridge.model import Reset

#: What no framework has a default for.
TYPICAL = {
    "beta": 0.9, "alpha": 0.8, "leak_k": 13, "gain_k": 256, "vDecay": 128, "iDecay": 1024,
    "threshold": 1.0, "v_threshold": 1.0, "tau": 0.02, "tau_mem": 0.02, "tau_syn": 0.01, "R": 2.0,
    "C": 5.0, "spk_reset": "soft", "method": "euler", "tau_ref": "none", "A": "none",
}  # fmt: skip
NETWORK = {"dt": '"1 ms"', "version": '"2.8.2"', "step": "0", "shape": "[3]"}
DYNAMIC = [key for key, found in rules.classes.items() if found.layer in (Neuron, Synapse)]


def answer(key, found):
    argument = found.arguments[key]
    value = argument.default
    if value is rules.REQUIRED or (value is None and key in TYPICAL):
        value = TYPICAL[key]
    if isinstance(value, bool):
        return str(value).lower()
    return (
        f'"{"none" if value is None else value}"'
        if value is None or value == str(value)
        else (str(value))
    )


def filled(form, found):
    """Answer each question as a user would who knows the framework."""
    lines = []
    for line in form.splitlines():
        asked = re.match(r'(\S+) = "\?"', line)
        if asked and asked[1] in found.arguments:
            line = f"{asked[1]} = {answer(asked[1], found)}"
        elif asked and asked[1] == "class":
            line = f'class = "{found.kind}"'
        elif asked:
            line = f"{asked[1]} = {NETWORK[asked[1]]}"
        lines.append(line)
    return tomllib.loads("\n".join(lines))


@pytest.mark.parametrize(("framework", "kind"), DYNAMIC, ids=[".".join(x) for x in DYNAMIC])
def test_a_filled_in_form_of_any_framework_s_layer_can_be_simulated(framework, kind):
    found = rules.get(framework, kind)
    bare = SNNCheckpoint([found.layer("x", origin=Origin(framework, kind))], connections=())
    full = spec.apply(bare, filled(spec.skeleton(bare), found))
    assert simulate(full, np.ones((5, 1, 3), np.float32)).steps == 5
    assert "[layers" not in spec.skeleton(full)


def test_the_form_of_a_sc_neurocore_file_leads_to_a_simulation():
    path = "fixtures/sc-neurocore-3.16.0/mlp"
    form = spec.skeleton(read(path))
    for word in ("tau", "threshold", "v_reset", "StochasticLIFNeuron (v_rest, v_reset"):
        assert word in form
    names = list(read(path).layers)
    stated = tomllib.loads(
        form.replace('class = "?"', 'class = "StochasticLIFNeuron"')
        .replace('dt = "?"', 'dt = "1 ms"')
        .replace('chains = [["?"]]', f"chains = [{names}]")
        .replace("# defaults", "defaults")
    )
    full = read(path, spec=stated)
    assert any("'StochasticLIFNeuron' to what the file calls 'LIF'" in x for x in full.source.notes)
    inputs = full.layers[names[0]].size[0]
    assert simulate(full, np.ones((4, 1, inputs))).steps == 4


NAMES = ["fc", "層", "a.b", 'q"uote', "new\nline", "\x07\x7f\u2028", "😀", "", "'", "# no comment"]


@given(st.one_of(st.sampled_from(NAMES), st.text(st.characters(exclude_categories=["Cs"]))))
def test_the_form_of_any_names_is_valid_toml(name):
    name = name.replace("\0", "")
    net = SNNCheckpoint([Neuron(name), Opaque("o" + name, origin=Origin("x\n[y", name or "k"))])
    stated = tomllib.loads(spec.skeleton(net))
    assert list(stated["layers"]) == [name, "o" + name]
    assert differences(net, spec.apply(net, stated)) == []


def test_names_in_other_scripts_stay_readable():
    assert '[layers."層"]' in spec.skeleton(SNNCheckpoint([Neuron("層")]))


def test_a_word_of_the_form_that_info_says_otherwise_tells_so():
    form = spec.skeleton(SNNCheckpoint([Neuron("x", origin=Origin("brainpy", "Lif"))]))
    assert 'R = "?"  # membrane resistance; brainpy\'s default is 1.0 (info says resist' in form


def test_both_words_for_one_thing_are_understood():
    net = SNNCheckpoint([Neuron("x", origin=Origin("brainpy", "Lif"))])
    ours = spec.apply(net, {"layers": {"x": {"resistance": 2.0, "v_rest": 1.0}}})
    theirs = spec.apply(net, {"layers": {"x": {"R": 2.0, "V_rest": 1.0}}})
    assert differences(ours, theirs) == []


def test_the_form_asks_for_the_version_where_rules_differ_by_it():
    lif = SNNCheckpoint([Neuron("x", origin=Origin("brainpy", "Lif"))])
    leaky = SNNCheckpoint([Neuron("x", origin=Origin("snntorch", "Leaky"))])
    assert 'version = "?"  # of brainpy' in spec.skeleton(lif)
    assert "version" not in spec.skeleton(leaky)


def test_the_form_asks_for_the_step_and_the_batch_axis():
    state = {("x", "v"): StateVariable(np.zeros((3, 3)))}
    net = SNNCheckpoint([Neuron("x")], state=state, step=UNKNOWN)
    form = spec.skeleton(net)
    assert 'step = "?"' in form
    assert 'batch_axis = "?"' in form
    stated = spec.apply(net, {"step": 7, "layers": {"x": {"batch_axis": 0}}})
    assert (stated.step, stated.state["x", "v"].batch_axis) == (7, 0)
    without = spec.apply(net, {"layers": {"x": {"batch_axis": "none"}}})
    assert without.state["x", "v"].batch_axis is None


def test_the_form_holds_what_the_file_tells_of_the_mode():
    state = {("x", "spike"): StateVariable(np.zeros(3, bool), None)}
    net = SNNCheckpoint([Neuron("x", (3,), origin=Origin("brainpy", "Lif"))], state=state)
    form = spec.skeleton(net)
    assert 'spk_reset = "nontraining"  # by the file: its spikes are booleans' in form
    assert spec.apply(net, tomllib.loads(form)).layers["x"].rule.reset is Reset.SET


def test_the_form_repeats_what_the_reader_could_not_tell():
    form = spec.skeleton(read("fixtures/brainpy-2.8.2/named.bp"))
    assert "# the classes of" in form
    assert "classes=NODE=CLASS" in form


def test_what_a_setting_leaves_open_is_asked_for():
    linear = Linear("fc", origin=Origin("brainpy", "Dense"))
    pool = rules.brainpy.MaxPool.layer("pool", origin=Origin("brainpy", "MaxPool"))
    form = spec.skeleton(SNNCheckpoint([linear, pool]))
    for word in ("kernel_size", "stride", "padding"):
        assert f'{word} = "?"' in form


def form_of(layer):
    return spec.skeleton(SNNCheckpoint([layer], connections=(), dt=PER_STEP))


def test_what_a_word_of_the_file_states_is_not_asked_again():
    known = rules.snntorch.Leaky
    bare = Neuron("lif", (2,), origin=Origin("snntorch", "Leaky"))
    held = known.state(bare, {"beta": 0.5, "threshold": 1.0, "reset_mechanism": "subtract"})
    form = form_of(held)
    assert "reset_mechanism" not in form
    assert 'reset_delay = "?"' in form
    stated = spec.apply(SNNCheckpoint([held]), {"layers": {"lif": {"reset_delay": True}}})
    assert not stated.layers["lif"].unknown()
    assert stated.layers["lif"].rule.reset is Reset.SUBTRACT


@pytest.mark.parametrize(
    ("framework", "kind", "given", "absent"),
    [
        ("spikingjelly", "ParametricLIFNode", {"w": 0.0}, ("w", "init_tau")),
        ("sinabs", "LIF", {"tau_mem": 10.0}, ("tau_mem", "alpha_mem")),
        ("sinabs", "LIF", {"alpha_mem": 0.5}, ("tau_mem", "alpha_mem")),
        ("rockpool", "LIFTorch", {"leak_mode": "decays", "alpha": 0.5}, ("tau_mem", "alpha")),
    ],
)
def test_numbers_that_a_file_holds_are_not_asked_again(framework, kind, given, absent):
    known = rules.get(framework, kind)
    held = known.state(Neuron("lif", (2,), origin=Origin(framework, kind)), given)
    form = form_of(held)
    assert "[layers.lif]" in form
    assert not [key for key in absent if re.search(rf"^{key} =", form, re.MULTILINE)]
