"""ONNX models, and the files of data beside them."""

import os

import numpy as np
import onnx.helper as oh
from onnx import TensorProto, numpy_helper

from hostile import case, content

X = oh.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])
Y = oh.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])


def model(*, tensors=None, nodes=None, functions=(), **changes):
    if tensors is None:
        tensors = [tensor(**changes)]
    nodes = nodes or [oh.make_node("MatMul", ["x", "w"], ["y"])]
    graph = oh.make_graph(nodes, "g", [X], [Y], tensors)
    opsets = [oh.make_opsetid("", 21), *(oh.make_opsetid("f", 1) for _ in functions[:1])]
    return oh.make_model(graph, opset_imports=opsets, functions=list(functions), ir_version=10)


def tensor(name="w", **changes):
    made = numpy_helper.from_array(np.ones((4, 3), np.float32), name)
    for key, value in changes.items():
        if isinstance(value, list):
            getattr(made, key)[:] = value
        else:
            setattr(made, key, value)
    return made


def varint(n):
    return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + varint(n >> 7)


def held(number, body):
    return varint(number << 3 | 2) + varint(len(body)) + body


def nested(depth):
    body = b""
    for _ in range(depth):
        body = held(1, held(5, held(6, body)))
    return b"\x08\x0a" + held(7, body)


def calls(name, count):
    return [oh.make_node(name, ["x"], [f"y{i}" if i else "y"], domain="f") for i in range(count)]


def function(name, body):
    return oh.make_function("f", name, ["x"], ["y"], body, [oh.make_opsetid("", 21),
                                                           oh.make_opsetid("f", 1)])  # fmt: skip


def billion_laughs():
    functions = [function("f0", [oh.make_node("Relu", ["x"], ["y"])])]
    functions += [function(f"f{i + 1}", calls(f"f{i}", 10)) for i in range(9)]
    return model(nodes=calls("f9", 1), tensors=[], functions=functions)


def circle():
    functions = [function("a", calls("b", 1)), function("b", calls("a", 1))]
    return model(nodes=calls("a", 1), tensors=[], functions=functions)


def huge_constant():
    shape = numpy_helper.from_array(np.array([1 << 34]), "s")
    return model(tensors=[shape], nodes=[oh.make_node("ConstantOfShape", ["s"], ["y"])])


GOOD = model().SerializeToString()
MODELS = {
    "nothing": b"",
    "two models": GOOD + GOOD,
    "10 MB of empty nodes": lambda: b"\x08\x0a" + held(7, b"\x0a\x00" * 5_000_000),
    "10 MB of empty tensors": lambda: b"\x08\x0a" + held(7, b"\x2a\x00" * 5_000_000),
    "10 MB of empty metadata": lambda: b"\x08\x0a\x3a\x00" + b"\x72\x00" * 5_000_000,
    "10 MB of dims": lambda: b"\x08\x0a" + held(7, held(5, held(1, b"\x01" * 10**7))),
    "graphs in graphs": nested(90),
    "graphs in graphs 20000 deep": lambda: nested(3000),
    "billion laughs": lambda: billion_laughs().SerializeToString(),
    "functions in a circle": lambda: circle().SerializeToString(),
    "a huge constant": lambda: huge_constant().SerializeToString(),
    "a tensor twice": model(tensors=[tensor(), tensor()]).SerializeToString(),
    "negative dims": model(dims=[-1, 3]).SerializeToString(),
    "dims that overflow": model(dims=[1 << 40, 1 << 40]).SerializeToString(),
    "too little data": model(raw_data=bytes(47)).SerializeToString(),
    "too much data": model(raw_data=bytes(49)).SerializeToString(),
    "data of two kinds": model(float_data=[1.0] * 12).SerializeToString(),
    "an unknown type": model(data_type=99).SerializeToString(),
    "text that is no UTF-8": b"\x08\x0a\x12\x02\xff\xfe" + GOOD[2:],
    "a length beyond the file": b"\x08\x0a\x3a\xff\xff\xff\x7f",
    "a number without end": b"\x08" + b"\xff" * 20,
    "a group": b"\x08\x0a\x3b\x3c",
}
content("onnx", ".onnx", MODELS, harmless=("a huge constant",))


def outside(name, prepare=None, *, harmless=False, count=1, **entries):
    """Add a model whose tensor lies in a file beside it."""

    def make(folder):
        (folder / "good.data").write_bytes(np.ones((4, 3), np.float32).tobytes())
        if prepare is not None:
            prepare(folder)
        tensors = []
        for i in range(count):
            made = TensorProto(name=f"w{i}" if i else "w", dims=[4, 3],
                               data_type=TensorProto.FLOAT,
                               data_location=TensorProto.EXTERNAL)  # fmt: skip
            for key, value in {"location": "good.data", **entries}.items():
                made.external_data.add(key=key, value=value)
            tensors.append(made)
        path = folder / "net.onnx"
        path.write_bytes(model(tensors=tensors).SerializeToString())
        return path

    make.__name__ = f"data_{name.replace(' ', '_')}"
    case("onnx", harmless=harmless)(make)


def linked(folder):
    (folder.parent / "secret.data").write_bytes(bytes(48))
    (folder / "link.data").symlink_to(folder.parent / "secret.data")


def linked_folder(folder):
    linked(folder)
    (folder / "inner").symlink_to(folder.parent)


def hard_linked(folder):
    linked(folder)
    os.link(folder.parent / "secret.data", folder / "hard.data")


def piped(folder):
    os.mkfifo(folder / "pipe.data")


outside("in a folder above", linked, location="../secret.data")
outside("at an absolute path", location="/etc/passwd")
outside("behind a link", linked, location="link.data")
outside("behind a linked folder", linked_folder, location="inner/secret.data")
outside("behind a hard link", hard_linked, location="hard.data")
outside("in a pipe", piped, location="pipe.data")
outside("in a device", location="/dev/zero")
outside("in the model itself", location="net.onnx", harmless=True)
outside("in the folder", location=".")
outside("nowhere", location="")
outside("in memory", location="*/_ORT_MEM_ADDR_/*")
outside("in a missing file", location="missing.data")
outside("behind its end", offset="48")
outside("at a negative offset", offset="-4")
outside("at an offset that overflows", offset=str(1 << 64))
outside("of another length", length="1000000")
outside("of a length that is no number", length="x")
outside("with a wrong checksum", checksum="0" * 40, harmless=True)
outside("that 2000 tensors share", count=2000, harmless=True)
