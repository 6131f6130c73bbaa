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
    LossyWrite,
    Neuron,
    Opaque,
    Quantity,
    Registry,
    Scale,
    SNNCheckpoint,
    StateVariable,
    UnknownValue,
    WriteError,
    convert,
    read,
    rules,
    simulate,
    write,
)
from snnbridge.express import ON_PYTORCH, TARGETS, express
from snnbridge_plugins import torch

REGISTRY = Registry([torch])
_FRAMEWORKS = ("norse", "rockpool", "sinabs", "snntorch", "spikingjelly", "spyx")


def net(*neurons, weight=None, dt=PER_STEP):
    """Return a chain: an input of 3, weights into 2 neurons."""
    held = np.array([[0.5, 0.25, 0.5], [0.25, 0.5, 0.75]], np.float32)
    layers = [Input("in", (3,)), Linear("fc", held if weight is None else weight), *neurons]
    edges = [Connection(a.name, b.name) for a, b in itertools.pairwise(layers)]
    return SNNCheckpoint(layers, connections=edges, dt=dt)


def leaky(**arguments):
    given = {"beta": 0.75, "reset_mechanism": "zero", "reset_delay": False, **arguments}
    return rules.get("snntorch", "Leaky").build("lif", shape=(2,), **given)


def integrator():
    return rules.get("spikingjelly", "IFNode").build("lif", shape=(2,), v_reset=None)


def last_neuron(checkpoint):
    return pairs.last(checkpoint).name


def spikes(checkpoint):
    name = last_neuron(checkpoint)
    x = (np.random.default_rng(0).random((40, 3, 3)) < 0.5).astype(np.float32)
    return simulate(checkpoint, x, record={name: "output"}).traces[name, "output"]


@pytest.mark.parametrize("framework", _FRAMEWORKS)
def test_every_recorded_net_that_is_taken_spikes_as_it_did(framework):
    """A rounding may decide a spike at the threshold, and nothing more."""
    taken = 0
    for case in pairs.cases():
        try:
            planned, ledger = express(case.net, framework)
        except (WriteError, UnknownValue):
            continue
        layer = pairs.last(planned)
        own = {x.origin.framework for x in planned.layers.values() if x.origin is not None}
        assert own <= {framework}
        taken += 1
        variable = "output" if layer.rule.spiking else "v"
        found = simulate(planned, case.x, record={layer.name: variable}).traces
        late = pairs.latency(case.net, planned)
        ours, theirs = pairs.shifted(found[layer.name, variable], case.out, late)
        wrong = (abs(ours - theirs) > 1e-4).mean()
        rounded = any(entry.status.value == "rounded" for entry in ledger)
        if any(pairs.parts_ways(entry) for entry in ledger):
            continue  # as that line says
        assert wrong <= (0.03 if rounded else 0.0), f"{case.framework} {case.name}"
    assert taken > 20


@pytest.mark.parametrize(
    ("framework", "kind"),
    [("norse", "LIFBoxCell"), ("sinabs", "LIF"), ("spikingjelly", "CUBALIFNode")],
)
def test_a_leaky_neuron_becomes_the_class_that_computes_the_same(framework, kind):
    checkpoint = net(leaky())
    planned, ledger = express(checkpoint, framework)
    assert planned.layers[last_neuron(planned)].origin.kind == kind
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
        fed = [c.target for c in planned.connections]
        assert fed == [name for name in planned.layers if name != "in"]
        planned.validate()


def test_the_potential_of_a_state_is_put_into_the_new_units():
    checkpoint = net(leaky())
    checkpoint.state = {("lif", "v"): StateVariable(np.float32([0.5, 0.25]))}
    planned, _ = express(checkpoint, "norse")  # the input counts a quarter there
    assert planned.state["1", "v"].value.tolist() == [0.125, 0.0625]


@pytest.mark.parametrize(
    ("framework", "arguments", "reason"),
    [
        ("rockpool", {}, "never set to a fixed potential"),
        ("sinabs", {"reset_mechanism": "none"}, "reset by a spike"),
        ("norse", {"reset_mechanism": "subtract"}, "in the step of its spike"),
        (
            "spikingjelly",
            {"threshold": np.float32([0.5, 1])},
            "threshold differs from neuron to neuron",
        ),
        ("sinabs", {"graded_spikes_factor": 2.0}, "spikes of size 1"),
    ],
)
def test_what_no_class_computes_is_refused_with_the_reason(framework, arguments, reason):
    with pytest.raises(WriteError, match=f"layer 'lif': .* cannot run it: .*{reason}"):
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
    with pytest.raises(WriteError, match=r"known are .*norse"):
        express(loose, "nengo")


def test_a_bias_that_is_fed_back_at_another_step_goes_to_the_weights_before_or_is_refused():
    back = Linear("back", np.eye(2, dtype=np.float32), np.ones(2, np.float32))
    lif = rules.get("snntorch", "RLeaky").build(
        "lif", shape=(2,), beta=0.5, reset_mechanism="zero", reset_delay=False
    )
    held = net(lif)
    edges = [*held.connections, Connection("lif", "back", 1), Connection("back", "lif")]
    checkpoint = SNNCheckpoint([*held.layers.values(), back], connections=edges, dt=PER_STEP)
    planned, _ = express(checkpoint, "spikingjelly")
    assert planned.layers["lif.rc"].bias.value.tolist() == [1.0, 1.0]
    planned, ledger = express(checkpoint, "sinabs")  # whose bias would wait for the second step
    assert planned.layers["fc"].bias.value.tolist() == [1.0, 1.0]
    assert planned.layers["lif.rec_connect"].bias is None
    assert not any(entry.status.is_loss for entry in ledger)
    late = [*held.connections, Connection("lif", "back"), Connection("back", "lif", 1)]
    waits = SNNCheckpoint([*held.layers.values(), back], connections=late, dt=PER_STEP)
    with pytest.raises(WriteError, match="feedback has a bias gets it from the first step on"):
        express(waits, "spikingjelly")


def test_modules_have_the_names_that_the_framework_gives_them():
    planned, ledger = express(net(integrator()), "rockpool")
    assert list(planned.layers) == ["in", "0_LinearTorch", "1_LIFNeuronTorch"]
    assert planned.layers["0_LinearTorch"].origin.kind == "LinearTorch"
    assert ("layers", "1_LIFNeuronTorch") in {entry.path for entry in ledger}
    assert (spikes(planned) == spikes(net(integrator()))).all()


def test_recurrent_weights_of_snntorch_have_a_bias():
    back = Linear("back", np.eye(2, dtype=np.float32))
    lif = rules.get("sinabs", "LIFRecurrent").build(
        "lif", shape=(2,), tau_mem=5.0, spike_fn="SingleSpike", reset_fn="MembraneReset"
    )
    held = net(lif)
    edges = [*held.connections, Connection("lif", "back"), Connection("back", "lif", 1)]
    checkpoint = SNNCheckpoint([*held.layers.values(), back], connections=edges, dt=PER_STEP)
    planned, _ = express(checkpoint, "snntorch")
    assert planned.layers["lif.recurrent"].bias.value.tolist() == [0.0, 0.0]
    assert (spikes(planned) == spikes(checkpoint)).all()


def test_the_option_names_every_framework():
    offered = {
        option.choices for format in (torch.FORMAT, torch.SAFETENSORS) for option in format.options
        if option.name == "for"
    }  # fmt: skip
    assert offered == {ON_PYTORCH}


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
    assert pairs.last(back).origin.framework == framework
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


def test_the_keys_of_the_source_s_framework_do_not_stay(tmp_path):
    keys = [["lif.threshold", ["layers", "lif", "threshold"], {}], ["lif.spare", [], {}]]
    checkpoint = net(leaky())
    checkpoint.extras = {"torch": {"keys": keys, "others": {"lif.spare": np.zeros(1)}}}
    path = tmp_path / "net.pt"
    ledger = write(checkpoint, path, options={"for": "sinabs"}, registry=REGISTRY)
    assert ("extras", "torch") in {entry.path for entry in ledger.told}
    bare = tmp_path / "bare.pt"
    write(
        read(path, registry=REGISTRY), bare, bare=True, allow_loss=True, registry=REGISTRY
    )  # fmt: skip
    others = read(bare, registry=REGISTRY).extras["torch"]["others"]
    assert set(others) == {"lif.v_mem"}  # the empty buffer of a fresh net


def test_a_spike_feeds_back_what_another_class_does_not_subtract():
    """SpikingJelly subtracts the threshold at once, snnTorch after the next leak."""
    held = net(leaky(reset_mechanism="subtract", reset_delay=True))
    planned, ledger = express(held, "spikingjelly")
    (back,) = (x for x in planned.layers.values() if isinstance(x, Scale))
    assert back.factor.value == np.float32(-0.25)  # 0.75*(1 - 1/0.75)
    assert {entry.status.value for entry in ledger} == {"rounded"}
    assert np.array_equal(spikes(planned), spikes(held))
    assert spikes(held).any()


def test_norse_counts_potentials_so_that_its_threshold_is_what_a_spike_subtracts():
    held = net(leaky(reset_mechanism="subtract", reset_delay=True))
    planned, _ = express(held, "norse")
    lif = planned.layers["1"]
    assert lif.rule.reset.value == "subtract"
    assert np.array_equal(spikes(planned), spikes(held))


def test_the_factor_on_a_readout_s_input_goes_to_the_weights_before():
    readout = rules.spikingjelly.NonSpikingLIFNode("out", shape=(2,), tau=4.0)
    planned, ledger = express(net(readout), "spyx")
    assert np.array_equal(
        planned.layers["0"].weight.value, net(readout).layers["fc"].weight.value / 4
    )
    assert {entry.status.value for entry in ledger} == {"rounded"}


def test_one_spike_for_several_is_a_loss_that_the_ledger_names():
    many = rules.sinabs.IAF("iaf", shape=(2,), spike_threshold=0.5)
    planned, ledger = express(net(many), "snntorch")
    assert planned.layers["iaf"].rule.max_spikes == 1
    (lost,) = (entry for entry in ledger if entry.status.is_loss)
    assert lost.reason == "it spikes at most once in a step, not several times"


def test_a_lower_bound_of_the_potential_is_a_loss_that_the_ledger_names():
    bounded = rules.sinabs.IAF("iaf", shape=(2,), spike_threshold=0.5, min_v_mem=-1.0)
    planned, ledger = express(net(bounded), "snntorch")
    assert "v_min" not in planned.layers["iaf"].parameters
    (lost,) = (entry for entry in ledger if entry.status.is_loss)
    assert lost.reason.endswith("its potential has no lower bound, where the source's is -1")
    assert "at most once in a step" in lost.reason
    kept, ledger = express(net(bounded), "sinabs")
    assert not any(entry.status.is_loss for entry in ledger)
    assert kept.layers["iaf"].parameters["v_min"].value == -1


@pytest.mark.parametrize("target", ["out.pt", "out.msgpack"])
def test_what_is_lost_is_written_only_where_it_is_allowed(tmp_path, target):
    many = rules.sinabs.IAF("iaf", shape=(2,), spike_threshold=0.5)
    write(net(many), tmp_path / "in.h5")
    chosen = {"for": "snntorch"} if target == "out.pt" else {"for": "spyx"}
    to = "spyx" if target.endswith("msgpack") else None
    with pytest.raises(LossyWrite, match=r"at most once|1 step later"):
        convert(tmp_path / "in.h5", tmp_path / target, to=to, write_options=chosen)
    assert not (tmp_path / target).exists()
    done = convert(
        tmp_path / "in.h5", tmp_path / target, to=to, write_options=chosen, allow_loss=True
    )
    assert done.verdict == "different"


def test_outputs_that_come_later_are_compared_later(tmp_path):
    write(net(leaky(reset_mechanism="subtract", reset_delay=True)), tmp_path / "in.h5")
    with pytest.raises(LossyWrite, match="1 step later"):
        convert(
            tmp_path / "in.h5", tmp_path / "o.msgpack", to="spyx", write_options={"for": "spyx"}
        )
    done = convert(
        tmp_path / "in.h5", tmp_path / "o.msgpack", to="spyx", write_options={"for": "spyx"},
        allow_loss=True,
    )  # fmt: skip
    assert done.verdict == "equivalent"


@pytest.mark.parametrize("framework", sorted(TARGETS))
def test_weights_alone_are_no_network_of_a_framework(framework):
    net = SNNCheckpoint([Linear("fc", np.eye(2, dtype=np.float32))], connections=())
    with pytest.raises(WriteError, match=r"no neuron to express.*--spec.*snnbridge\.frameworks"):
        express(net, framework)


@pytest.mark.parametrize("framework", sorted(TARGETS))
def test_what_nobody_knows_is_not_said_to_be_a_framework_s(framework):
    known = rules.snntorch.Leaky("lif", shape=(2,), beta=0.5)
    net = SNNCheckpoint([Opaque("x", {"w": np.zeros(2)}), known], connections=(), dt=PER_STEP)
    with pytest.raises(WriteError, match=r"layer 'x': it is not known what it computes.*--spec"):
        express(net, framework)


def test_a_readout_is_enough():
    net = SNNCheckpoint([rules.norse.LIBoxCell("out", shape=(2,))], connections=())
    assert express(net, "norse") == (net, [])
