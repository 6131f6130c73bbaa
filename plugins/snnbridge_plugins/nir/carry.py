"""The whole checkpoint in the metadata of the graph, for our own reader.

``/node/metadata/snnbridge`` is a group:

============  ==========================================================================
``document``  the checkpoint as JSON text, see :mod:`snnbridge.document`; an array's place
              is ``{"at": [node, ..., field]}``, ``{"inline": ...}`` or ``{"extra": key}``
``arrays``    a group: the arrays that no node holds, by key
``for``       the importer for whose reading the nodes were written, if any
============  ==========================================================================

The document holds only as long as the nodes are those that it would be written with: what
another tool changes in the graph is seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from snnbridge import ReadError, SNNCheckpoint
from snnbridge.document import (
    dtype_and_shape,
    dtype_of,
    from_document,
    from_inline,
    inline,
    to_document,
)
from snnbridge.model import Array, Path
from snnbridge.storage import Limits, dump_json, parse_json
from snnbridge_plugins.nir.graph import Graph, Node
from snnbridge_plugins.nir.nodes import is_storable, storable

#: The key in the metadata.
KEY = "snnbridge"
#: Arrays of at most this many bytes stand in the document itself.
_INLINE = 1024


def describe(checkpoint: SNNCheckpoint, graph: Graph | Node, importer: str | None) -> None:
    """Add the description of a checkpoint to the metadata of its graph."""
    places = dict(_places(graph, ()))
    arrays: dict[str, Array] = {}

    def place(path: Path, array: Array) -> dict[str, Any]:
        if id(array) in places:
            return {"at": list(places[id(array)])}
        if array.nbytes <= _INLINE:
            return {"inline": inline(array)}
        key = str(len(arrays))
        if is_storable(array) and storable(array) is array:
            arrays[key] = array
            return {"extra": key}
        arrays[key] = _bytes(array)
        return {"extra": key, **dtype_and_shape(array)}

    text = dump_json(to_document(checkpoint, place)).decode("ascii")
    graph.metadata[KEY] = {
        "document": text,
        **({"arrays": arrays} if arrays else {}),
        **({"for": importer} if importer else {}),
    }


def _places(node: Node | Graph, path: Path) -> list[tuple[int, Path]]:
    if isinstance(node, Graph):
        inner = (_places(n, (*path, name)) for name, n in node.nodes.items())
        return [pair for pairs in inner for pair in pairs]
    return [(id(v), (*path, k)) for k, v in node.fields.items() if isinstance(v, np.ndarray)]


def _bytes(array: Array) -> Array:
    flat = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1)
    return np.frombuffer(flat.tobytes(), np.uint8)


def description(root: Graph | Node) -> dict[str, Any] | None:
    """Return the description that a graph's metadata holds, if any."""
    held = root.metadata.get(KEY)
    if not isinstance(held, dict) or not isinstance(held.get("document"), str):
        return None
    return held


def restore(held: Mapping[str, Any], root: Graph | Node) -> SNNCheckpoint:
    """Read the checkpoint that a description means, with the arrays where they stand now.

    Raises
    ------
    ReadError
        If the description is damaged, or speaks of arrays that are not there.
    CheckpointError
        If what it says breaks the rules of the model.
    """
    text = held["document"].encode()
    limits = Limits.for_text(len(text))
    document = parse_json(text, where="the description in the metadata", limits=limits)
    arrays = held.get("arrays", {})

    def fetch(place: Any) -> Array:
        if not isinstance(place, dict):
            raise ReadError(f"an array's place must be an object, found {place!r}")
        if "inline" in place:
            return from_inline(place["inline"])
        if "extra" in place:
            return _extra(place, arrays)
        return _at(root, place.get("at"))

    return from_document(document, fetch)


def _at(root: Graph | Node, path: Any) -> Array:
    names = path if isinstance(path, list) else []
    node: Any = root
    for name in names[:-1]:
        node = node.nodes.get(name) if isinstance(node, Graph) else None
    found = node.fields.get(names[-1]) if isinstance(node, Node) and names else None
    if not isinstance(found, np.ndarray):
        raise ReadError(f"there is no array at {path!r}")
    return found


def _extra(place: Mapping[str, Any], arrays: Any) -> Array:
    key = place["extra"]
    found = arrays.get(key) if isinstance(arrays, dict) else None
    if not isinstance(found, np.ndarray):
        raise ReadError(f"there is no array {key!r} in the metadata")
    if "dtype" not in place:
        return found
    dtype, shape = dtype_of(str(place["dtype"])), place.get("shape")
    try:
        flat = np.ascontiguousarray(found).astype(np.uint8, copy=False)
        return flat.view(dtype.newbyteorder("<")).reshape(shape)
    except (TypeError, ValueError) as error:
        raise ReadError(f"the array {key!r} in the metadata is damaged: {error}") from error
