"""The tensors of a model that was opened, those in another file too."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping

from snnbridge import ReadError
from snnbridge.model import Array
from snnbridge.storage import blocks
from snnbridge_plugins.onnx.file.schema import BITS, EXTERNAL, Message
from snnbridge_plugins.onnx.file.tensors import array_of, size_of, stored


class Tensors:
    """The initializers of a model by name; bytes are looked at when they are asked for.

    Parameters
    ----------
    graph : Message
        Vetted.
    files : mapping of str to memoryview
        The bytes of the files that :func:`locations` names.
    """

    def __init__(self, graph: Message, files: Mapping[str, memoryview]) -> None:
        self._messages = {t.get("name", ""): t for t in graph.get("initializer", [])}
        self._files = files
        self._digests: dict[str, str] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._messages

    def names(self) -> list[str]:
        """Return all names, in order."""
        return list(self._messages)

    def is_outside(self, name: str) -> bool:
        """Whether a tensor's bytes lie in another file."""
        return is_outside(self._messages[name])

    def array(self, name: str) -> Array:
        """Return a tensor's array, read-only.

        Raises
        ------
        ReadError
            If its bytes are not there, or not where they may be.
        """
        message = self._messages[name]
        return array_of(message, self._outside(message) if is_outside(message) else None)

    def digest(self, name: str) -> str:
        """Return the SHA-256 of a tensor's bytes, computed once.

        Raises
        ------
        ReadError
            As :meth:`array`.
        """
        if name not in self._digests:
            array, sha256 = self.array(name), hashlib.sha256()
            packed = array.dtype.name in BITS
            for piece in stored(name, array).pieces() if packed else blocks(array):
                sha256.update(piece)
            self._digests[name] = sha256.hexdigest()
        return self._digests[name]

    def _outside(self, message: Message) -> memoryview:
        name, entries = message.get("name", ""), _entries(message)
        offset = _number(entries.get("offset", "0"), name)
        size = _number(entries["length"], name) if "length" in entries else size_of(message)
        data = self._files[entries["location"]]
        if offset + size > len(data):
            raise ReadError(
                f"tensor {name!r} lies at bytes {offset} to {offset + size} of "
                f"{entries['location']!r}, which has {len(data)}"
            )
        return data[offset : offset + size]


def is_outside(tensor: Message) -> bool:
    """Whether a tensor's bytes lie in another file."""
    return bool(tensor.get("data_location", 0) == EXTERNAL)


def locations(graph: Message) -> list[str]:
    """Return the names of the files of data, each once: all lie in the model's folder.

    Raises
    ------
    ReadError
        For what is no name of a file there.
    """
    found: dict[str, None] = {}
    for tensor in graph.get("initializer", []):
        if is_outside(tensor):
            name = _entries(tensor).get("location", "")
            if not _is_plain(name):
                raise ReadError(
                    f"the data of tensor {tensor.get('name', '')!r} lies in {name!r}; expected the "
                    "name of a file beside the model"
                )
            found[name] = None
    return list(found)


def _is_plain(name: str) -> bool:
    drive = sys.platform == "win32" and ":" in name
    return name not in {"", ".", ".."} and not drive and not set(name) & set("/\\\0")


def _entries(tensor: Message) -> dict[str, str]:
    """Return where a tensor's bytes lie.

    Raises
    ------
    ReadError
        For a key that stands twice.
    """
    found: dict[str, str] = {}
    for entry in tensor.get("external_data", []):
        key = entry.get("key", "")
        if key in found:
            raise ReadError(f"tensor {tensor.get('name', '')!r} states {key!r} twice; which?")
        found[key] = entry.get("value", "")
    return found


def _number(text: str, name: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise ReadError(f"tensor {name!r} lies at {text!r} of another file; expected a number")
    return int(text)
