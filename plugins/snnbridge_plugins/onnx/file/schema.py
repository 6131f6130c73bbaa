"""The messages of ``onnx.proto3`` (ONNX 1.23, IR 14), as far as they are read or written.

Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. A message is a plain dict; a field
that is absent is not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

#: A message: values by field name. Embedded messages are dicts, repeated fields lists.
Message: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message.

    Parameters
    ----------
    name : str
    kind : str
        ``"int"``, ``"float"``, ``"text"``, ``"bytes"``, ``"data"`` (bytes that stay where they
        are), ``"float32s"`` and ``"float64s"`` (packed numbers as pieces of bytes), or the name
        of a message.
    repeated : bool
    """

    name: str
    kind: str
    repeated: bool = False


def _fields(**stated: str) -> Mapping[int, Field]:
    """Make fields from ``name="number kind"``, with a star behind what is repeated."""
    found = {}
    for name, text in stated.items():
        number, kind = text.split()
        found[int(number)] = Field(name, kind.rstrip("*"), repeated=kind.endswith("*"))
    return found


MESSAGES: Mapping[str, Mapping[int, Field]] = {
    "Model": _fields(
        ir_version="1 int", producer_name="2 text", producer_version="3 text", domain="4 text",
        model_version="5 int", doc_string="6 text", graph="7 Graph",
        opset_import="8 OperatorSet*", metadata_props="14 Entry*", functions="25 Function*",
    ),
    "OperatorSet": _fields(domain="1 text", version="2 int"),
    "Entry": _fields(key="1 text", value="2 text"),
    "Graph": _fields(
        node="1 Node*", name="2 text", initializer="5 Tensor*", doc_string="10 text",
        input="11 ValueInfo*", output="12 ValueInfo*", value_info="13 ValueInfo*",
        sparse_initializer="15 data*", metadata_props="16 Entry*",
    ),
    "Node": _fields(
        input="1 text*", output="2 text*", name="3 text", op_type="4 text",
        attribute="5 Attribute*", doc_string="6 text", domain="7 text", overload="8 text",
        metadata_props="9 Entry*",
    ),
    "Attribute": _fields(
        name="1 text", f="2 float", i="3 int", s="4 bytes", t="5 Tensor", g="6 Graph",
        floats="7 float32s*", ints="8 int*", strings="9 bytes*", tensors="10 Tensor*",
        graphs="11 Graph*", doc_string="13 text", type="20 int", ref_attr_name="21 text",
        sparse_tensor="22 data", sparse_tensors="23 data*",
    ),
    "Tensor": _fields(
        dims="1 int*", data_type="2 int", segment="3 data", float_data="4 float32s*",
        int32_data="5 int*", string_data="6 bytes*", int64_data="7 int*", name="8 text",
        raw_data="9 data", double_data="10 float64s*", uint64_data="11 int*",
        doc_string="12 text", external_data="13 Entry*", data_location="14 int",
        metadata_props="16 Entry*",
    ),
    "ValueInfo": _fields(
        name="1 text", type="2 Type", doc_string="3 text", metadata_props="4 Entry*"
    ),
    "Type": _fields(tensor_type="1 TensorType"),
    "TensorType": _fields(elem_type="1 int", shape="2 Shape"),
    "Shape": _fields(dim="1 Dim*"),
    "Dim": _fields(dim_value="1 int", dim_param="2 text"),
    "Function": _fields(
        name="1 text", input="4 text*", output="5 text*", attribute="6 text*", node="7 Node*",
        doc_string="8 text", opset_import="9 OperatorSet*", domain="10 text",
        attribute_proto="11 Attribute*", overload="13 text", metadata_props="14 Entry*",
    ),
}  # fmt: skip

#: ``TensorProto.DataType`` by the names of numpy and ml_dtypes.
DATA_TYPES: Mapping[str, int] = {
    "float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7,
    "bool": 9, "float16": 10, "float64": 11, "uint32": 12, "uint64": 13, "complex64": 14,
    "complex128": 15, "bfloat16": 16, "float8_e4m3fn": 17, "float8_e4m3fnuz": 18,
    "float8_e5m2": 19, "float8_e5m2fnuz": 20, "uint4": 21, "int4": 22, "float4_e2m1fn": 23,
    "float8_e8m0fnu": 24, "uint2": 25, "int2": 26,
}  # fmt: skip
DTYPES: Mapping[int, str] = {number: name for name, number in DATA_TYPES.items()}
STRING = 8
#: Elements of less than a byte, and how many bits each takes.
BITS: Mapping[str, int] = {"uint4": 4, "int4": 4, "float4_e2m1fn": 4, "uint2": 2, "int2": 2}

#: ``AttributeProto.AttributeType`` by the field that holds the value.
ATTRIBUTE_TYPES: Mapping[str, int] = {
    "f": 1, "i": 2, "s": 3, "t": 4, "g": 5, "floats": 6, "ints": 7, "strings": 8, "tensors": 9,
    "graphs": 10,
}  # fmt: skip
EXTERNAL = 1
#: The version of the IR that came with each operator set which can be written.
IR_OF_OPSET: Mapping[int, int] = {17: 8, 19: 9, 21: 10}
#: The first operator set whose IR has metadata on nodes.
FIRST_WITH_ENTRIES = 21
#: The domain of this package's functions.
DOMAIN = "org.snnbridge"
#: The key of the model's metadata that holds the checkpoint's document.
KEY = "org.snnbridge.checkpoint"
