"""A model as it is handed to an engine: every trace among its outputs, and no file to open.

The engine's rules about files are its own and change between releases, so it gets none: arrays
of other files are opened under the rules of this package and handed over in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from snnbridge.model import Array
from snnbridge_plugins.onnx.file.arrays import is_outside
from snnbridge_plugins.onnx.file.opening import Opened
from snnbridge_plugins.onnx.file.protobuf import encode
from snnbridge_plugins.onnx.file.schema import Message


@dataclass(frozen=True)
class HandedOver:
    """A model without files.

    Attributes
    ----------
    encoded : bytes
    outside : dict of str to numpy.ndarray
        The tensors whose bytes are not in it.
    """

    encoded: bytes
    outside: dict[str, Array]


def handed_over(opened: Opened, described: Mapping[str, Any]) -> HandedOver:
    """Return a model with every trace among its outputs, without what only the document needs.

    Raises
    ------
    ReadError
        If the bytes of a tensor are not there.
    """
    message = opened.model.message
    graph = message["graph"]
    outside: dict[str, Array] = {}
    used = {*_names_used(graph), *(value["name"] for value in graph["input"])}
    tensors = []
    for held in graph.get("initializer", []):
        name = held.get("name", "")
        if name not in used:
            continue
        if is_outside(held):
            outside[name] = opened.tensors.array(name)
        tensors.append(held)
    shown = {**graph, "initializer": tensors, "output": _outputs(graph, described)}
    kept = {key: value for key, value in message.items() if key != "metadata_props"}
    return HandedOver(encode("Model", {**kept, "graph": shown}), outside)


def _outputs(graph: Message, described: Mapping[str, Any]) -> list[Message]:
    types = {value["name"]: value for value in graph.get("value_info", [])}
    outputs = {value["name"]: value for value in graph["output"]}
    for name in (name for held in described["traces"].values() for name in held.values()):
        if name in types:
            outputs.setdefault(name, types[name])
    return list(outputs.values())


def _names_used(graph: Message) -> Iterable[str]:
    """Yield the names that a graph and those inside of it take values by."""
    for node in graph.get("node", []):
        yield from node.get("input", [])
        for held in node.get("attribute", []):
            for inner in (*([held["g"]] if "g" in held else []), *held.get("graphs", [])):
                yield from _names_used(inner)
    for value in graph.get("output", []):
        yield value.get("name", "")
