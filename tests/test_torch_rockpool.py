"""State dicts of Rockpool's nets whose modules have the names of attributes."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from snnbridge import Linear, Neuron, Opaque, Origin, Registry, Synapse, read, write
from snnbridge_plugins import torch

REGISTRY = Registry([torch])
LINEAR = Origin("rockpool", "LinearTorch")


def array(*shape):
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def lif(name, n, **more):
    """Give what a new LIFTorch has."""
    held = {
        "tau_mem": np.full(n, 0.02, np.float32), "tau_syn": np.full((n, 1), 0.01, np.float32),
        "bias": np.zeros(n, np.float32), "threshold": np.ones(n, np.float32),
        "vmem": array(n), "isyn": array(n, 1), "spikes": np.zeros(n, np.float32),
    }  # fmt: skip
    return {f"{name}.{key}": value for key, value in {**held, **more}.items() if value is not None}


def saved(path, **tensors):
    save_file(tensors, path)
    return path


def opened(path, **more):
    return read(path, registry=REGISTRY, **more)


@pytest.fixture
def plain(tmp_path):
    return saved(
        tmp_path / "net.safetensors",
        **{"lin1.weight": array(3, 3)},
        **lif("lif1", 3),
        **{"lin2.weight": array(3, 2), "lin2.bias": array(2)},
    )


def test_modules_are_known_by_their_keys(plain):
    checkpoint = opened(plain)
    assert checkpoint.source.framework == "rockpool"
    kinds = {name: layer.origin.kind for name, layer in checkpoint.layers.items()}
    assert kinds == {
        "lin1": "LinearTorch", "lif1.synapse": "LIFTorch.synapse", "lif1": "LIFTorch",
        "lin2": "LinearTorch",
    }  # fmt: skip
    assert checkpoint.layers["lif1.synapse"].parameters["tau"].value.shape == (3,)
    assert checkpoint.state["lif1", "v"].batch_axis is None


def test_a_matrix_beside_modules_of_rockpool_is_in_out(plain):
    checkpoint = opened(plain)
    assert np.array_equal(checkpoint.layers["lin1"].weight.value, array(3, 3).T)
    assert checkpoint.layers["lin2"].size == (3, 2)
    assert any(note.startswith("lin1: read as Rockpool's") for note in checkpoint.source.notes)


def test_what_is_read_is_written_back_as_it_was(plain, tmp_path):
    write(opened(plain), tmp_path / "again.safetensors", registry=REGISTRY, bare=True)
    again, held = load_file(tmp_path / "again.safetensors"), load_file(plain)
    assert {k: v.tolist() for k, v in again.items()} == {k: v.tolist() for k, v in held.items()}


def test_decays_are_not_taken_for_those_of_another_framework(tmp_path):
    decays = {"alpha": array(3), "beta": array(3, 1), "tau_mem": None, "tau_syn": None}
    path = saved(tmp_path / "net.safetensors", **lif("lif1", 3, **decays))
    layers = opened(path).layers
    assert layers["lif1"].origin == Origin("rockpool", "LIFTorch")
    assert np.array_equal(layers["lif1"].parameters["decay"].value, array(3))
    assert isinstance(layers["lif1.synapse"], Synapse)


def test_neurons_and_synapses_alone_are_known_too(tmp_path):
    neuron = {"isyn": None, "tau_syn": None, "spikes": None, "bias": np.zeros((), np.float32)}
    synapse = {"syn.tau": array(3), "syn.isyn": array(3)}
    path = saved(tmp_path / "net.safetensors", **lif("lif1", 3, **neuron), **synapse)
    layers = opened(path).layers
    assert layers["lif1"].origin.kind == "LIFNeuronTorch"
    assert layers["syn"].origin.kind == "ExpSynTorch"


def test_a_neuron_with_more_keys_is_another_one(tmp_path):
    path = saved(tmp_path / "net.safetensors", **lif("lif1", 3, w_ahp=array(3)))
    assert isinstance(opened(path).layers["lif1"], Opaque)


@pytest.fixture
def mixed(tmp_path):
    """A net in which one matrix is surely PyTorch's, and one may be either's."""
    return saved(
        tmp_path / "net.safetensors",
        **{"fc.weight": array(3, 4), "fc.bias": array(3)},
        **lif("lif1", 3),
        **{"lin2.weight": array(3, 3)},
    )


def test_a_matrix_that_may_be_either_s_is_asked_for(mixed):
    checkpoint = opened(mixed)
    assert checkpoint.layers["fc"].size == (4, 3)
    assert isinstance(checkpoint.layers["lin2"], Opaque)
    remedy = 'class = "rockpool.LinearTorch" or kind = "Linear"'
    assert any(remedy in note for note in checkpoint.source.notes)


@pytest.mark.parametrize(
    ("stated", "held", "origin"),
    [
        ({"class": "rockpool.LinearTorch"}, array(3, 3).T, LINEAR),
        ({"kind": "Linear"}, array(3, 3), None),
    ],
)
def test_a_spec_says_which_way_round_a_matrix_is(stated, held, origin, mixed, tmp_path):
    checkpoint = opened(mixed, spec={"layers": {"lin2": stated}})
    layer = checkpoint.layers["lin2"]
    assert isinstance(layer, Linear)
    assert layer.origin == origin
    assert np.array_equal(layer.weight.value, held)
    write(checkpoint, tmp_path / "again.safetensors", registry=REGISTRY)
    assert np.array_equal(load_file(tmp_path / "again.safetensors")["lin2.weight"], array(3, 3))


def test_the_class_of_a_module_may_be_stated_though_its_keys_tell_it(plain):
    spec = {
        "dt": "1 ms",
        "chains": [["lin1", "lif1", "lin2"]],
        "layers": {"lif1": {"class": "rockpool.LIFTorch", "max_spikes_per_dt": 65536}},
    }
    checkpoint = opened(plain, spec=spec)
    assert checkpoint.unknown() == [("step",)]
    assert isinstance(checkpoint.layers["lif1"], Neuron)


def test_without_modules_of_rockpool_a_matrix_is_pytorch_s(tmp_path):
    path = saved(tmp_path / "net.safetensors", **{"fc.weight": array(3, 3)})
    layer = opened(path).layers["fc"]
    assert layer.origin is None
    assert np.array_equal(layer.weight.value, array(3, 3))
