"""Messages to bytes and back: the wire format of protocol buffers, bounded.

Done here and not by a library: the same message gives the same bytes everywhere, arrays stay
where they are in a mapped file, and no library meets a stranger's bytes before they are vetted.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from snnbridge import ReadError
from snnbridge.storage import TRUST
from snnbridge_plugins.onnx.file.schema import MESSAGES, Field, Message

VARINT, _FIXED64, LENGTH, _FIXED32 = 0, 1, 2, 5
_SIZES = {_FIXED64: 8, _FIXED32: 4}
_WIRE = {"int": VARINT, "float": _FIXED32}
_DEPTH = 64
#: So many fields any model may have; more, if it has this many bytes for each.
_FIELDS, _FIELD_BYTES = 500_000, 8
_NUMBERS = {"float32s": 4, "float64s": 8}


def varint(number: int) -> bytes:
    """Write a whole number, of 64 bits where it is negative.

    Examples
    --------
    >>> varint(300).hex()
    'ac02'
    """
    number &= (1 << 64) - 1
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def prefix(kind: str, name: str, size: int) -> bytes:
    """Write what stands before the bytes of a field that has a length."""
    number = next(n for n, field in MESSAGES[kind].items() if field.name == name)
    return varint(number << 3 | LENGTH) + varint(size)


def encode(kind: str, message: Message) -> bytes:
    """Write a message; fields in the order of their numbers.

    Examples
    --------
    >>> encode("OperatorSet", {"domain": "", "version": 21}).hex()
    '0a001015'
    """
    pieces: list[bytes] = []
    for number, field in sorted(MESSAGES[kind].items()):
        if field.name in message:
            value = message[field.name]
            for one in value if field.repeated else [value]:
                _add(pieces, number, field, one)
    return b"".join(pieces)


def _add(pieces: list[bytes], number: int, field: Field, value: Any) -> None:
    pieces.append(varint(number << 3 | _WIRE.get(field.kind, LENGTH)))
    if field.kind == "int":
        pieces.append(varint(value))
        return
    if field.kind == "float":
        pieces.append(struct.pack("<f", value))
        return
    if field.kind in MESSAGES:
        value = encode(field.kind, value)
    elif field.kind == "text":
        value = value.encode()
    pieces += (varint(len(value)), bytes(value))


def decode(kind: str, data: memoryview, *, trusted: bool = False) -> Message:
    """Read a message; fields that the schema does not name are skipped.

    Parameters
    ----------
    kind : str
        The message's name in the schema.
    data : memoryview
        May come from a stranger.
    trusted : bool
        Whether there may be any number of fields.

    Raises
    ------
    ReadError
        For bytes that are no such message, a field that stands twice, more than 64 levels, or
        too many fields.
    """
    most = len(data) if trusted else max(_FIELDS, len(data) // _FIELD_BYTES)
    return _Decoder(most).message(kind, data, 0)


class _Decoder:
    def __init__(self, most: int) -> None:
        self._left = most

    def message(self, kind: str, data: memoryview, depth: int) -> Message:
        if depth > _DEPTH:
            raise ReadError(f"messages are nested deeper than {_DEPTH} levels")
        fields = MESSAGES[kind]
        found: Message = {}
        for number, wire, value in wire_fields(data):
            self._count()
            field = fields.get(number)
            if field is None:
                continue
            if field.repeated:
                found.setdefault(field.name, []).extend(self._several(field, wire, value, depth))
            elif field.name in found:
                raise ReadError(f"the field {field.name!r} of a {kind} message stands twice")
            else:
                found[field.name] = self._one(field, wire, value, depth)
        return found

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise ReadError(f"the file holds more fields than any model needs; {TRUST}")

    def _several(self, field: Field, wire: int, value: Any, depth: int) -> list[Any]:
        if field.kind in _NUMBERS and wire == LENGTH:
            if len(value) % _NUMBERS[field.kind]:
                raise ReadError(f"{len(value)} bytes are no whole number of {field.kind}")
            return [value]
        if field.kind == "int" and wire == LENGTH:
            return [self._integer(x) for x in _varints(value)]
        return [self._one(field, wire, value, depth)]

    def _integer(self, value: int) -> int:
        self._count()
        return _signed(value)

    def _one(self, field: Field, wire: int, value: Any, depth: int) -> Any:
        if field.kind in _NUMBERS:
            expected = _FIXED32 if field.kind == "float32s" else _FIXED64
        else:
            expected = _WIRE.get(field.kind, LENGTH)
        if wire != expected:
            raise ReadError(f"the field {field.name!r} has the wire type {wire}, not {expected}")
        if field.kind == "int":
            return _signed(value)
        if field.kind == "float":
            return struct.unpack("<f", value)[0]
        if field.kind == "text":
            return _text(field, value)
        if field.kind in MESSAGES:
            return self.message(field.kind, value, depth + 1)
        return bytes(value) if field.kind == "bytes" else value


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _text(field: Field, value: memoryview) -> str:
    try:
        return bytes(value).decode()
    except UnicodeDecodeError as error:
        raise ReadError(f"the field {field.name!r} is not UTF-8: {error}") from error


def wire_fields(data: memoryview) -> Iterator[tuple[int, int, Any]]:
    """Yield each field of a message: its number, its wire type, its number or its bytes.

    Raises
    ------
    ReadError
        For bytes that end too early, or no field.
    """
    at = 0
    while at < len(data):
        number, wire, start, end = field_at(data, at)
        if end > len(data):
            raise ReadError(
                f"field {number} claims {end - start} bytes, but {len(data) - start} are left"
            )
        value = _varint(data, start)[0] if wire == VARINT else data[start:end]
        yield number, wire, value
        at = end


def field_at(data: memoryview, at: int) -> tuple[int, int, int, int]:
    """Return a field's number, its wire type, and where its value starts and ends.

    Raises
    ------
    ReadError
        If there is none.
    """
    tag, start = _varint(data, at)
    number, wire = tag >> 3, tag & 7
    if not 0 < number < 1 << 29:
        raise ReadError(f"{number} is no number of a field; the file is no ONNX model")
    if wire == VARINT:
        return number, wire, start, _varint(data, start)[1]
    if wire == LENGTH:
        size, start = _varint(data, start)
        return number, wire, start, start + size
    if wire not in _SIZES:
        raise ReadError(f"field {number} has the wire type {wire}; the file is no ONNX model")
    return number, wire, start, start + _SIZES[wire]


def _varints(data: memoryview) -> Iterator[int]:
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        yield value


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ReadError("a number ends too early or is too long; the file is damaged")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value & (1 << 64) - 1, at
        shift += 7
