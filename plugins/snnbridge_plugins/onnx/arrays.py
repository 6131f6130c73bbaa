"""The tensors of a model that was opened, those in another file too."""

from __future__ import annotations

from snnbridge import ReadError
from snnbridge.model import Array
from snnbridge.storage import Source
from snnbridge_plugins.onnx.schema import EXTERNAL, Message
from snnbridge_plugins.onnx.tensors import array_of, size_of


class Tensors:
    """The initializers of a model by name; bytes are looked at when they are asked for.

    Parameters
    ----------
    source : Source
        The model.
    graph : Message
        Vetted.
    """

    def __init__(self, source: Source, graph: Message) -> None:
        self._source = source
        self._messages = {t.get("name", ""): t for t in graph.get("initializer", [])}
        self._files: dict[str, memoryview] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._messages

    def names(self) -> list[str]:
        """Return all names, in order."""
        return list(self._messages)

    def array(self, name: str) -> Array:
        """Return a tensor's array, read-only.

        Raises
        ------
        ReadError
            If its bytes are not there, or not where they may be.
        """
        message = self._messages[name]
        if message.get("data_location", 0) != EXTERNAL:
            return array_of(message)
        return array_of(message, self._outside(message))

    def _outside(self, message: Message) -> memoryview:
        name = message.get("name", "")
        entries = {e.get("key", ""): e.get("value", "") for e in message.get("external_data", [])}
        offset = _number(entries.get("offset", "0"), name)
        size = _number(entries["length"], name) if "length" in entries else size_of(message)
        data = self._file(entries.get("location", ""))
        if offset + size > len(data):
            raise ReadError(
                f"tensor {name!r} lies at bytes {offset} to {offset + size} of "
                f"{entries['location']!r}, which has {len(data)}"
            )
        return data[offset : offset + size]

    def _file(self, location: str) -> memoryview:
        """Open a file beside the model: a regular one, with no other name anywhere."""
        if location not in self._files:
            if not location or "/" in location or "\\" in location:
                raise ReadError(
                    f"data lies in {location!r}; expected the name of a file beside the model"
                )
            with self._source.sibling(location, follow=False) as file:
                if file.is_dir or file.links > 1:
                    raise ReadError(f"{location!r} is a folder or a hard link; it is not read")
                self._files[location] = file.data
        return self._files[location]


def _number(text: str, name: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise ReadError(f"tensor {name!r} lies at {text!r} of another file; expected a number")
    return int(text)
