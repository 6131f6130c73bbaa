"""Writing into the state dict of a fresh net: what does not fit is named, kindly."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from snnbridge import Linear, OptionError, Registry, SNNCheckpoint, WriteError, read, rules, write
from snnbridge_plugins import torch

REGISTRY = Registry([torch])


def saved(path, **tensors):
    save_file(tensors, path)
    return str(path)


def put(checkpoint, folder, like, **options):
    path = folder / "net.safetensors"
    write(checkpoint, path, registry=REGISTRY, options={"like": like, **options}, allow_loss=True)
    return read(path, registry=REGISTRY)


def linear(**weights):
    return SNNCheckpoint([Linear(name, weight) for name, weight in weights.items()])


ONES = np.ones((2, 3), np.float32)


def test_shapes_are_told_apart_from_missing_and_unexpected_keys(tmp_path):
    like = saved(tmp_path / "like.safetensors", **{
        "a.weight": ONES.T.copy(), "b.weight": ONES, "b.bias": ONES[:, 0].copy(),
    })  # fmt: skip
    with pytest.raises(WriteError) as caught:
        put(linear(a=ONES, b=ONES, c=ONES[:1]), tmp_path, like)
    words = str(caught.value)
    assert "'a.weight' has the shape (3, 2) there, the checkpoint's (2, 3), its transpose" in words
    assert (
        "missing 'b.bias'; unexpected 'c.weight'; where names differ, say map=LAYER=NAME" in words
    )


def test_map_gives_a_layer_a_module_of_the_template(tmp_path):
    like = saved(tmp_path / "like.safetensors", **{"x.weight": ONES, "y.weight": ONES})
    found = put(linear(a=ONES, b=2 * ONES), tmp_path, like, map="a=y,b=x")
    assert np.array_equal(found.layers["b"].weight.value, 2 * ONES)
    assert list(load_file(tmp_path / "net.safetensors")) == ["x.weight", "y.weight"]


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ("c=x", "'c', which is no layer with tensors; there are 'a', 'b'"),
        ("a=z", "'z', which is no module of the template; there are 'x', 'y'"),
        ("a=x,b=x", "two layers: 'a' and 'b' to 'x'"),
        ("a", "LAYER=NAME"),
        ("a=x,a=y", "gives a layer twice: 'a'"),
    ],
)
def test_a_map_that_makes_no_sense_is_refused(names, reason, tmp_path):
    like = saved(tmp_path / "like.safetensors", **{"x.weight": ONES, "y.weight": ONES})
    with pytest.raises(OptionError, match=reason):
        put(linear(a=ONES, b=ONES), tmp_path, like, map=names)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("", "model."), ("module.", ""), ("module.", "model."), ("net.module.", "net.")],
)
def test_names_behind_one_prefix_are_the_same(ours, theirs, tmp_path):
    like = saved(
        tmp_path / "like.safetensors", **{f"{ours}{n}.weight": ONES for n in ("a", "b", "c")}
    )
    held = linear(**{f"{theirs}{name}": i * ONES for i, name in enumerate("abc")})
    found = put(held, tmp_path, like)
    assert [found.layers[f"{theirs}b"].weight.value[0, 0]] == [1]
    tensors = load_file(tmp_path / "net.safetensors")
    assert [tensors[f"{ours}{n}.weight"][0, 0] for n in "abc"] == [0, 1, 2]


def test_two_nets_in_one_file_are_not_matched_by_a_prefix(tmp_path):
    like = saved(tmp_path / "like.safetensors", **{"a.weight": ONES, "b.weight": ONES})
    held = linear(**{f"{net}.{name}": ONES for net in ("teacher", "student") for name in "ab"})
    with pytest.raises(WriteError, match=r"'a' of the template could be any of .*; 'b' of the"):
        put(held, tmp_path, like)


def test_what_is_matched_by_no_name_is_asked_for_all_at_once(tmp_path):
    like = saved(tmp_path / "like.safetensors", **{f"{n}.weight": ONES for n in "xyz"})
    with pytest.raises(WriteError) as caught:
        put(linear(a=ONES, b=ONES, c=ONES), tmp_path, like)
    assert all(f"{name!r} of the template could be any of" in str(caught.value) for name in "xyz")


def test_the_count_of_an_averaged_model_is_of_the_wrapper(tmp_path):
    averaged = {"n_averaged": np.array(3), "module.a.weight": ONES, "module.b.weight": 2 * ONES}
    wrapped = saved(tmp_path / "ema.safetensors", **averaged)
    plain = saved(tmp_path / "like.safetensors", **{"a.weight": ONES, "b.weight": ONES})
    put(read(wrapped, registry=REGISTRY), tmp_path, plain)
    found = load_file(tmp_path / "net.safetensors")
    assert list(found) == ["a.weight", "b.weight"]
    assert found["b.weight"][0, 0] == 2
    put(linear(a=ONES, b=2 * ONES), tmp_path, wrapped)
    assert load_file(tmp_path / "net.safetensors")["n_averaged"] == 3


def test_a_map_needs_a_template(tmp_path):
    with pytest.raises(OptionError, match="name one with like"):
        write(linear(a=ONES), tmp_path / "n.pt", registry=REGISTRY, options={"map": "a=b"})


@pytest.mark.parametrize(
    ("held", "there"),
    [("float32", "float64"), ("int64", "float32"), ("float32", "int64"), ("float16", "float32")],
)
def test_a_net_may_cast_what_keeps_its_values(held, there, tmp_path):
    like = saved(tmp_path / "like.safetensors", **{"a.weight": ONES.astype(there)})
    found = put(linear(a=ONES.astype(held)), tmp_path, like)
    assert found.layers["a"].weight.value.dtype == held  # the file keeps every bit


@pytest.mark.parametrize(
    ("weight", "there"),
    [
        (np.full((2, 3), 0.1), "float32"),
        (np.full((2, 3), 0.5, np.float32), "int64"),
        (np.full((2, 3), -1, np.int64), "uint64"),
        (np.full((2, 3), 2**24 + 1, np.int64), "float32"),
        (np.full((2, 3), -0.0, np.float32), "int64"),
        (np.full((2, 3), 1j, np.complex64), "float32"),
    ],
)
def test_a_net_does_not_round_unseen(weight, there, tmp_path):
    like = saved(tmp_path / "like.safetensors", **{"a.weight": ONES.astype(there)})
    path = tmp_path / "net.pt"
    with pytest.raises(WriteError, match=f"is {there} there, so that a net would round"):
        write(linear(a=weight), path, registry=REGISTRY, options={"like": like})


def test_tensors_that_the_template_shares_must_be_one(tmp_path):
    tied = SNNCheckpoint(
        [Linear("a", ONES), Linear("b", ONES)], ties=[[("a", "weight"), ("b", "weight")]]
    )
    like = tmp_path / "like.pt"
    write(tied, like, registry=REGISTRY)
    put(linear(a=2 * ONES, b=2 * ONES), tmp_path, str(like))
    with pytest.raises(WriteError, match=r"'b\.weight' and 'a\.weight' are one there, and differ"):
        put(linear(a=ONES, b=2 * ONES), tmp_path, str(like))


def snntorch(reset, beta=0.5):
    lif = rules.snntorch.Leaky("lif", shape=(2,), beta=np.float32(beta), reset_mechanism=reset)
    return SNNCheckpoint([Linear("fc", ONES), lif])


def test_a_net_that_was_built_with_another_reset_is_told(tmp_path):
    like = tmp_path / "like.pt"
    write(snntorch("subtract"), like, registry=REGISTRY)
    put(snntorch("subtract", 0.25), tmp_path, str(like))
    with pytest.raises(WriteError, match=r"'subtract' there and 'zero' in the checkpoint.*'zero'"):
        put(snntorch("zero"), tmp_path, str(like))


def sinabs(tmp_path, v_mem):
    path = saved(tmp_path / "sinabs.safetensors", **{
        "lif.tau_mem": np.float32([5.0]), "lif.spike_threshold": np.float32([1.0]),
        "lif.v_mem": v_mem,
    })  # fmt: skip
    return path, read(path, registry=REGISTRY)


def test_a_saved_state_is_that_of_a_batch_and_does_not_go_into_a_fresh_net(tmp_path):
    like = sinabs(tmp_path, np.zeros(0, np.float32))[0]
    fresh = saved(tmp_path / "fresh.safetensors", **load_file(like))
    ran, checkpoint = sinabs(tmp_path, np.ones((4, 3), np.float32))
    assert checkpoint.state["lif", "v"].batch_axis == 0
    found = put(checkpoint, tmp_path, fresh)
    assert np.array_equal(found.state["lif", "v"].value, np.ones((4, 3)))
    assert load_file(tmp_path / "net.safetensors")["lif.v_mem"].shape == (0,)
    with pytest.raises(WriteError, match="make the template of a net that has not run"):
        put(checkpoint, tmp_path, ran)


def test_a_training_dictionary_is_a_template(tmp_path):
    net = linear(a=ONES)
    training = SNNCheckpoint([Linear("a", 0 * ONES)], training={"epoch": 1, "optimizer": {"lr": 1}})
    write(training, tmp_path / "like.pt", registry=REGISTRY, bare=True)
    found = put(net, tmp_path, str(tmp_path / "like.pt"))
    assert np.array_equal(found.layers["a"].weight.value, ONES)
