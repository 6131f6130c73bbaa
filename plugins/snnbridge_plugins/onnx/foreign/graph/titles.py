"""What a graph says about its values: modules, and what inner graphs read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from snnbridge_plugins.onnx.file.schema import Message


def module_of(nodes: Sequence[Message]) -> str:
    """Name the module that some nodes come from, by the paths that torch's exporters note."""
    paths = [node.get("name", "").strip("/").split("/")[:-1] for node in nodes]
    scopes = [_scopes(node) for node in nodes]
    for found in (paths, scopes):
        common = _common([path for path in found if path])
        if common:
            return common[-1] if found is scopes else "/".join(common)
    return ""


def _common(paths: Sequence[Sequence[str]]) -> list[str]:
    found = []
    for level in zip(*paths, strict=False):
        if len(set(level)) > 1:
            break
        found.append(level[0])
    return found


def _scopes(node: Message) -> list[str]:
    """Return the modules that torch's newer exporter notes for a node, from the outermost on."""
    entries = {e.get("key", ""): e.get("value", "") for e in node.get("metadata_props", [])}
    names = re.findall(r"'([^']*)'", entries.get("pkg.torch.onnx.name_scopes", ""))
    return names[1:-1]


def outer_values(node: Message) -> Iterator[str]:
    """Yield the values that the inner graphs of a node may read from outside of them."""
    for held in node.get("attribute", []):
        for graph in (*([held["g"]] if "g" in held else []), *held.get("graphs", [])):
            for inner in graph.get("node", []):
                yield from inner.get("input", [])
                yield from outer_values(inner)
