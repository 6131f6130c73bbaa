"""The closed interpreter reads what torch.save writes, and nothing that would run."""

import contextlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnbridge import ReadError
from snnbridge.storage import Limits
from snnbridge_plugins.torch.container import read_contents
from snnbridge_plugins.torch.pickling import pickled
from snnbridge_plugins.torch.trees import Plain
from snnbridge_plugins.torch.unpickle import Machine
from snnbridge_plugins.torch.values import Device, Global, Size, StateDict, Storage, Tensor

FOLDER = Path(__file__).parents[1] / "fixtures" / "torch-2.13.0"
CASES = sorted(path.name.removesuffix(".truth.json") for path in FOLDER.glob("*.truth.json"))
NAMES = {StateDict: "OrderedDict", Size: "Size", type(None): "NoneType"}


def contents(data, *, verify=True):
    return read_contents(memoryview(data), verify=verify, limits=Limits()).tree


def opened(name):
    return contents((FOLDER / name).read_bytes())


def described(value):
    """Say of a value what the truth beside a fixture says of PyTorch's."""
    if isinstance(value, Tensor):
        return {
            "tensor": [value.dtype, list(value.shape)],
            "flags": [value.requires_grad, value.is_parameter],
            "bytes": np.ascontiguousarray(value.array).tobytes().hex(),
        }
    if isinstance(value, dict):
        pairs = [[described(key), described(held)] for key, held in value.items()]
        return {NAMES.get(type(value), type(value).__name__): pairs}
    if isinstance(value, list | tuple | set):
        return {NAMES.get(type(value), type(value).__name__): [described(x) for x in value]}
    if isinstance(value, Global):
        return {"dtype": value.name}
    if isinstance(value, Device):
        return {"device": f"device(type={value.arguments[0]!r})"}
    return {NAMES.get(type(value), type(value).__name__): repr(value)}


def text(truth):
    """A counter is a plain dictionary here."""
    return json.dumps(truth).replace('"Counter"', '"dict"')


@pytest.mark.parametrize("name", CASES)
def test_reads_what_a_safe_load_of_pytorch_returns(name):
    truth = json.loads((FOLDER / f"{name}.truth.json").read_text(encoding="utf-8"))
    assert text(described(opened(f"{name}.pt"))) == text(truth)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("whole_module.pt", r"torch\.nn\.modules\.linear\.Linear.*save.*state_dict"),
        ("script.pt", "TorchScript.*state_dict"),
        ("sparse.pt", "sparse tensor.*to_dense"),
        ("sparse_rows.pt", "sparse tensor.*to_dense"),
        ("quantised.pt", "quantised tensor.*dequantize"),
        ("nested.pt", "nested tensor"),
        ("meta.pt", "meta device"),
        ("complex32.pt", "type 'complex32' is not read; convert it"),
        ("float4.pt", "type 'float4_e2m1fn_x2' is not read; convert it"),
        ("named_tuple.pt", "Pair.*would run code"),
    ],
)
def test_code_and_tensors_without_an_array_are_refused_with_the_remedy(name, reason):
    with pytest.raises(ReadError, match=reason):
        opened(name)


def test_tensors_of_one_storage_share_their_memory():
    tree = opened("strided.pt")
    assert np.shares_memory(tree["base"].array, tree["turned"].array)
    assert tree["base"].window == tree["same"].window


def test_arrays_are_read_only():
    assert not opened("strided.pt")["sliced"].array.flags.writeable
    assert not opened("lazy.pt")["conjugate"].array.flags.writeable


def test_a_view_that_is_of_no_use_for_a_type_is_refused():
    storage = Storage("int64", 1, lambda: memoryview(bytes(8)))
    with pytest.raises(ReadError, match="int64 cannot be conj and neg"):
        _ = Tensor(storage, "int64", 0, (1,), (1,), views=("conj", "neg")).array


# Pickles that nobody's torch.save wrote


def run(data):
    return Machine(memoryview(data), lambda identity: identity).run()


def name(module, attribute):
    return f"c{module}\n{attribute}\n".encode()


@pytest.mark.parametrize(
    ("module", "attribute"),
    [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("__builtin__", "getattr"),
        ("torch", "load"),
        ("torch.serialization", "load"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("collections", "defaultdict"),
        ("torch._utils", "_rebuild_tensor_v2.__globals__"),
        ("torch", "nn"),
    ],
)
def test_a_pickle_that_names_anything_else_is_refused(module, attribute):
    with pytest.raises(ReadError, match="would run code"):
        run(b"\x80\x02" + name(module, attribute) + b"(X\x02\x00\x00\x00idtR.")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x02",
        b"\x80\x02.",
        b"\x80\x02(.",
        b"\x80\x02NN.",
        b"\x80\x02t.",
        b"\x80\x02h\x05.",
        b"\x80\x02R.",
        b"\x80\x02NNR.",
        b"\x80\x02}b.",
        b"\x80\x02NNa.",
        b"\x80\x02}]Ns.",
        b"\x80\x02})Ns.",
        b"\x80\x02X\xff\xff\xff\xffabc.",
        b"\x80\x02\x8b\xff\xff\xff\x7f.",
        b"\x80\x02\x8b\xff\xff\xff\xff.",
        b"\x80\x02\x8e\xff\xff\xff\xff\xff\xff\xff\xff.",
        b"\x80\x00N.",
        b"\x80\x09N.",
        b"\x80\x02o.",
        b"\x80\x02i__main__\nx\n.",
        b"cos\nsystem",
        b"\x80\x02" + name("torch", "float32") + b")R.",
        b"\x80\x02" + name("builtins", "bytearray") + b"J\xff\xff\xff\x7f\x85R.",
        b"\x80\x02" + name("torch._utils", "_rebuild_tensor_v2") + b")R.",
        b"\x80\x02" + name("torch._utils", "_rebuild_tensor_v2") + b"(NNNNtR.",
        b"\x80\x02" + name("_codecs", "encode") + b"X\x01\x00\x00\x00aX\x03\x00\x00\x00hex\x86R.",
        b"\x80\x02" + name("collections", "OrderedDict") + b"K\x01\x85R.",
    ],
)
def test_a_damaged_pickle_is_refused(data):
    with pytest.raises(ReadError):
        run(data)


def test_lists_that_refer_to_each_other_are_refused_not_walked_through():
    bomb = b"\x80\x02(]q\x00" + b"".join(
        b"](" + b"h" + bytes([i]) + b"h" + bytes([i]) + b"eq" + bytes([i + 1]) for i in range(60)
    )
    with pytest.raises(ReadError, match="nested too deeply, or too large"):
        Plain().tree(run(bomb + b"l."))
    with pytest.raises(ReadError, match="nested too deeply, or too large"):
        Plain().tree(run(b"\x80\x02]q\x00h\x00a."))


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((4,), (1,), 0),
        ((2, 2), (2, 1), 0),
        ((1,), (1,), 3),
        ((2,), (1,), 2**62),
        ((2**62, 2**62), (0, 0), 0),
        ((2**40,), (0,), 0),
        ((-1,), (1,), 0),
        ((2,), (-1,), 2),
        ((2,), (1,), -1),
        ((2,), (), 0),
        ((1,) * 40, (1,) * 40, 0),
        ((0, 2**63), (1, 1), 0),
    ],
)
def test_a_window_beyond_its_storage_is_refused(shape, strides, offset):
    storage = Storage("float32", 3, lambda: memoryview(bytes(12)))
    with pytest.raises(ReadError):
        _ = Tensor(storage, "float32", offset, shape, strides).array


def test_a_storage_with_fewer_bytes_than_it_states_is_refused():
    data = bytearray((FOLDER / "strided_stream.pt").read_bytes())
    with pytest.raises(ReadError, match="elements; the stream has"):
        contents(data[:-4])


def test_a_changed_record_is_found_by_its_checksum():
    data = bytearray((FOLDER / "strided.pt").read_bytes())
    at = data.index(struct.pack("<3f", 1, 2, 3))
    data[at] ^= 1
    with pytest.raises(ReadError, match="CRC-32"):
        _ = contents(data)["base"].array
    assert contents(data, verify=False)["base"].array.shape == (4, 6)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
    | st.binary() | st.complex_numbers(allow_nan=False),
    lambda inner: st.lists(inner)
    | st.lists(inner).map(tuple)
    | st.dictionaries(st.text() | st.integers(-(2**60), 2**60), inner)
    | st.dictionaries(st.text(), inner).map(StateDict),
    max_leaves=20,
)  # fmt: skip


@given(VALUES)
def test_every_tree_comes_back_from_its_pickle(value):
    back = run(pickled(value))
    assert repr(back) == repr(value)
    assert type(back) is type(value)


DAMAGED = [(FOLDER / f"{name}.pt").read_bytes() for name in CASES]


@settings(max_examples=1500)
@given(st.data())
def test_a_damaged_file_is_refused_or_read(data):
    changed = bytearray(data.draw(st.sampled_from(DAMAGED)))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(changed) - 1))
        changed[at] = data.draw(st.integers(0, 255))
    del changed[data.draw(st.integers(0, len(changed)) | st.just(len(changed))) :]
    with contextlib.suppress(ReadError):
        Plain().tree(contents(changed, verify=False))
