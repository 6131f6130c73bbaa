"""Reading: this package's own models losslessly, others as far as they can be told."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from snnbridge import UNKNOWN, Options, ReadError, SNNCheckpoint, SourceInfo
from snnbridge.document import from_document, from_inline
from snnbridge.model import Array, Integrity
from snnbridge.storage import Source, blocks
from snnbridge_plugins.onnx.arrays import Tensors
from snnbridge_plugins.onnx.foreign import from_graph
from snnbridge_plugins.onnx.models import Model, open_model
from snnbridge_plugins.onnx.schema import BITS
from snnbridge_plugins.onnx.tensors import seen, stored
from snnbridge_plugins.onnx.vetting import vet


def read(source: Source, options: Options) -> SNNCheckpoint:
    """Read a model; nothing of it is executed.

    Parameters
    ----------
    source : Source
    options : mapping
        ``check``: ``"no"`` leaves the digests of arrays alone.

    Raises
    ------
    ReadError
        If it is damaged or hostile.
    IntegrityError
        If the document of a model of this package was changed.
    """
    model = open_model(source)
    vet(model.message)
    tensors = Tensors(source, model.message["graph"])
    held = model.held()
    integrity: Integrity = "unchecked" if options.get("check") == "no" else model.integrity()
    if held is None:
        found = from_graph(model, tensors)
        found.source = replace(found.source or SourceInfo(), integrity=integrity)
        return found
    return _Own(model, tensors, integrity).checkpoint(held["document"])


class _Own:
    """A model that this package wrote.

    Parameters
    ----------
    model : Model
    tensors : Tensors
    integrity : str
        What the digest of the whole model says; those of its arrays are compared, too, unless
        it was not looked at.
    """

    def __init__(self, model: Model, tensors: Tensors, integrity: Integrity) -> None:
        self._model, self._tensors, self._integrity = model, tensors, integrity
        self._notes: dict[str, None] = {}

    def checkpoint(self, document: Any) -> SNNCheckpoint:
        """Return the checkpoint, without the arrays that a tool took away."""
        found = from_document(self._without_lost(document), self._fetch)
        version = str(self._model.message.get("producer_version", "")) or UNKNOWN
        framework = str(self._model.message.get("producer_name", "")) or UNKNOWN
        found.source = SourceInfo(
            dialect="snnbridge",
            framework=framework,
            framework_version=version,
            notes=tuple(self._notes),
            integrity="changed" if self._notes else self._integrity,
        )
        return found

    def _without_lost(self, node: Any) -> Any:
        """Return the document with what is gone marked as unknown, or left out."""
        if isinstance(node, list):
            return [self._without_lost(x) for x in node if not self._is_lost_state(x)]
        if not isinstance(node, dict):
            return node
        if self._is_lost(node):
            return {"$unknown": True}
        kept = {}
        for key, value in node.items():
            if self._is_lost(value) and key != "value":
                continue  # a tree has no word for unknown
            kept[key] = self._without_lost(value)
        return kept

    def _is_lost(self, node: Any) -> bool:
        if not isinstance(node, dict) or set(node) != {"$array"}:
            return False
        held = node["$array"]
        if not isinstance(held, dict) or "initializer" not in held:
            return False
        if held["initializer"] in self._tensors:
            return False
        self._note(held, "is missing")
        return True

    def _is_lost_state(self, node: Any) -> bool:
        return isinstance(node, dict) and "batch_axis" in node and self._is_lost(node.get("value"))

    def _note(self, held: dict[str, Any], what: str) -> None:
        path = held.get("path")
        words = ".".join(map(str, path)) if isinstance(path, list) else "an array"
        self._notes[f"{words} (tensor {held.get('initializer')!r}) {what} since it was written"] = (
            None
        )

    def _fetch(self, reference: Any) -> Array:
        if not isinstance(reference, dict):
            raise ReadError(f"{reference!r} refers to no array")
        if "initializer" not in reference:
            return from_inline(reference)
        name = reference["initializer"]
        if not isinstance(name, str) or name not in self._tensors:
            raise ReadError(f"there is no tensor {name!r}")
        array = self._tensors.array(name)
        if self._integrity != "unchecked" and _digest(name, array) != reference.get("sha256"):
            self._note(reference, "has changed")
            if "shape" in reference and array.dtype != "uint8":
                return array
        if "shape" in reference:
            return seen(array, reference.get("dtype"), reference["shape"], f"tensor {name!r}")
        return array


def _digest(name: str, array: Array) -> str:
    sha256 = hashlib.sha256()
    for piece in stored(name, array).pieces() if array.dtype.name in BITS else blocks(array):
        sha256.update(piece)
    return sha256.hexdigest()
