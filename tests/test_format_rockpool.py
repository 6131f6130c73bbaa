"""Rockpool's own JSON: its modules with everything that they run by, and back."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from recorded import Recorded, book
from snnbridge import (
    PER_STEP,
    UNKNOWN,
    Connection,
    IntegrityError,
    Linear,
    LossyWrite,
    Opaque,
    Quantity,
    ReadError,
    Registry,
    SNNCheckpoint,
    StateVariable,
    WriteError,
    differences,
    read,
    rules,
    simulate,
    write,
)
from snnbridge.storage import Source
from snnbridge.testing.strategies import checkpoints
from snnbridge_plugins import rockpool, torch
from snnbridge_plugins.torch.finding import read_state_dict

REGISTRY = Registry([rockpool, torch])
FOLDER = Path(__file__).parents[1] / "fixtures" / "rockpool-3.1.0"
NETS = sorted(FOLDER.glob("*.json"))
MLP = FOLDER / "mlp_random.json"


def opened(path, **more):
    return read(path, registry=REGISTRY, **more)


def saved(checkpoint, path, **more):
    write(checkpoint, path, registry=REGISTRY, **more)
    return path


def changed(path, **values):
    """Save a net of one LIFTorch between two layers, with other values."""
    modules = json.loads(MLP.read_text(encoding="utf-8"))
    modules["1_LIFTorch"] |= {key: json.dumps(value) for key, value in values.items()}
    path.write_text(json.dumps(modules), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", book("rockpool-3.1.0", "networks")[0]["cases"])
def test_a_file_alone_does_what_the_net_did(name):
    case = Recorded("rockpool-3.1.0", "networks", name)
    checkpoint = opened(FOLDER / case.case["saved_by_net"])
    end, spikes = case.case["layers"][-1]["name"], case.arrays.get
    if spikes(f"{end}.spikes") is not None:
        found = simulate(checkpoint, case.seen("input"), record={end: "spikes"}).spikes[end]
        assert np.array_equal(found, case.seen(f"{end}.spikes"))
    else:
        found = simulate(checkpoint, case.seen("input"), record={end: "i"}).traces[end, "i"]
        assert np.allclose(found, np.squeeze(case.seen(f"{end}.i")), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("path", NETS, ids=lambda path: path.stem)
@pytest.mark.parametrize("bare", [True, False])
def test_a_net_is_written_as_rockpool_saved_it(path, bare, tmp_path):
    checkpoint = opened(path)
    again = saved(checkpoint, tmp_path / "net.json", bare=bare)
    assert differences(checkpoint, opened(again)) == []
    assert json.loads(again.read_text()) == json.loads(path.read_text())


@settings(max_examples=60)
@given(checkpoint=checkpoints())
def test_every_checkpoint_comes_back_bit_for_bit(checkpoint, tmp_path_factory):
    path = saved(checkpoint, tmp_path_factory.mktemp("any") / "net.json", format="rockpool")
    assert differences(checkpoint, opened(path)) == []


@pytest.mark.parametrize("name", [path.stem for path in NETS])
def test_the_json_and_the_state_dict_hold_the_same_arrays(name):
    one, other = opened(FOLDER / f"{name}.json"), opened(FOLDER / f"{name}.pt")
    assert set(one.layers) == set(other.layers)
    told = [x for x in differences(one, other) if x.path[-1] in ("weight", "bias", "threshold")]
    assert not told


def test_modules_are_ordered_by_their_numbers(tmp_path):
    modules = json.loads(MLP.read_text(encoding="utf-8"))
    (tmp_path / "net.json").write_text(json.dumps(dict(reversed(modules.items()))))
    assert differences(opened(MLP), opened(tmp_path / "net.json")) == []


def test_a_net_that_may_be_a_residual_has_unknown_connections(tmp_path):
    modules = json.loads(MLP.read_text(encoding="utf-8"))
    modules = {"0_LinearTorch": {"weight": "[[1.0, 0.0], [0.0, 1.0]]"}, "1_ExpSynTorch": {}}
    modules["1_ExpSynTorch"] = {"tau": "0.01", "dt": "0.001"}
    (tmp_path / "net.json").write_text(json.dumps(modules))
    checkpoint = opened(tmp_path / "net.json")
    assert checkpoint.connections is UNKNOWN
    assert "which module feeds which" in checkpoint.source.notes[0]


def test_different_time_steps_leave_that_of_the_net_unknown(tmp_path):
    checkpoint = opened(changed(tmp_path / "net.json", dt=0.002))
    assert checkpoint.dt is UNKNOWN
    assert {layer.dt.seconds for layer in checkpoint.layers.values() if layer.dt} == {0.001, 0.002}
    again = saved(checkpoint, tmp_path / "again.json", bare=True)
    assert differences(checkpoint, opened(again)) == []


def test_noise_is_in_no_rule_so_the_module_is_kept_and_not_simulated(tmp_path):
    checkpoint = opened(changed(tmp_path / "net.json", noise_std=0.5))
    assert isinstance(checkpoint.layers["1_LIFTorch"], Opaque)
    again = saved(checkpoint, tmp_path / "again.json", bare=True)
    assert json.loads(again.read_text()) == json.loads((tmp_path / "net.json").read_text())


def test_what_rockpool_has_no_word_for_stands_in_the_second_file(tmp_path):
    checkpoint = opened(MLP)
    checkpoint.metadata = {"author": "somebody"}
    path = saved(checkpoint, tmp_path / "net.json")
    assert json.loads(path.read_text()) == json.loads(MLP.read_text())
    for named in (path, tmp_path / "net.json.snnbridge"):
        assert opened(named).metadata == {"author": "somebody"}
    with pytest.raises(LossyWrite, match="metadata"):
        saved(checkpoint, tmp_path / "bare.json", bare=True)


def test_a_file_that_was_saved_anew_is_not_read_with_the_old_description(tmp_path):
    path = saved(opened(MLP), tmp_path / "net.json")
    path.write_text(FOLDER.joinpath("mlp_dyadic.json").read_text())
    with pytest.raises(IntegrityError, match=r"description=no"):
        opened(path)
    alone = opened(path, options={"description": "no"})
    assert differences(alone, opened(FOLDER / "mlp_dyadic.json")) == []


def test_a_bare_file_is_not_written_beside_an_old_description(tmp_path):
    path = saved(opened(MLP), tmp_path / "net.json")
    before = path.read_bytes()
    with pytest.raises(WriteError, match="remove it first"):
        saved(opened(FOLDER / "mlp_dyadic.json"), path, bare=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"0_LinearTorch": {"weight": "[[1], [1, 2]]"}}', "differ in length"),
        ('{"0_LinearTorch": {"weight": "[[null]]"}}', "no array of numbers"),
        ('{"0_LinearTorch": {"weight": "[[1"}}', "not JSON"),
        ('{"0_LIFTorch": {"tau_mem": "1", "leak_mode": "\\"no\\""}}', "leak_mode"),
        ('{"0_LIFTorch": {"w_rec": "[[1]]", "_has_rec": "true", "dt": "[1]"}}', "time step"),
        ('{"0_LIFTorch": {"tau_mem": "\\"much\\""}}', "no number"),
        ("[]", "object of modules"),
    ],
)
def test_a_bad_file_is_refused_with_the_reason(text, reason, tmp_path):
    (tmp_path / "net.json").write_text(text)
    with pytest.raises(ReadError, match=reason):
        opened(tmp_path / "net.json", format="rockpool")


def test_a_description_without_its_file_is_refused(tmp_path):
    path = saved(opened(MLP), tmp_path / "net.json")
    path.unlink()
    with pytest.raises(FileNotFoundError):
        opened(tmp_path / "net.json.snnbridge", format="rockpool")


def by_attributes(path, **more):
    """Save a net whose modules are attributes, as ``net.save`` does."""
    modules = json.loads(MLP.read_text(encoding="utf-8"))
    kinds = {"LinearTorch": "lin", "LIFTorch": "lif", "LIFNeuronTorch": "lif", "ExpSynTorch": "syn"}
    named = {}
    for name, held in modules.items():
        number, _, kind = name.partition("_")
        named[f"{kinds[kind]}{number}"] = held
    path.write_text(json.dumps({**named, **more}), encoding="utf-8")
    return path


def test_modules_that_are_attributes_are_known_by_their_keys(tmp_path):
    path = by_attributes(tmp_path / "net.json")
    checkpoint, numbered = opened(path), opened(MLP)
    kinds = [layer.origin.kind for layer in checkpoint.layers.values()]
    assert sorted(kinds) == sorted(x.origin.kind for x in numbered.layers.values())
    lin = checkpoint.layers["lin0"].weight.value
    assert np.array_equal(lin, numbered.layers["0_LinearTorch"].weight.value)
    assert checkpoint.dt == numbered.dt
    assert checkpoint.connections is UNKNOWN


def test_such_a_net_is_written_under_its_own_names(tmp_path):
    path = by_attributes(tmp_path / "net.json")
    again = saved(opened(path), tmp_path / "again.json", format="rockpool", bare=True)
    left, right = (json.loads(x.read_text(encoding="utf-8")) for x in (path, again))
    assert left == right


def test_such_a_net_runs_as_its_chain_is_stated(tmp_path):
    path = by_attributes(tmp_path / "net.json")
    order = sorted(json.loads(path.read_text(encoding="utf-8")), key=lambda x: int(x[3:]))
    nets = opened(MLP), opened(path, spec={"chains": [order]})
    x = np.random.default_rng(0).random((40, 2, nets[0].layers["0_LinearTorch"].size[0])) < 0.5
    outputs = []
    for net in nets:
        end = net.connections[-1].target
        ran = simulate(net, x.astype(np.float32), record={end: "output"})
        outputs.append(ran.traces[end, "output"])
    assert outputs[0].any()
    assert np.array_equal(*outputs)


def test_an_unknown_module_among_attributes_is_kept(tmp_path):
    other = {"w_ahp": "[0.5]", "threshold": "[1.0]", "dt": "0.001"}
    checkpoint = opened(by_attributes(tmp_path / "net.json", other=other))
    assert isinstance(checkpoint.layers["other"], Opaque)


def test_neurons_that_rockpool_does_not_see_are_told(tmp_path):
    leaky = rules.snntorch.Leaky("lif", shape=(2,), beta=0.5, reset_mechanism="zero")
    net = SNNCheckpoint([Linear("fc", np.eye(2, dtype=np.float32)), leaky], connections=())
    ledger = write(net, tmp_path / "net.json", format="rockpool", registry=REGISTRY)
    told = [entry for entry in ledger.told if "--for rockpool" in entry.reason]
    assert [entry.path for entry in told] == [("layers", "lif")]
    assert not ledger.losses
    assert differences(net, opened(tmp_path / "net.json")) == []


def test_a_net_for_rockpool_has_a_number_for_each_neuron_as_a_new_one_has(tmp_path):
    chain = rules.sinabs.LIF.chain(
        "lif", shape=(2,), tau_mem=10.0, tau_syn=5.0, norm_input=False, spike_threshold=0.5
    )
    edges = [Connection("fc", "lif.synapse"), Connection("lif.synapse", "lif")]
    net = SNNCheckpoint(
        [Linear("fc", np.eye(2, dtype=np.float32)), *chain], connections=edges, dt=PER_STEP
    )
    write(net, tmp_path / "net.pt", registry=REGISTRY, options={"for": "rockpool"})
    held = torch_state(tmp_path / "net.pt")
    shapes = {key.partition(".")[2]: held[key].shape for key in held if "LIFTorch" in key}
    assert shapes == {
        "alpha": (2,), "beta": (2, 1), "bias": (2,), "threshold": (2,), "vmem": (2,),
        "isyn": (2, 1), "spikes": (2,),
    }  # fmt: skip


def torch_state(path):
    with Source(path) as source:
        return read_state_dict(source)


def test_a_state_of_a_batch_does_not_go_into_a_fresh_net(tmp_path):
    neuron = rules.rockpool.LIFNeuronTorch("0_LIFNeuronTorch", shape=(2,), tau_mem=0.5)
    state = {(neuron.name, "v"): StateVariable(np.ones((8, 2), np.float32), 0)}
    net = SNNCheckpoint([neuron], connections=(), dt=Quantity(1.0, "ms"), state=state, step=3)
    write(net, tmp_path / "net.pt", registry=REGISTRY)
    assert torch_state(tmp_path / "net.pt")["0_LIFNeuronTorch.vmem"].tolist() == [0.0, 0.0]
    assert differences(net, opened(tmp_path / "net.pt")) == []
