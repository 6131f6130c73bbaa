"""JSON that two readers could take differently is refused; the rest round-trips."""

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnbridge.errors import ReadError, WriteError
from snnbridge.storage import Limits, dump_json, parse_json

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


def exact(value):
    """Tell True from 1, 1 from 1.0 and 0.0 from -0.0, which == does not."""
    return repr(value)


@given(TREES, st.sampled_from([None, 2]))
def test_every_tree_round_trips(tree, indent):
    data = dump_json(tree, indent=indent)
    assert exact(parse_json(data)) == exact(tree)
    assert data == dump_json(tree, indent=indent)


@given(TREES)
def test_what_the_standard_library_writes_is_read_as_it_reads_it(tree):
    for text in (json.dumps(tree), json.dumps(tree, ensure_ascii=False, indent=1)):
        assert exact(parse_json(text.encode())) == exact(json.loads(text))


def test_indented_text_is_that_of_the_standard_library():
    tree = {"b": [1, 2.5, None], "a": {"é": "\u2028"}}
    assert dump_json(tree, indent=2).decode() == json.dumps(tree, indent=2)
    assert list(parse_json(dump_json(tree))) == ["b", "a"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "line 1, column 1"),
        (b"[1,\n 2,]", "line 2, column 4"),
        (b"[1] 2", "Extra data"),
        (b"\xef\xbb\xbf[]", "byte order mark"),
        ("[1]".encode("utf-16"), "not UTF-8 at byte 0"),
        (b'["\xff"]', "not UTF-8 at byte 2"),
        (b'["\xed\xa0\x80"]', "not UTF-8 at byte 2"),
        (b'["\\ud800"]', "surrogate"),
        (b'["\\udc00\\ud800"]', "surrogate"),
        (b'["\\ud800\\ud800\\udc00"]', "surrogate"),
        (b'["\\ud800 \\udc00"]', "surrogate"),
        (b'["\\\\\\ud800"]', "surrogate"),
        (b'{"a": 1, "a": 1}', "'a' twice"),
        (b'[{"b": {"": 1, "c": 2, "": 1}}]', "'' twice"),
        (b"[NaN]", "NaN"),
        (b"[-Infinity]", "-Infinity"),
        (b"[1e999]", "beyond float64"),
        (b"[" + b"9" * 400 + b".0]", "number of 402 digits"),
        (b"[" + b"9" * 309 + b".0]", "beyond float64"),
        (b"[" + b"1" * 401 + b"]", "number of 401 digits"),
        (b"[" + b"1" * 100_000 + b"]", "number of 100000 digits"),
        (b'["\x00"]', "control character"),
        (b"[" * 65 + b"]" * 65, "nested more than 64 deep at byte 64"),
        (b"[" * 100_000, "nested more than 64 deep"),
        (b'{"a":' * 100_000, "nested more than 64 deep"),
        (b'["' + b"[" * 50 + b'"' + b",[" * 64, "deep at byte 180"),
        (b"]" * 100 + b"[" * 100, "line 1, column 1"),
        (b'{"' + b"k" * 5000 + b'": 1}', "key of 5000 characters"),
    ],
)
def test_ambiguous_or_hostile_text_is_refused_with_the_place(data, message):
    with pytest.raises(ReadError, match=message):
        parse_json(data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'["\\ud83d\\ude00"]', ["😀"]),
        (b'["\\\\ud800"]', ["\\ud800"]),
        (b'["' + b"[{" * 5000 + b'"]', ["[{" * 5000]),
        (b'["' + b'\\"[' * 5000 + b'"]', ['"[' * 5000]),
        (b'["' + b"1" * 5000 + b'"]', ["1" * 5000]),
        (b"[" * 64 + b"]" * 64, None),
        (b"[1e300, 1E-999]", [1e300, 0.0]),
        (b'["NaN", "1e999"]', ["NaN", "1e999"]),
        (b" [] \n", []),
    ],
)
def test_unusual_but_clear_text_is_read(data, expected):
    assert parse_json(data) == expected or expected is None


def test_a_dialect_with_nan_is_read_on_request():
    nan, infinity, beyond = parse_json(b"[NaN, Infinity, 1e999]", allow_nan=True)
    assert nan != nan
    assert infinity == beyond == float("inf")


def test_limits_bound_size_and_count_of_values():
    with pytest.raises(ReadError, match="7 bytes"):
        parse_json(b"[1,2,3]", limits=Limits(json_bytes=6))
    with pytest.raises(ReadError, match="more than 2 values"):
        parse_json(b"[1,2,3]", limits=Limits(json_items=2))
    assert parse_json(b'["1,2,3"]', limits=Limits(json_items=2)) == ["1,2,3"]


def test_the_message_names_the_text():
    with pytest.raises(ReadError, match="the side-car"):
        parse_json(b"{", where="the side-car")


@pytest.mark.parametrize(
    "text", [b'["' + b"\\\\" * 2_000_000 + b'"]', b'["' + b"a" * 4_000_000 + b'"]']
)
def test_memory_stays_near_the_size_of_the_text(text):
    tracemalloc.start()
    parse_json(text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * len(text)


@pytest.mark.parametrize(
    "value",
    [float("nan"), [float("inf")], {1: 2}, {"a": {None: 1}}, {"a": object()}, b"x", "\ud800"],
)
def test_what_json_cannot_hold_is_refused_when_written(value):
    with pytest.raises(WriteError):
        dump_json(value)


def test_cycles_and_bottomless_trees_are_refused_when_written():
    tree = []
    tree.append(tree)
    with pytest.raises(WriteError):
        dump_json(tree)
    for _ in range(100_000):
        tree = [tree]
    with pytest.raises(WriteError):
        dump_json(tree)
    while tree and tree[0] is not tree:
        tree = tree[0]
