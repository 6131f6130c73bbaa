"""Models of ONNX that other tools might write, for the tests of reading them."""

from __future__ import annotations

import onnx.helper as oh
from onnx import TensorProto, numpy_helper

from onnx_nets import read


def model_of(nodes, initializers=(), inputs=("x",), outputs=("y",), shape=(1, 4), **more):
    infos = [oh.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in inputs]
    ends = [oh.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs]
    held = [numpy_helper.from_array(v, k) for k, v in dict(initializers).items()]
    graph = oh.make_graph(nodes, "g", infos, ends, held)
    return oh.make_model(graph, ir_version=10, opset_imports=[oh.make_opsetid("", 21)], **more)


def read_model(tmp_path, model):
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    return read(tmp_path / "m.onnx")
