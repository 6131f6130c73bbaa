"""The tree of a pickle as one of JSON values and arrays, and back.

The model's trees have text keys, lists and arrays. What the pickle had instead (numbers as keys,
tuples, ordered dictionaries, ``torch.Size``, which tensor is a parameter) is noted by path, so
that the same tree can be written again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from snnbridge import ReadError
from snnbridge.model import Array
from snnbridge.storage import Limits
from snnbridge_plugins.torch.values import Device, Global, Size, StateDict, Tensor

_Path = tuple[str, ...]
#: By path, what a node was: its class, its keys where they were no text, its flags.
Notes = dict[_Path, dict[str, Any]]
_SEQUENCES: dict[type, str] = {tuple: "tuple", Size: "Size", set: "set", Device: "device"}
_DEPTH = Limits().depth
_SPARE = 100_000


class Plain:
    """Makes plain trees and keeps the notes on them.

    Parameters
    ----------
    size : int
        Bytes of the file. They bound the tree: a pickle may refer to one list many times over.
    """

    def __init__(self, size: int = 0) -> None:
        self.notes: Notes = {}
        self._left = _SPARE + size

    def tree(self, value: Any, path: _Path = ()) -> Any:
        """Return a value of a pickle in plain form.

        Raises
        ------
        ReadError
            If it is nested too deeply or too large.
        """
        self._left -= 1
        if len(path) > _DEPTH or self._left < 0:
            raise ReadError("the pickle's tree is nested too deeply, or too large for its file")
        if isinstance(value, dict):
            return self._mapping(value, path)
        if isinstance(value, Tensor):
            return self._tensor(value, path)
        if type(value) in _SEQUENCES:
            self.notes[path] = {"is": _SEQUENCES[type(value)]}
            value = list(value.arguments if isinstance(value, Device) else value)
        if isinstance(value, list):
            return [self.tree(x, (*path, str(i))) for i, x in enumerate(value)]
        if isinstance(value, Global):
            self.notes[path] = {"is": "name"}
            return value.name
        return value

    def _mapping(self, value: dict[Any, Any], path: _Path) -> dict[str, Any]:
        note: dict[str, Any] = {}
        if isinstance(value, StateDict):
            note["is"] = "OrderedDict"
            if hasattr(value, "metadata"):
                note["metadata"] = Plain(self._left).tree(value.metadata)
        if any(type(key) is not str for key in value):
            note["keys"] = list(value)
        if note:
            self.notes[path] = note
        found: dict[str, Any] = {}
        for key, held in value.items():
            text = key if type(key) is str else str(key)
            while text in found:
                text += "'"
            found[text] = self.tree(held, (*path, text))
        return found

    def _tensor(self, value: Tensor, path: _Path) -> Array:
        flags = {"parameter": True} if value.is_parameter else {}
        if value.requires_grad:
            flags["grad"] = True
        if flags:
            self.notes[path] = flags
        return value.array


def as_json(notes: Notes) -> list[dict[str, Any]]:
    """Return notes as a tree that a checkpoint can carry."""
    return [{"at": list(path), **note} for path, note in notes.items()]


def from_json(value: Any) -> Notes:
    """Read what :func:`as_json` returned; notes that make no sense are left out."""
    if not isinstance(value, list | tuple):
        return {}
    return {
        tuple(note["at"]): {k: v for k, v in note.items() if k != "at"}
        for note in value
        if isinstance(note, Mapping) and isinstance(note.get("at"), list | tuple)
    }


def restored(
    tree: Any,
    notes: Notes,
    tensor: Callable[[_Path, Array, Mapping[str, Any]], Any],
    path: _Path = (),
) -> Any:
    """Return a plain tree with its classes put back.

    Parameters
    ----------
    tree
        JSON values, bytes, complex numbers and arrays.
    notes : dict
        Of the tree that was read; a node that is not there any more is passed over.
    tensor : function of (path, array, flags)
        Makes what is written for an array.
    """
    note = notes.get(path, {})
    if isinstance(tree, np.ndarray | np.generic):
        return tensor(path, np.asarray(tree), note)
    if isinstance(tree, Mapping):
        return _mapping(tree, notes, tensor, path)
    if isinstance(tree, list | tuple):
        items = [restored(x, notes, tensor, (*path, str(i))) for i, x in enumerate(tree)]
        return _SEQUENCE_OF.get(note.get("is", ""), list)(items)
    if note.get("is") == "name" and isinstance(tree, str):
        return Global(tree)
    return tree


def _mapping(
    tree: Mapping[str, Any], notes: Notes, tensor: Callable[..., Any], path: _Path
) -> dict[Any, Any]:
    note = notes.get(path, {})
    keys = note.get("keys", ())
    names = list(keys) if len(keys) == len(tree) else list(tree)
    values = (restored(value, notes, tensor, (*path, key)) for key, value in tree.items())
    pairs = zip(names, values, strict=True)
    if note.get("is") != "OrderedDict":
        return dict(pairs)
    found = StateDict(pairs)
    if "metadata" in note:
        found.metadata = _metadata(note["metadata"])
    return found


def _metadata(value: Any) -> Any:
    """Return the versions of a state dict's modules, an ordered dictionary of dictionaries."""
    return StateDict(value) if isinstance(value, Mapping) else value


_SEQUENCE_OF: dict[str, Callable[[Any], Any]] = {
    "tuple": tuple, "Size": Size, "set": set, "device": lambda items: Device(tuple(items)),
}  # fmt: skip
