"""Which layers single operators become, and what they are called."""

from __future__ import annotations

from collections.abc import Callable

from snnbridge import Layer
from snnbridge_plugins.onnx.file.schema import DOMAIN
from snnbridge_plugins.onnx.foreign.graph import operators
from snnbridge_plugins.onnx.foreign.graph.constants import Constants
from snnbridge_plugins.onnx.foreign.graph.operators import Node
from snnbridge_plugins.onnx.foreign.layers import windows

#: What makes a layer of an operator, by domain and name; None where it is not quite that layer.
MAKERS: dict[tuple[str, str], Callable[[str, Node], Layer | tuple[Layer, ...] | None]] = {
    ("", "Gemm"): operators.gemm,
    ("", "MatMul"): operators.matmul,
    ("", "Conv"): windows.conv,
    ("", "MaxPool"): windows.pool,
    ("", "AveragePool"): windows.pool,
    ("", "GlobalMaxPool"): windows.whole_pool,
    ("", "GlobalAveragePool"): windows.whole_pool,
    ("", "ReduceMean"): windows.mean,
    ("", "BatchNormalization"): operators.norm,
    ("", "Flatten"): windows.flatten,
    ("", "Reshape"): windows.flatten,
    ("", "Mul"): operators.scale,
    ("sc_neurocore", "SC_Dense"): operators.dense,
}


def layer_name(node: Node, constants: Constants) -> str:
    """Name a layer by its weight, which exporters call as the source does."""
    domain = node.message.get("domain", "")
    for held in () if domain == DOMAIN else node.constants.values():
        base, dot, last = constants.source(held).rpartition(".")
        if dot and last in ("weight", "kernel") and base:
            return base
    name = node.name.strip("/")
    if (domain, node.kind) in MAKERS:
        name = name.removesuffix(f"/{node.kind}")  # torch's path of the module
    return name or node.kind
