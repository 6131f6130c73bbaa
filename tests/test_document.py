"""A checkpoint as a document: nothing is lost, nothing is trusted."""

import json

import pytest
from hypothesis import HealthCheck, given, settings

from snnbridge import CheckpointError, ReadError, SNNCheckpoint, differences
from snnbridge.document import dtype_name, dtype_of, from_document, from_inline, inline, to_document
from snnbridge.testing.strategies import DTYPES, checkpoints

SLOW = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@SLOW
@given(checkpoints())
def test_a_document_gives_back_every_checkpoint_bit_for_bit(checkpoint):
    text = json.dumps(to_document(checkpoint, lambda path, array: inline(array)), allow_nan=False)
    assert differences(checkpoint, from_document(json.loads(text), from_inline)) == []


@SLOW
@given(checkpoints())
def test_the_plugin_decides_where_each_array_is_kept(checkpoint):
    kept = {}

    def place(path, array):
        kept[str(len(kept))] = array
        return str(len(kept) - 1)

    document = json.loads(json.dumps(to_document(checkpoint, place), allow_nan=False))
    assert differences(checkpoint, from_document(document, kept.__getitem__)) == []


@pytest.mark.parametrize("name", DTYPES)
def test_a_dtype_comes_back_by_its_name(name):
    assert dtype_of(dtype_name(DTYPES[name])) == DTYPES[name]


@pytest.mark.parametrize("name", ["object", "O", "float33", "f4,f4", "(2,)f4", "", "../x", "V"])
def test_a_dtype_that_is_none_or_holds_objects_is_refused(name):
    with pytest.raises(ReadError, match="dtype"):
        dtype_of(name) if name != "V" else dtype_of("O8")


def good():
    return to_document(SNNCheckpoint(), lambda path, array: inline(array))


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"schema": None},
        {"layers": {}},
        {"layers": [1]},
        {"layers": [{"kind": "Nope", "name": "a"}]},
        {"layers": [{"kind": "Linear", "name": "a", "colour": 1}]},
        {"layers": [{"kind": "Linear"}]},
        {"layers": [{"kind": "Neuron", "name": "a", "rule": {"compare": "="}}]},
        {"layers": [{"kind": "Neuron", "name": "a", "rule": {"nope": 1}}]},
        {"layers": [{"kind": "Neuron", "name": "a", "origin": ["x"]}]},
        {"layers": [{"kind": "Opaque", "name": "a", "parameters": 3}]},
        {"connections": [[1]]},
        {"state": [{"path": ["a", "v"]}]},
        {"training": {"x": {"$scalar": ["float32", "00"]}}},
        {"training": {"x": {"$float": "zz"}}},
        {"training": {"x": {"$complex": "00"}}},
        {"training": {"x": {"$bytes": "*"}}},
        {"training": {"x": {"$nope": 1}}},
        {"training": 3},
        {"step": "x", "ties": 1},
        {"ties": [[1]]},
        {"frozen_layers": [[]]},
        {"metadata": []},
        {"dt": {"$quantity": 1}},
        {"layers": [{"kind": "Linear", "name": "a", "weight": 3}]},
        {"layers": [{"kind": "Neuron", "name": "a", "rule": 3}]},
        {"layers": [{"kind": "Subgraph", "name": "a", "inputs": 3}]},
        {"layers": [{"kind": "Conv2d", "name": "a", "groups": "x", "stride": {}}]},
        {"layers": [{"kind": "Neuron", "name": "a", "parameters": {"tau": {"value": "x"}}}]},
        {"state": [{"path": 3, "value": 1, "batch_axis": 1}]},
        {"training": {"x": {"$array": {"dtype": "float32", "shape": [3], "data": ""}}}},
    ],
    ids=str,
)
def test_a_damaged_document_is_refused_with_a_reason(change):
    with pytest.raises((ReadError, CheckpointError)):
        from_document({**good(), **change}, from_inline)


@pytest.mark.parametrize("document", [None, [], "x", {}, {"schema": 1}])
def test_what_is_no_document_is_refused(document):
    with pytest.raises(ReadError):
        from_document(document, from_inline)
