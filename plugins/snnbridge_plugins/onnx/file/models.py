"""Opening a model: its bytes are vetted before anything is made of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from snnbridge import IntegrityError, ReadError
from snnbridge.model import Integrity
from snnbridge.storage import Source, dump_json, parse_json
from snnbridge_plugins.onnx.file.digest import DIGEST_KEY, is_right
from snnbridge_plugins.onnx.file.protobuf import LENGTH, VARINT, decode, field_at
from snnbridge_plugins.onnx.file.schema import KEY, MESSAGES, Message

_KNOWN = {*MESSAGES["Model"], 20, 26}  # training information, configuration
_GRAPH = 7
#: The tag of the version of the IR, with which every model begins.
_FIRST = b"\x08"
#: How onnx's own texts and JSON begin.
_TEXT, _HEAD = re.compile(rb'\s*(\{\s*"ir_version"|<\s*ir_version\s*:|ir_version\s*:)'), 256


@dataclass(frozen=True)
class Model:
    """A model that was opened.

    Attributes
    ----------
    source : Source
    message : Message
    """

    source: Source
    message: Message

    @property
    def metadata(self) -> dict[str, str]:
        """The model's own entries."""
        entries = self.message.get("metadata_props", [])
        return {entry.get("key", ""): entry.get("value", "") for entry in entries}

    def held(self) -> Mapping[str, Any] | None:
        """Return what this package put there, if it wrote the model.

        Raises
        ------
        IntegrityError
            If it was changed.
        """
        text = self.metadata.get(KEY)
        if text is None:
            return None
        where = f"the metadata {KEY!r}"
        found = parse_json(text.encode(), where=where, limits=self.source.limits)
        if not isinstance(found, dict) or not {"document", "graph", "sha256"} <= found.keys():
            raise ReadError(f"{where} is no checkpoint's")
        stated = found.pop("sha256")
        if hashlib.sha256(dump_json(found)).hexdigest() != stated:
            raise IntegrityError(f"{where} differs from what was written; it was damaged")
        return found

    def integrity(self) -> Integrity:
        """Compare the file with its digest; the files of data beside it are not looked at."""
        stated = self.metadata.get(DIGEST_KEY)
        if stated is None:
            wrote_it = KEY in self.metadata or self.message.get("producer_name") == "snnbridge"
            return "changed" if wrote_it else ""
        return "intact" if is_right(self.source, stated) else "changed"


def open_model(source: Source) -> Model:
    """Open a model.

    Raises
    ------
    ReadError
        For bytes that are no model.
    """
    if _is_text(bytes(source.data[:_HEAD])):
        raise ReadError(
            f"{str(source.path)!r} is a model as text or JSON; make it one of bytes first: "
            'onnx.save(onnx.load(FILE, format="json"), "model.onnx"), or "textproto", "onnxtxt"'
        )
    message = decode("Model", source.data, trusted=source.trusted)
    if "graph" not in message or message.get("ir_version", 0) < 1:
        raise ReadError(f"{str(source.path)!r} holds no graph; it is no ONNX model")
    return Model(source, message)


def looks_like_a_model(head: bytes, size: int) -> bool:
    """Tell whether a file may be a model: its first fields are, and one of them is a graph.

    Parameters
    ----------
    head : bytes
        Where the file begins.
    size : int
        Of the file.
    """
    if _is_text(head):
        return True  # for the word about what to do with it
    data, at = memoryview(head), 0
    if not head.startswith(_FIRST):
        return False
    try:
        while at < len(data):
            number, wire, start, end = field_at(data, at)
            if number not in _KNOWN or wire not in (VARINT, LENGTH):
                return False
            if number == _GRAPH:
                return start <= end <= size
            at = end
    except ReadError:  # the head ends in the middle of a field
        return False
    return False


def _is_text(head: bytes) -> bool:
    """Whether a file begins as the JSON or one of the texts that onnx writes."""
    return _TEXT.match(head[:_HEAD]) is not None
