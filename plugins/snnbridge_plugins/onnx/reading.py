"""Reading: this package's own models losslessly, others as far as they can be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from snnbridge import UNKNOWN, Options, ReadError, SNNCheckpoint, SourceInfo
from snnbridge.document import from_document, from_inline
from snnbridge.model import Array, Integrity
from snnbridge.storage import Source
from snnbridge_plugins.checking import ALWAYS, is_to_check
from snnbridge_plugins.onnx.file.opening import Opened, derived, open_whole, references
from snnbridge_plugins.onnx.file.tensors import seen
from snnbridge_plugins.onnx.renamed import Renamed

_CHANGED = "has changed since it was written"


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
    check = is_to_check(options, source.size, ALWAYS)
    opened = open_whole(source, check=check)
    integrity: Integrity = opened.model.integrity() if check else "unchecked"
    if opened.held is None:
        from snnbridge_plugins.onnx.foreign.reading import (
            from_graph,  # not needed for models of ours
        )

        found = from_graph(opened.model, opened.tensors)
        found.source = replace(found.source or SourceInfo(), integrity=integrity)
        return found
    return _Own(opened, opened.held, integrity).checkpoint()


class _Own:
    """A model that this package wrote.

    Parameters
    ----------
    opened : Opened
    held : mapping
        What it put there.
    integrity : str
        What the digest of the whole model says; those of its arrays are compared, too, unless
        it was not looked at.
    """

    def __init__(self, opened: Opened, held: Mapping[str, Any], integrity: Integrity) -> None:
        self._opened, self._held, self._integrity = opened, held, integrity
        self._tensors = opened.tensors
        self._renamed = Renamed(opened.tensors, references(held["document"]))
        self._notes: dict[str, None] = {}

    def checkpoint(self) -> SNNCheckpoint:
        """Return the checkpoint, without the arrays that a tool took away."""
        found = from_document(self._without_lost(self._held["document"]), self._fetch)
        if self._integrity != "unchecked":
            self._note_derived()
        message = self._opened.model.message
        version = str(message.get("producer_version", "")) or UNKNOWN
        framework = str(message.get("producer_name", "")) or UNKNOWN
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
        if held["initializer"] in self._tensors or self._renamed.find(held):
            return False
        self._note(held, "is missing since it was written")
        return True

    def _is_lost_state(self, node: Any) -> bool:
        return isinstance(node, dict) and "batch_axis" in node and self._is_lost(node.get("value"))

    def _note(self, held: dict[str, Any], what: str) -> None:
        path = held.get("path")
        words = ".".join(map(str, path)) if isinstance(path, list) else "an array"
        self._notes[f"{words} (tensor {held.get('initializer')!r}) {what}"] = None

    def _fetch(self, reference: Any) -> Array:
        if not isinstance(reference, dict):
            raise ReadError(f"{reference!r} refers to no array")
        if "initializer" not in reference:
            return from_inline(reference)
        name = reference["initializer"]
        if name not in self._tensors and (elsewhere := self._renamed.find(reference)):
            self._note(reference, f"is now called {elsewhere[0]!r}")
            return self._as_written(reference, elsewhere[1])
        if not isinstance(name, str) or name not in self._tensors:
            raise ReadError(f"there is no tensor {name!r}")
        array = self._tensors.array(name)
        checked = self._integrity != "unchecked"
        if checked and self._tensors.digest(name) != reference.get("sha256"):
            self._note(reference, _CHANGED)
            if "shape" in reference and array.dtype != "uint8":
                return array
        return self._as_written(reference, array)

    def _as_written(self, reference: dict[str, Any], array: Array) -> Array:
        if "shape" not in reference:
            return array
        where = f"tensor {reference['initializer']!r}"
        return seen(array, reference.get("dtype"), reference["shape"], where)

    def _note_derived(self) -> None:
        """Name what only the graph computes with, where its bytes lie in another file."""
        for name, stated in derived(self._held).items():
            if name in self._tensors and self._tensors.digest(name) != stated:
                self._note({"initializer": name, "path": ["graph"]}, _CHANGED)
