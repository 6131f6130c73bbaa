"""Networks in the neurons of another framework."""

import itertools

import numpy as np
import pytest

import pairs
from snnbridge import (
    PER_STEP,
    UNKNOWN,
    Connection,
    Input,
    Linear,
    Neuron,
    Quantity,
    Registry,
    SNNCheckpoint,
    UnknownValue,
    WriteError,
    convert,
    read,
    rules,
    simulate,
    write,
)
from snnbridge.express import TARGETS, express
from snnbridge_plugins import torch

REGISTRY = Registry([torch])
_FRAMEWORKS = ("norse", "rockpool", "sinabs", "snntorch", "spikingjelly")


def net(*neurons, weight=None, dt=PER_STEP):
    """Return a chain: an input of 3, weights into 2 neurons."""
    held = np.array([[0.5, 0.25, 0.5], [0.25, 0.5, 0.75]], np.float32)
    layers = [Input("in", (3,)), Linear("fc", held if weight is None else weight), *neurons]
    edges = [Connection(a.name, b.name) for a, b in itertools.pairwise(layers)]
    return SNNCheckpoint(layers, connections=edges, dt=dt)


def leaky(**arguments):
    given = {"beta": 0.75, "reset_mechanism": "zero", "reset_delay": False, **arguments}
    return rules.get("snntorch", "Leaky").build("lif", shape=(2,), **given)


def spikes(checkpoint, name="lif"):
    x = (np.random.default_rng(0).random((40, 3, 3)) < 0.5).astype(np.float32)
    return simulate(checkpoint, x, record={name: "output"}).traces[name, "output"]


@pytest.mark.parametrize("framework", _FRAMEWORKS)
def test_every_recorded_net_that_is_taken_spikes_as_it_did(framework):
    taken = 0
    for case in pairs.cases():
        try:
            planned, ledger = express(case.net, framework)
        except (WriteError, UnknownValue):
            continue
        layer = pairs.last(planned)
        own = {x.origin.framework for x in planned.layers.values() if x.origin is not None}
        assert own <= {framework}
        if any(entry.status.value == "rounded" for entry in ledger) or not layer.rule.spiking:
            continue
        taken += 1
        found = simulate(planned, case.x, record={layer.name: "output"}).traces
        assert (found[layer.name, "output"] == case.out).all(), f"{case.framework} {case.name}"
    assert taken > 20


@pytest.mark.parametrize(
    ("framework", "kind"),
    [("norse", "LIFBoxCell"), ("sinabs", "LIF"), ("spikingjelly", "CUBALIFNode")],
)
def test_a_leaky_neuron_becomes_the_class_that_computes_the_same(framework, kind):
    checkpoint = net(leaky())
    planned, ledger = express(checkpoint, framework)
    assert planned.layers["lif"].origin.kind == kind
    assert spikes(checkpoint).any()
    assert (spikes(planned) == spikes(checkpoint)).all()
    how = "rounded" if framework == "norse" else "rewritten"  # which computes in another form
    assert {entry.status.value for entry in ledger if entry.path[0] == "layers"} == {how}


def test_a_network_of_the_framework_itself_stays_as_it_is():
    checkpoint = net(leaky())
    assert express(checkpoint, "snntorch") == (checkpoint, [])


def test_steps_become_seconds_where_the_framework_needs_them():
    planned, ledger = express(net(leaky()), "norse")
    assert planned.dt == Quantity(2.0**-10, "s")
    assert ("dt",) in {entry.path for entry in ledger}
    kept, _ = express(net(leaky(), dt=Quantity(1.0, "ms")), "norse")
    assert kept.dt == Quantity(1.0, "ms")


def test_the_threshold_is_the_neighbouring_float_where_the_comparison_differs():
    planned, _ = express(net(leaky(threshold=0.5)), "spikingjelly")
    theta = planned.layers["lif"].parameters["threshold"].value
    assert theta == np.nextafter(np.float32(0.5), np.float32(1))


def test_a_neuron_without_a_synapse_keeps_its_connections():
    checkpoint = net(leaky())
    for framework in ("norse", "sinabs", "spikingjelly"):
        planned, _ = express(checkpoint, framework)
        feeding = {(c.source, c.target) for c in planned.connections}
        assert ("in", "fc") in feeding
        assert any(source == "fc" for source, _ in feeding)
        planned.validate()


def test_the_potential_of_a_state_is_put_into_the_new_units():
    checkpoint = net(leaky())
    checkpoint.state = {("lif", "v"): np.array([0.5, 0.25], np.float32)}
    planned, _ = express(checkpoint, "norse")  # the input counts a quarter there
    assert planned.state["lif", "v"].value.tolist() == [0.125, 0.0625]


@pytest.mark.parametrize(
    ("framework", "arguments", "reason"),
    [
        ("spikingjelly", {"reset_mechanism": "subtract", "reset_delay": True}, "the threshold"),
        ("rockpool", {}, "not set to a value"),
        ("sinabs", {"reset_mechanism": "none"}, "reset by a spike"),
        ("norse", {"reset_mechanism": "subtract"}, "in the step of its spike"),
        ("spikingjelly", {"threshold": np.float32([0.5, 1])}, "same for all neurons"),
        ("sinabs", {"graded_spikes_factor": 2.0}, "spikes of size 1"),
    ],
)
def test_what_no_class_computes_is_refused_with_the_reason(framework, arguments, reason):
    with pytest.raises(WriteError, match=f"layer 'lif': .* has no such neuron: .*{reason}"):
        express(net(leaky(**arguments)), framework)


def test_a_layer_that_the_framework_lacks_is_refused():
    case = next(c for c in pairs.cases() if c.kind == "conv" and c.framework == "sinabs")
    with pytest.raises(WriteError, match="Rockpool has no module for a Conv2d"):
        express(case.net, "rockpool")


def test_an_unknown_rule_or_connection_is_not_guessed():
    with pytest.raises(UnknownValue):
        express(net(Neuron("lif", (2,), {"threshold": 1.0})), "sinabs")
    loose = SNNCheckpoint([leaky()], connections=UNKNOWN)
    with pytest.raises(WriteError, match="connections are not known"):
        express(loose, "sinabs")
    with pytest.raises(WriteError, match="known are norse"):
        express(loose, "nengo")


def test_a_bias_that_is_fed_back_at_another_step_is_refused():
    back = Linear("back", np.eye(2, dtype=np.float32), np.ones(2, np.float32))
    lif = rules.get("snntorch", "RLeaky").build(
        "lif", shape=(2,), beta=0.5, reset_mechanism="zero", reset_delay=False
    )
    held = net(lif)
    edges = [*held.connections, Connection("lif", "back", 1), Connection("back", "lif")]
    checkpoint = SNNCheckpoint([*held.layers.values(), back], connections=edges, dt=PER_STEP)
    with pytest.raises(WriteError, match="no bias back at the first step"):
        express(checkpoint, "sinabs")
    planned, _ = express(checkpoint, "spikingjelly")
    assert planned.layers["back"] is back


def test_the_option_names_every_framework():
    offered = {
        option.choices for format in (torch.FORMAT, torch.SAFETENSORS) for option in format.options
        if option.name == "for"
    }  # fmt: skip
    assert offered == {tuple(sorted(TARGETS))}


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("framework", ["norse", "sinabs", "spikingjelly"])
def test_a_file_for_a_framework_is_read_as_its_classes(tmp_path, framework, suffix):
    source, target = tmp_path / "source.pt", tmp_path / f"target{suffix}"
    weight = np.random.default_rng(1).normal(0.3, 0.4, (2, 3)).astype(np.float32)
    checkpoint = net(leaky(), weight=weight)
    write(checkpoint, source, registry=REGISTRY)
    done = convert(source, target, write_options={"for": framework}, registry=REGISTRY)
    assert done.verdict == "equivalent"
    back = read(target, registry=REGISTRY)
    assert back.layers["lif"].origin.framework == framework
    assert (spikes(back) == spikes(checkpoint)).all()


def test_a_bare_file_for_a_framework_has_its_usual_keys(tmp_path):
    path = tmp_path / "net.pt"
    write(
        net(leaky(beta=0.9)), path,
        bare=True, allow_loss=True, options={"for": "sinabs"}, registry=REGISTRY,
    )  # fmt: skip
    back = read(path, registry=REGISTRY)
    lif = back.layers["lif"]
    assert (lif.origin.framework, lif.origin.kind) == ("sinabs", "LIF")
    assert lif.parameters["decay"].value == np.float32(0.9)
