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


def deep_branches(depth):
    """Nest a branch in a branch: with names and types, as a tool would write them."""
    inner = oh.make_node("Relu", ["x"], ["y"])
    other = oh.make_graph([inner], "g", [], [Y])
    condition = numpy_helper.from_array(np.array(True), "c")
    for _ in range(depth):
        graph = oh.make_graph([inner], "g", [], [Y])
        inner = oh.make_node("If", ["c"], ["y"], then_branch=graph, else_branch=other)
    return model(nodes=[inner], tensors=[condition])


def in_a_branch(body):
    """Call what a function's body is made of from inside of a branch."""
    graph = oh.make_graph(body, "g", [], [Y])
    return [oh.make_node("If", ["x"], ["y"], then_branch=graph, else_branch=graph)]


def hidden_circle():
    functions = [function("a", in_a_branch(calls("b", 1))), function("b", calls("a", 1))]
    return model(tensors=[], nodes=calls("a", 1), functions=functions)


def unused_circle():
    functions = [function("a", calls("a", 1))]
    return model(functions=functions)


def sparse(index=3):
    made = model()
    values = numpy_helper.from_array(np.ones(1, np.float32), "s")
    indices = numpy_helper.from_array(np.array([index], np.int64), "i")
    made.graph.sparse_initializer.add(values=values, indices=indices, dims=[4, 3])
    return made.SerializeToString()


def sparse_in_a_node():
    values = numpy_helper.from_array(np.ones(1, np.float32), "s")
    indices = numpy_helper.from_array(np.array([1 << 40], np.int64), "i")
    held = oh.make_sparse_tensor(values, indices, [4, 3])
    nodes = [oh.make_node("Constant", [], ["y"], sparse_value=held)]
    return model(tensors=[], nodes=nodes).SerializeToString()


def twice(key):
    made = model()
    for value in ("1", "2"):
        made.metadata_props.add(key=key, value=value)
    return made.SerializeToString()


def bits(kind, size):
    """Claim 3 elements of 4 bits: two bytes."""
    return model(data_type=kind, dims=[3], raw_data=bytes(size)).SerializeToString()


def without_data(*dims, kind=TensorProto.FLOAT):
    return model(tensors=[TensorProto(name="w", dims=dims, data_type=kind)]).SerializeToString()


def outer(location, name="w"):
    made = TensorProto(name=name, dims=[4, 3], data_type=1, data_location=TensorProto.EXTERNAL)
    made.external_data.add(key="location", value=location)
    return made


def in_a_node(held):
    made = model(tensors=[], nodes=[oh.make_node("Constant", [], ["y"], value=held)])
    return made.SerializeToString()


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
    "graphs in graphs with names": lambda: deep_branches(30).SerializeToString(),
    "functions in a circle through a branch": lambda: hidden_circle().SerializeToString(),
    "an unused function that calls itself": lambda: unused_circle().SerializeToString(),
    "a sparse tensor": sparse(),
    "a sparse tensor with an index beyond it": sparse(1 << 40),
    "a sparse tensor in a node": sparse_in_a_node(),
    "metadata twice": twice("org.snnbridge.checkpoint"),
    "metadata of others twice": twice("author"),
    "too little data for int4": bits(TensorProto.INT4, 1),
    "too little data for uint4": bits(TensorProto.UINT4, 1),
    "too much data for int4": bits(TensorProto.INT4, 3),
    "a huge shape without data": without_data(1 << 20, 1 << 20),
    "a shape without data": without_data(4, 3),
    "a huge shape of int4 without data": without_data(1 << 40, kind=TensorProto.INT4),
    "a huge shape of text without data": without_data(1 << 40, kind=TensorProto.STRING),
    "a shape of 200 axes": model(dims=[1] * 200, raw_data=bytes(4)).SerializeToString(),
    "a huge shape in a node": lambda: in_a_node(TensorProto(dims=[1 << 40], data_type=1)),
    "data of another file in a node": lambda: in_a_node(outer("good.data")),
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
outside("of a length beyond its end", offset="40", length="48")
outside("shorter than its shape", length="47")
outside("in a parent of its own name", location="..")
outside("behind a backslash", location="..\\secret.data")
outside("behind a NUL", location="good.data\0")
outside("with a wrong checksum", checksum="0" * 40, harmless=True)
outside("that 2000 tensors share", count=2000, harmless=True)
