"""Differences are found bit for bit and named by path."""

import struct

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snnbridge import (
    UNKNOWN,
    CheckpointError,
    Connection,
    Linear,
    Neuron,
    NeuronRule,
    Opaque,
    Parameter,
    Quantity,
    SNNCheckpoint,
    StateVariable,
    differences,
)
from snnbridge.model import Compare
from snnbridge.testing.strategies import DTYPES, arrays, checkpoints

SLOW = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def holding(array):
    return SNNCheckpoint([Opaque("o", {"x": array})])


def kinds(a, b):
    return [(d.path, d.kind) for d in differences(a, b)]


@SLOW
@given(checkpoints())
def test_a_checkpoint_does_not_differ_from_itself_or_a_rebuilt_one(checkpoint):
    import copy

    assert differences(checkpoint, checkpoint) == []
    assert differences(checkpoint, copy.deepcopy(checkpoint)) == []


@SLOW
@given(arrays(), st.data())
def test_every_flipped_bit_of_an_element_is_a_difference(array, data):
    if not array.size or array.dtype.name == "bool" or "int4" in array.dtype.name:
        return
    flipped = np.array(array, order="C")
    position = data.draw(st.integers(0, array.size - 1))
    used = 10 if array.dtype.name in ("longdouble", "float128") else array.dtype.itemsize
    # Text stays within the code points of Unicode: half of the bytes of each are always free.
    free = [n for n in range(used) if array.dtype.kind != "U" or n % 4 < 2]
    byte = data.draw(st.sampled_from(free))
    raw = flipped.reshape(-1).view(np.uint8).reshape(array.size, -1)
    raw[position, byte] ^= 1 << data.draw(st.integers(0, 7))
    (found,) = differences(holding(array), holding(flipped))
    index = [int(i) for i in np.unravel_index(position, array.shape)]
    assert (found.kind, found.count) == ("value", 1)
    assert found.path == ("layers", "o", "x", *([str(index)] if index else []))


@pytest.mark.parametrize("name", DTYPES)
def test_byte_order_and_memory_order_are_no_difference(name):
    array = np.zeros((3, 4), DTYPES[name])
    assert differences(holding(array), holding(np.asfortranarray(array))) == []
    swapped = array.astype(array.dtype.newbyteorder(">")) if array.dtype.kind in "iufc" else array
    assert differences(holding(array), holding(swapped)) == []


def test_nan_payloads_and_the_sign_of_zero_count():
    quiet, other = (np.array([struct.unpack("<d", struct.pack("<Q", bits))[0]])
                    for bits in (0x7FF8000000000000, 0x7FF8000000000001))  # fmt: skip
    assert kinds(holding(quiet), holding(quiet.copy())) == []
    assert kinds(holding(quiet), holding(other)) == [(("layers", "o", "x", "[0]"), "value")]
    assert len(differences(holding(np.zeros(1)), holding(-np.zeros(1)))) == 1


def test_a_difference_says_how_many_elements_and_which_is_first():
    a, b = np.zeros((300, 9000), np.float32), np.zeros((300, 9000), np.float32)
    b[7, 8999], b[299, 0] = 1, 2
    (found,) = differences(holding(a), holding(b))
    assert (found.path[-1], found.count, found.left, found.right) == ("[7, 8999]", 2, 0, 1)
    assert "2 elements differ" in str(found)


def test_a_difference_unpacks_into_path_kind_left_right():
    (found,) = differences(holding(np.zeros(2)), holding(np.zeros(3)))
    path, kind, left, right = found
    assert (path, kind, left, right) == (("layers", "o", "x"), "shape", (2,), (3,))


@pytest.mark.parametrize(
    ("left", "right", "path", "kind"),
    [
        (np.float32(1), np.float64(1), ("training", "x"), "type"),
        (np.zeros(1, "f4"), np.zeros(1, ml_dtypes.bfloat16), ("training", "x"), "dtype"),
        (np.zeros(()), np.float64(0), ("training", "x"), "type"),
        (1, 1.0, ("training", "x"), "type"),
        (1, True, ("training", "x"), "type"),
        (0.0, -0.0, ("training", "x"), "value"),
        (0j, complex(0, -0.0), ("training", "x"), "value"),
        ("a", "b", ("training", "x"), "value"),
        (None, 0, ("training", "x"), "type"),
        ([1, 2], [1], ("training", "x", "1"), "missing"),
        ({"a": 1}, {"a": 1, "b": 2}, ("training", "x", "b"), "added"),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, ("training", "x"), "order"),
    ],
)
def test_trees_differ_by_type_value_and_order(left, right, path, kind):
    a, b = SNNCheckpoint(training={"x": left}), SNNCheckpoint(training={"x": right})
    assert kinds(a, b) == [(path, kind)]


def lif(**more):
    return SNNCheckpoint([Neuron("n", (2,), **more)])


FC, OTHER = (Linear(name, np.zeros((2, 2))) for name in ("fc", "other"))


@pytest.mark.parametrize(
    ("a", "b", "path"),
    [
        (lif(parameters={"tau": UNKNOWN}), lif(parameters={"tau": 1.0}), ("layers", "n", "tau")),
        (
            lif(parameters={"tau": Parameter(1.0, "ms")}),
            lif(parameters={"tau": Parameter(1.0, "s")}),
            ("layers", "n", "tau", "unit"),
        ),
        (lif(), lif(rule=NeuronRule(compare=Compare.GREATER)), ("layers", "n", "rule", "compare")),
        (SNNCheckpoint(), SNNCheckpoint(dt=Quantity(1.0, "ms")), ("dt",)),
        (SNNCheckpoint([FC]), SNNCheckpoint([FC], []), ("connections",)),
        (
            SNNCheckpoint([FC, OTHER], [Connection("fc", "other")]),
            SNNCheckpoint([FC, OTHER], [Connection("fc", "other", 1)]),
            ("connections", "0", "delay"),
        ),
        (SNNCheckpoint([FC, OTHER]), SNNCheckpoint([OTHER, FC]), ("layers",)),
        (SNNCheckpoint([FC]), SNNCheckpoint([FC], frozen_layers=["fc"]), ("frozen_layers", "fc")),
        (
            SNNCheckpoint([FC], state={("fc", "v"): StateVariable(np.zeros(2), 0)}),
            SNNCheckpoint([FC], state={("fc", "v"): StateVariable(np.zeros(2), None)}),
            ("state", "fc", "v", "batch_axis"),
        ),
        (SNNCheckpoint(step=1), SNNCheckpoint(step=2), ("step",)),
        (SNNCheckpoint(extras={"npz": {}}), SNNCheckpoint(), ("extras", "npz")),
    ],
)
def test_every_part_of_a_checkpoint_is_compared(a, b, path):
    assert [d.path for d in differences(a, b)] == [path]


def test_history_is_no_difference():
    assert differences(SNNCheckpoint(), SNNCheckpoint(provenance=[{"by": "x"}])) == []


def test_the_order_of_frozen_layers_is_no_difference():
    a, b = (SNNCheckpoint([FC, OTHER], frozen_layers=x) for x in (["fc", "other"], ["other", "fc"]))
    assert differences(a, b) == []


@pytest.mark.parametrize("other", ["b", None, {}, Linear("fc", np.zeros((2, 2)))])
def test_what_is_no_checkpoint_is_refused(other):
    for pair in ((SNNCheckpoint(), other), (other, SNNCheckpoint())):
        with pytest.raises(CheckpointError, match="expected an SNNCheckpoint, found"):
            differences(*pair)
