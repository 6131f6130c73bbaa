"""A framework's releases run different rules; the spec's version, or the file, decides."""

import json
from pathlib import Path

import numpy as np
import pytest

from snnbridge import (
    UNKNOWN,
    Neuron,
    Origin,
    SNNCheckpoint,
    SpecError,
    StateVariable,
    Synapse,
    read,
    rules,
    simulate,
    spec,
)
from snnbridge.model import InputGain, Refractory, Reset, SynapseKind

FIXTURES = Path(__file__).parent.parent / "fixtures"
ARGUMENTS = ("tau", "V_rest", "R", "V_reset", "V_th", "tau_ref", "tau_rise", "tau_decay")
RECORDED = [
    ("2.3.4.1", "lif_default"),
    ("2.3.4.1", "lif_training"),
    ("2.3.4.1", "lif_training_ref"),
    ("2.4.2", "lif_training_exp"),
    ("2.4.2", "lif_training_euler"),
    ("2.4.2", "lifref_dt01_ref03"),
    ("2.4.2", "synapse_alpha"),
    ("2.4.2", "synapse_dual_expon"),
    ("2.4.2", "synapse_expon"),
]


def owner_s_spec(version, case):
    """State what the live network said of itself, as its owner would."""
    truth = json.loads((FIXTURES / f"brainpy-{version}" / f"{case}.truth.json").read_text("utf-8"))
    layers = {}
    for name, node in truth["nodes"].items():
        given = {k: v for k, v in node.get("parameters", {}).items() if k in ARGUMENTS}
        if "integral" in node and given:
            if node["class"] == "Alpha":
                del given["tau_rise"]
            method = {"Euler": "euler"}.get(node["integral"], "exp_auto")
            layers[name] = {k: "none" if v is None else v for k, v in given.items()}
            layers[name]["method"] = method
    chain = [target for _, target in truth["wiring"][:-1]]
    return {
        "version": version, "dt": f"{truth['dt']} ms", "chains": [chain], "layers": layers,
    }  # fmt: skip


@pytest.mark.parametrize(("version", "case"), RECORDED, ids=["/".join(x) for x in RECORDED])
def test_a_file_of_an_older_release_runs_as_it_did(version, case):
    folder = FIXTURES / f"brainpy-{version}"
    path = folder / case if (folder / case).is_dir() else folder / f"{case}.bp"
    net = read(path, spec=owner_s_spec(version, case))
    with np.load(folder / f"{case}.record.npz") as held:
        truth = {key: held[key] for key in held.files}
    spiking = [
        x.name for x in net.layers.values() if isinstance(x, Neuron) and x.rule.spiking is True
    ]
    found = simulate(net, truth["input"], record=dict.fromkeys(spiking, ("spikes",)))
    assert spiking
    for name in spiking:
        assert (found.spikes[name] == truth[f"{name}.spike"]).all()


def net_of(kind, version=UNKNOWN, **states):
    layer = rules.get("brainpy", kind).layer("x", (2,), origin=Origin("brainpy", kind, version))
    held = {("x", name): StateVariable(value, None) for name, value in states.items()}
    return SNNCheckpoint([layer], state=held)


def rule(net, **stated):
    return spec.apply(net, stated).layers["x"].rule


@pytest.mark.parametrize("kind", ["Lif", "LifLTC", "LifRef", "LifRefLTC", "LIF"])
def test_before_2_4_3_every_reset_is_hard(kind):
    assert rule(net_of(kind), version="2.4.2", defaults=True).reset is Reset.SET
    assert rule(net_of(kind), version="2.4.3", defaults=True).reset is Reset.SUBTRACT


def test_a_soft_reset_in_a_release_without_one_is_refused():
    with pytest.raises(SpecError, match=r"spk_reset must be one of 'hard', 'nontraining' in .*Lif"):
        rule(net_of("Lif"), version="2.4.2", spk_reset="soft")


def test_what_depends_on_an_unknown_version_stays_unknown_beside_defaults():
    lif = rule(net_of("Lif"), defaults=True)
    assert lif.reset is UNKNOWN
    assert lif.unknown() == ("reset",)
    alpha = rule(net_of("Alpha"), defaults=True)
    assert (alpha.kind, alpha.input_gain) == (UNKNOWN, UNKNOWN)


def test_an_argument_tells_the_releases_that_have_it():
    assert rule(net_of("Lif"), spk_reset="soft").reset is Reset.SUBTRACT
    assert rule(net_of("DualExpon"), A=1.0).input_gain is InputGain.ONE


def test_the_alpha_function_of_old_is_a_double_exponential():
    old = spec.apply(net_of("Alpha"), {"version": "2.4.2", "tau_decay": 5.0}).layers["x"]
    assert old.rule.kind is SynapseKind.DUAL_EXPONENTIAL
    assert float(old.parameters["tau_rise"].value) == 5.0
    new = spec.apply(net_of("Alpha"), {"version": "2.8.2", "tau_decay": 5.0}).layers["x"]
    assert new.rule.kind is SynapseKind.ALPHA


def test_the_difference_of_exponentials_of_old_is_scaled_by_its_time_constants():
    old = spec.apply(
        net_of("DualExponV2"), {"version": "2.4.4", "tau_decay": "0.006 s", "tau_rise": 2.0}
    )
    assert float(old.layers["x"].parameters["gain"].value) == pytest.approx(3.0)


def test_a_release_with_rules_of_its_own_has_none_here():
    with pytest.raises(SpecError, match=r"DualExpon before 2\.4\.6\.post5, DualExpon from 2\.5"):
        rules.get("brainpy", "DualExpon", "2.4.6.post5")


def test_the_neurons_of_old_have_no_refractory_period_unless_one_is_given():
    assert rule(net_of("LIF"), version="2.3.4", defaults=True).refractory is Refractory.NONE
    held = rule(net_of("LIF"), version="2.3.4", tau_ref=2.0)
    assert held.refractory is Refractory.HOLD_TESTED


def test_no_refractory_period_is_no_value_that_a_simulation_lacks():
    old = spec.apply(net_of("LIF"), {
        "tau_ref": "none", "spk_reset": "hard", "defaults": True, "dt": "1 ms", "connections": [],
    })  # fmt: skip
    assert old.layers["x"].rule.refractory is Refractory.NONE
    assert simulate(old, np.ones((3, 1, 2), np.float32)).steps == 3


def test_spikes_that_are_booleans_tell_that_the_reset_is_hard():
    quiet = net_of("Lif", spike=np.zeros(2, bool))
    assert rule(quiet, version="2.8.2", defaults=True).reset is Reset.SET
    assert rule(quiet, tau=1.0).reset is Reset.SET
    assert rule(quiet, spk_reset="hard").reset is Reset.SET
    trained = net_of("Lif", spike=np.zeros(2, np.float32))
    assert rule(trained, version="2.8.2", defaults=True).reset is Reset.SUBTRACT


def test_a_soft_reset_beside_spikes_that_are_booleans_is_refused():
    with pytest.raises(SpecError, match=r"'nontraining' by the file \(its spikes are booleans\)"):
        rule(net_of("Lif", spike=np.zeros(2, bool)), spk_reset="soft")


def test_a_rule_that_the_file_states_goes_before_what_its_spikes_tell():
    soft = rules.brainpy.Lif("x", "2.8.2", shape=(2,), spk_reset="soft")
    spikes = {("x", "spike"): StateVariable(np.zeros(2, bool), None)}
    assert rule(SNNCheckpoint([soft], state=spikes), defaults=True).reset is Reset.SUBTRACT


def test_another_version_than_the_file_s_is_refused():
    with pytest.raises(SpecError, match=r"brainpy 2\.8\.2 wrote it, and the spec '2\.4\.2'"):
        rule(net_of("Lif", "2.8.2"), version="2.4.2")
    assert rule(net_of("Lif", "2.8.2"), version="2.8.2", defaults=True).unknown() == ()


def test_a_version_in_the_file_decides_by_itself():
    assert rule(net_of("Lif", "2.4.2"), defaults=True).reset is Reset.SET


@pytest.mark.parametrize("version", ["new", "", 2.8, 3, True, ["2.8"]])
def test_a_version_that_is_none_is_refused(version):
    with pytest.raises(SpecError, match="version must be like"):
        rule(net_of("Lif"), version=version)


def test_every_class_is_called_by_its_name():
    assert rules.brainpy.Lif("x", shape=(2,), tau=5.0).parameters["threshold"].value == 20.0
    assert isinstance(rules.nir.CubaLIF.synapse("s", tau_syn=0.01, method="euler"), Synapse)
    for (framework, kind), found in rules.classes.items():
        module = getattr(rules, framework.replace("-", "_"))
        assert getattr(module, kind) is found
    with pytest.raises(AttributeError, match="no rule is named 'Nope'; there are Leaky"):
        rules.snntorch.Nope  # noqa: B018
