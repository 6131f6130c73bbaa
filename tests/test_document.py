"""A checkpoint as a document: nothing is lost, nothing is trusted."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from snnbridge import CheckpointError, Linear, ReadError, SNNCheckpoint, Subgraph, differences
from snnbridge.document import (
    ArrayForm,
    dtype_and_shape,
    dtype_name,
    dtype_of,
    from_document,
    from_elements,
    from_inline,
    inline,
    to_document,
)
from snnbridge.storage import Limits, dump_json, parse_json
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


STATE = {
    "path": ["a", "v"],
    "value": {"$array": {"dtype": "uint8", "shape": [1], "data": "AQ=="}},
    "batch_axis": None,
}


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
        {"layers": [{"kind": "Neuron", "name": "a", "origin": ["x", 3, "y"]}]},
        {"layers": [{"kind": "Neuron", "name": "a", "rule": {"max_spikes": "3"}}]},
        {"layers": [{"kind": "Neuron", "name": "a", "rule": {"compare": [1]}}]},
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
        {"provenance": {}},
        {"state": [STATE, STATE], "layers": [{"kind": "Neuron", "name": "a"}]},
        {"state": [{**STATE, "path": "av"}], "layers": [{"kind": "Neuron", "name": "a"}]},
        {"state": [{**STATE, "batch_axis": 1}], "layers": [{"kind": "Neuron", "name": "a"}]},
        {"training": {"x": {"$scalar": ["float32", "0000000000"]}}},
        {"training": {"x": {"$scalar": ["bool", "02"]}}},
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


UINT8 = {"dtype": "uint8", "shape": [2], "data": "AQI="}


@pytest.mark.parametrize(
    "value",
    [
        None, 3, "x", [], {},
        {**UINT8, "dtype": 3}, {**UINT8, "dtype": ["f4"]}, {**UINT8, "dtype": "object"},
        {**UINT8, "shape": [-1]}, {**UINT8, "shape": [1]}, {**UINT8, "shape": [3]},
        {**UINT8, "shape": "2"}, {**UINT8, "shape": [2.0]}, {**UINT8, "shape": [True, 2]},
        {**UINT8, "shape": [10**401]}, {**UINT8, "shape": [0, 10**401]}, {**UINT8, "shape": 2},
        {**UINT8, "shape": [1] * 65 + [2]},
        {**UINT8, "data": 3}, {**UINT8, "data": "*"}, {**UINT8, "data": "A"},
        {**UINT8, "dtype": "bool"},
        {"dtype": "U1", "shape": [1], "data": "AAARAA=="},
    ],
    ids=str,
)  # fmt: skip
def test_an_inline_array_that_is_none_is_refused(value):
    with pytest.raises(ReadError):
        from_inline(value)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(2, object), np.zeros(2, "f4,i4"), np.full(2, 2, np.uint8).view(bool),
        np.array([0x110000], np.uint32).view("U1"), np.array([0x110000], ">u4").view(">U1"), [1.0],
    ],
)  # fmt: skip
def test_what_could_not_be_read_again_is_not_written_in_line(array):
    with pytest.raises(CheckpointError):
        inline(array)


@pytest.mark.parametrize("shape", [(), (0,), (0, 1 << 50), (1,) * 64, (2, 3)])
@pytest.mark.parametrize("dtype", ["float32", ">f8", "U2", "U0", "bool"])
def test_an_inline_array_of_any_shape_comes_back(shape, dtype):
    array = np.zeros(shape, dtype)
    found = from_inline(json.loads(json.dumps(inline(array))))
    assert (found.shape, found.tobytes()) == (shape, array.tobytes())
    assert not found.flags.writeable


def test_a_checkpoint_at_the_limits_of_the_model_comes_back():
    deep, graph = 1 << 1023, Linear("fc", np.eye(2))
    for _ in range(190):
        deep = {"x": deep}
    for _ in range(64):
        graph = Subgraph("s", [graph])
    keys = {"k" * 4000: np.zeros((1,) * 32), "$" * 4000: -(1 << 1023)}
    checkpoint = SNNCheckpoint([graph], training={**deep, **keys}, metadata=deep)
    document = to_document(checkpoint, lambda path, array: inline(array))
    text = dump_json(document)
    found = from_document(parse_json(text, limits=Limits(depth=512)), from_inline)
    assert differences(checkpoint, found) == []


@pytest.mark.parametrize("document", [None, [], "x", {}, {"schema": 1}])
def test_what_is_no_document_is_refused(document):
    with pytest.raises(ReadError):
        from_document(document, from_inline)


def test_a_document_that_is_too_deep_is_refused():
    deep = 1
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ReadError, match="too deep"):
        from_document({**good(), "training": {"x": deep}}, from_inline)


FORMS = [
    (ArrayForm(), (2, 3), (2, 3)),
    (ArrayForm((1, 2, 0)), (4, 2, 3), (2, 3, 4)),
    (ArrayForm(lead=2), (1, 1, 3), (3,)),
    (ArrayForm(tail=True), (3, 1), (3,)),
]


@pytest.mark.parametrize(("form", "stored", "held"), FORMS)
def test_a_form_leads_from_the_stored_array_to_the_held_one_and_back(form, stored, held):
    array = np.arange(np.prod(stored)).reshape(stored)
    assert form.fits(array)
    found = form.held(array)
    assert (found.shape, np.shares_memory(found, array)) == (held, True)
    assert np.array_equal(form.stored(found), array)
    told = json.loads(json.dumps({"at": ["a"], **form.as_json}))
    assert ArrayForm.from_json(told) == form


def test_columns_are_a_part_of_a_stored_matrix():
    array, form = np.arange(6).reshape(2, 3), ArrayForm(columns=(1, 3))
    assert np.array_equal(form.held(array), array[:, 1:])
    assert ArrayForm.from_json({"columns": [1, 3]}) == form
    assert not ArrayForm(columns=(0, 7)).fits(np.zeros((2, 6)))
    assert not ArrayForm(columns=(0, 1)).fits(np.zeros(6))


@pytest.mark.parametrize(
    "place", [{"columns": [2]}, {"columns": [2, 1]}, {"columns": [-1, 1]}, {"columns": [0, 1.0]},
              {"columns": 3}, {"columns": [0, True]}, {"axes": [1, 1]}, {"axes": [True, False]},
              {"axes": "10"}, {"axes": None}, {"tail": 1}, {"lead": -1}, {"lead": 1 << 70},
              {"lead": True}, {"lead": 1, "tail": True}, {"axes": [1, 0], "columns": [0, 1]}],
)  # fmt: skip
def test_a_form_of_a_strangers_document_is_checked(place):
    for good_one in ({"axes": [1, 0]}, {"lead": 1}, {"tail": True}):
        ArrayForm.from_json(good_one)
    with pytest.raises(ReadError, match="an array's place has"):
        ArrayForm.from_json(place)


def test_elements_beside_a_document_are_checked_against_dtype_and_shape():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    stated, data = dtype_and_shape(array), memoryview(array.tobytes())
    assert np.array_equal(from_elements(stated, data, "x"), array)
    wrong = [{"dtype": []}, {"shape": None}, {"shape": [2, "3"]}, {"shape": [2, 4]},
             {"dtype": "object"}, {"shape": [-2, 3]}]  # fmt: skip
    for other in wrong:
        with pytest.raises(ReadError):
            from_elements({**stated, **other}, data, "x")
    with pytest.raises(ReadError):
        from_elements({}, data, "x")
