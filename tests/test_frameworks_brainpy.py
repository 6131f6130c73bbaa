"""Export asks a running network for all that its checkpoint leaves out; here of stand-ins."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from snnbridge import UNKNOWN, CheckpointError, Connection, Opaque, Quantity, bridge
from snnbridge.frameworks.brainpy import checkpoint_of, export
from snnbridge.model import Form, Refractory, Reset, Scheme, SynapseKind, SynapseRule
from snnbridge.pytree import load_pytree, save_state
from snnbridge.registry import Registry
from snnbridge_plugins import brainpy as plugin


class Variable(SimpleNamespace):
    """An array of the framework."""


class TrainVar(Variable):
    """One that is trained."""


def variable(array, kind=Variable, batch_axis=None):
    return kind(value=np.asarray(array, np.float32), batch_axis=batch_axis)


class DynamicalSystem:
    """What all nodes have; `Mode` is the name of its mode."""

    def __init__(self, name, mode="TrainingMode", **attributes):
        self.name, self.mode = name, type(mode, (), {})()
        vars(self).update(attributes)

    def nodes(self):
        inside = [x for x in vars(self).values() if isinstance(x, DynamicalSystem)]
        inside += list(getattr(self, "children", {}).values())
        below = [node for x in inside if hasattr(x, "nodes") for node in x.nodes().values()]
        return {node.name: node for node in (self, *below)}

    def vars(self, **_):
        found = {key: x for key, x in vars(self).items() if isinstance(x, Variable)}
        return SimpleNamespace(unique=lambda: found)

    def save_state(self):
        return {f"{self.name}.{key}": x.value for key, x in self.vars().unique().items()}


def of_brainpy(kind):
    """Make a class that looks as if it came from the framework."""
    return type(kind, (DynamicalSystem,), {"__module__": "brainpy.dyn"})


def integral(kind):
    return type(kind, (), {})()


def lif(name="Lif0", mode="TrainingMode", kind="Lif", **changes):
    arguments = {"V_rest": 0.0, "V_reset": 0.0, "V_th": 1.0, "tau": 5.0, "R": 1.0}
    arguments |= {"spk_reset": "soft", "noise": None, "varshape": (3,), "method": "exp_auto"}
    arguments |= {
        "integral": integral("ExponentialEuler"),
        "V": variable(np.zeros((1, 3)), batch_axis=0),
    }
    return of_brainpy(kind)(name, mode, **(arguments | changes))


def dense(name="Dense0", kind=TrainVar):
    array = variable(np.ones((4, 3)), kind) if kind else np.ones((4, 3), np.float32)
    return of_brainpy("Dense")(name, W=array, b=None)


def net(*nodes, kind="Sequential"):
    return of_brainpy(kind)(f"{kind}0", children={x.name: x for x in nodes})


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """Stand in for the framework, and for what is installed."""
    module = SimpleNamespace(__version__="2.8.2", math=SimpleNamespace(get_dt=lambda: 0.5))
    monkeypatch.setitem(sys.modules, "brainpy", module)
    monkeypatch.setattr("snnbridge.registry.default", lambda: Registry([plugin]))


def test_parameters_rule_time_step_and_edges_are_taken_from_the_network():
    checkpoint = checkpoint_of(net(dense(), lif()))
    assert checkpoint.unknown() == [("step",)]
    assert checkpoint.dt == Quantity(0.5, "ms")
    assert checkpoint.connections == (Connection("Dense0", "Lif0"),)
    held = checkpoint.layers["Lif0"]
    assert held.parameters["tau"].value == 5.0
    assert held.parameters["tau"].unit == "ms"
    assert held.rule.reset is Reset.SUBTRACT
    assert held.origin.version == "2.8.2"
    assert checkpoint.state["Lif0", "v"].batch_axis == 0
    assert checkpoint.layers["Dense0"].weight.trainable is True


@pytest.mark.parametrize(
    ("method", "scheme"),
    [("ExponentialEuler", Scheme.EXACT), ("Euler", Scheme.EULER), ("Heun2", UNKNOWN)],
)
def test_the_method_is_that_of_the_integrator(method, scheme):
    checkpoint = checkpoint_of(net(lif(integral=integral(method))))
    assert checkpoint.layers["Lif0"].rule.scheme is scheme


def test_a_noisy_membrane_has_no_scheme_of_the_family():
    checkpoint = checkpoint_of(net(lif(noise=0.1, integral=integral("Euler"))))
    assert checkpoint.layers["Lif0"].rule.form is UNKNOWN


def test_outside_training_the_reset_is_hard_whatever_the_node_says():
    checkpoint = checkpoint_of(net(lif(mode="NonBatchingMode")))
    assert checkpoint.layers["Lif0"].rule.reset is Reset.SET
    assert checkpoint.extras["brainpy"]["modes"]["Lif0"] == "NonBatchingMode"


def test_a_refractory_period_of_none_is_none():
    node = lif("LIF0", kind="LIF", tau_ref=None)
    held = checkpoint_of(net(node)).layers["LIF0"]
    assert held.parameters["tau_ref"].value == 0.0
    assert held.rule.refractory is Refractory.HOLD_TESTED


def test_weights_that_are_no_variables_stand_beside_the_tree(tmp_path):
    network = net(dense(kind=None), lif())
    path = tmp_path / "x.bp"
    export(network, path)
    assert load_pytree(path)["Dense0"] == {}
    checkpoint = bridge.read(path)
    assert checkpoint.layers["Dense0"].weight.value.shape == (3, 4)
    assert checkpoint.layers["Dense0"].weight.trainable is False
    assert save_state(checkpoint)["Dense0"] == {}


def test_a_users_subclass_is_no_member_of_the_family():
    class Lif(of_brainpy("Lif")):
        """It may do anything."""

    Lif.__module__ = "their.module"
    node = Lif("Lif0", V=variable(np.zeros(3)), V_th=2.0, size=(3,))
    layer = checkpoint_of(net(node)).layers["Lif0"]
    assert isinstance(layer, Opaque)
    assert layer.origin.kind.startswith("their.module.")
    assert layer.settings == {"V_th": 2.0}


def test_a_masked_kernel_is_no_plain_convolution():
    kernel = variable(np.ones((3, 3, 1, 2)), TrainVar)
    node = of_brainpy("Conv2d")("Conv2d0", w=kernel, mask=np.ones((3, 3, 1, 2)))
    layer = checkpoint_of(net(node)).layers["Conv2d0"]
    assert isinstance(layer, Opaque)
    assert layer.origin.kind == "Conv2d with a mask"


def test_the_amplitude_of_a_double_exponential_is_that_of_its_factor():
    factor = np.float32(0.25)
    common = {"tau_decay": 6.0, "tau_rise": 2.0, "varshape": (3,), "g": variable(np.zeros(3))}
    node = of_brainpy("DualExpon")("DualExpon0", a=factor, h=variable(np.zeros(3)), **common)
    amplitude = checkpoint_of(net(node)).layers["DualExpon0"].parameters["input_gain"].value
    assert np.float32(amplitude * (6.0 - 2.0) / 2.0 / 6.0) == factor


def synapse(kind, version, **arguments):
    sys.modules["brainpy"].__version__ = version
    states = {"g": variable(np.zeros(3)), "h": variable(np.zeros(3)), "varshape": (3,)}
    return checkpoint_of(net(of_brainpy(kind)("S0", **states, **arguments))).layers["S0"]


def test_the_rule_is_that_of_the_release_that_runs():
    arguments = {"tau_decay": 5.0, "integral": integral("ExponentialEuler")}
    old, new = (synapse("Alpha", version, **arguments) for version in ("2.4.2", "2.8.2"))
    assert old.rule.kind is SynapseKind.DUAL_EXPONENTIAL
    assert old.parameters["tau_rise"].value == 5.0
    assert new.rule.kind is SynapseKind.ALPHA


def test_what_was_not_measured_of_a_release_stays_unknown():
    layer = synapse("DualExpon", "2.4.6.post5", tau_decay=6.0, tau_rise=2.0)
    assert layer.rule == SynapseRule()
    assert layer.parameters["tau"].value is UNKNOWN


def test_channels_come_first_in_shapes_parameters_and_states():
    tau = variable(np.arange(12).reshape(2, 3, 2), TrainVar)
    node = lif(tau=tau, varshape=(2, 3, 2), V=variable(np.zeros((2, 3, 2))))
    checkpoint = checkpoint_of(net(node))
    held = checkpoint.layers["Lif0"]
    assert held.shape == (2, 2, 3)
    assert np.array_equal(held.parameters["tau"].value, np.moveaxis(tau.value, -1, 0))
    assert held.parameters["tau"].trainable is True
    assert checkpoint.state["Lif0", "v"].value.shape == (2, 2, 3)
    assert checkpoint.state["Lif0", "v"].batch_axis is None


def test_edges_are_unknown_where_code_decides_them_unless_they_are_given():
    network = net(dense(), lif(), kind="Network")
    assert checkpoint_of(network).connections is UNKNOWN
    given = checkpoint_of(network, connections=[("Dense0", "Lif0", 2)], dt="1 us")
    assert given.connections == (Connection("Dense0", "Lif0", 2),)
    assert given.dt == Quantity(1.0, "us")
    with pytest.raises(CheckpointError, match="'Lif7', which is no module"):
        checkpoint_of(network, connections=[("Dense0", "Lif7")])
    with pytest.raises(CheckpointError, match="a connection is"):
        checkpoint_of(network, connections=["Dense0"])


def test_a_sequential_with_a_function_in_it_has_unknown_edges():
    network = net(dense(), lif())
    network.children["relu"] = SimpleNamespace(name="relu")
    assert checkpoint_of(network).connections is UNKNOWN


def test_the_form_of_the_update_is_part_of_what_is_stated():
    assert checkpoint_of(net(lif())).layers["Lif0"].rule.form is Form.EXPONENTIAL_EULER


def test_anything_but_a_network_is_refused(tmp_path):
    with pytest.raises(TypeError, match="found 'dict'"):
        export({}, tmp_path / "x.bp")
