"""JSON, strictly: what one reader would take differently from another is refused.

The text is parsed by the standard library. What that accepts and RFC 8259 or common sense do
not, or what would cost it its stack, is found beforehand in passes over the bytes whose memory
does not grow with the text.
"""

from __future__ import annotations

import json
import math
import re
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn

from snnbridge.errors import ReadError, WriteError
from snnbridge.storage.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

_DEFAULT = Limits()
_BLOCK = 1 << 20
_INTERPRETER_DIGITS = 640  # the lowest bound that int() can be set to
_FLOAT64_DIGITS = 300  # fewer digits before the point are within float64's range
_DIGITS_AS_ZERO = bytes.maketrans(b"123456789", b"000000000")
_LARGE_EXPONENT = re.compile(rb"[eE]\+?0*[0-9]{3}")
_STRUCTURE = re.compile(rb'["\[\]{},]')
_NOT_STRUCTURE = bytes(set(range(256)) - set(b'"[]{},'))
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)


def parse_json(
    data: bytes | bytearray | memoryview,
    *,
    where: str = "JSON text",
    limits: Limits = _DEFAULT,
    allow_nan: bool = False,
) -> Any:
    """Read a JSON text from UTF-8 bytes.

    Parameters
    ----------
    data
        The whole text.
    where
        What to call it in messages.
    limits
        ``json_bytes``, ``json_items``, ``json_digits``, ``depth`` and ``name_bytes`` apply.
    allow_nan
        Whether ``NaN``, ``Infinity`` and numbers beyond the range of float64 are taken.

    Returns
    -------
    Any
        dict, list, str, int, float, bool or None.

    Raises
    ------
    ReadError
        Not JSON; not UTF-8 or behind a byte order mark; beyond a limit; a name twice in one
        object; half a surrogate pair; a number that is none.

    Examples
    --------
    >>> parse_json(b'{"dt": 0.001, "names": ["a", "b"]}')
    {'dt': 0.001, 'names': ['a', 'b']}
    """
    data = bytes(data)
    if len(data) > limits.json_bytes:
        raise ReadError(f"{where} has {len(data)} bytes, more than the {limits.json_bytes} allowed")
    if data.startswith(b"\xef\xbb\xbf"):
        raise ReadError(f"{where} starts with a byte order mark; expected plain UTF-8")
    _check_structure(data, where, limits)
    _check_surrogates(data, where, ReadError)
    try:
        text = data.decode("utf-8")
        return json.loads(text, **_hooks(data, where, limits, allow_nan=allow_nan))
    except UnicodeDecodeError as error:
        raise ReadError(f"{where} is not UTF-8 at byte {error.start}: {error.reason}") from error
    except json.JSONDecodeError as error:
        raise ReadError(
            f"{where} is not JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        ) from error
    except RecursionError as error:
        raise ReadError(f"{where} is nested too deeply for the caller's stack") from error


def dump_json(value: object, *, indent: int | None = None, text_keys: bool = False) -> bytes:
    r"""Write a JSON text that :func:`parse_json` reads back as the same tree.

    Keys keep their order, everything beyond ASCII is escaped, floats have the shortest digits
    that give the same bits.

    Parameters
    ----------
    value
        dict with str keys, list, tuple (becomes a list), str, int, float, bool, None.
    indent
        Spaces per level; None writes everything on one line without spaces.
    text_keys
        Whether all keys are known to be strings, so that a large tree need not be walked for it.

    Raises
    ------
    WriteError
        Another type, another key, NaN or infinity, half a surrogate pair, a cycle.

    Examples
    --------
    >>> dump_json({"dt": 1e-3, "unit": "µs"})
    b'{"dt":0.001,"unit":"\\u00b5s"}'
    """
    separators = (",", ":") if indent is None else (",", ": ")
    try:
        text = json.dumps(value, allow_nan=False, indent=indent, separators=separators)
    except (TypeError, ValueError, RecursionError) as error:
        raise WriteError(f"a value cannot be written as JSON: {error}") from error
    if not text_keys:
        _check_keys(value)
    data = text.encode("ascii")
    _check_surrogates(data, "a string to be written as JSON", WriteError)
    return data


def _check_keys(value: object) -> None:
    """Refuse keys that the standard library would turn into strings."""
    pending = [value]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            for key in node:
                if not isinstance(key, str):
                    raise WriteError(f"a JSON object has the key {key!r}; expected a string")
            pending.extend(node.values())
        elif isinstance(node, (list, tuple)):
            pending.extend(node)


def _hooks(data: bytes, where: str, limits: Limits, *, allow_nan: bool) -> dict[str, Any]:
    """Choose the callbacks of the parser; those for numbers are slow and seldom needed."""

    def constant(name: str) -> NoReturn:
        raise ReadError(f"{where} holds {name}, which is not JSON")

    longest = min(limits.json_digits, _INTERPRETER_DIGITS)

    def number(kind: Callable[[str], float]) -> Callable[[str], float]:
        def convert(text: str) -> float:
            if len(text) > longest:
                raise ReadError(f"{where} holds a number of {len(text)} digits: {text[:20]!r}...")
            result = kind(text)
            if not allow_nan and kind is float and math.isinf(result):
                raise ReadError(f"{where} holds {text!r}, which is beyond float64")
            return result

        return convert

    hooks: dict[str, Any] = {"object_pairs_hook": _unique(where, limits)}
    if not allow_nan:
        hooks["parse_constant"] = constant
    run = b"0" * min(longest, _FLOAT64_DIGITS)
    if run in data.translate(_DIGITS_AS_ZERO) or _LARGE_EXPONENT.search(data):
        hooks["parse_int"], hooks["parse_float"] = number(int), number(float)
    return hooks


def _unique(where: str, limits: Limits) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise ReadError(f"{where} has the key {twice[:200]!r} twice in one object")
        if result and max(map(len, result)) > limits.name_bytes:
            key = max(result, key=len)
            raise ReadError(f"{where} has a key of {len(key)} characters: {key[:40]!r}...")
        return result

    return build


def _check_surrogates(data: bytes, where: str, kind: type[ReadError | WriteError]) -> None:
    """Refuse half a surrogate pair: it cannot be written as UTF-8 again."""
    if not _SURROGATE.search(data):
        return
    high = -1  # where the escape of a first half ended that still waits for its second
    for match in _ESCAPE.finditer(data):
        unit = int(match[1], 16) if match[1] else 0
        second = 0xDC00 <= unit < 0xE000
        if (high >= 0 and not (second and match.start() == high)) or (second and high < 0):
            raise kind(f"{where} has half a surrogate pair near byte {match.start()}")
        high = match.end() if 0xD800 <= unit < 0xDC00 else -1
    if high >= 0:
        raise kind(f"{where} has half a surrogate pair near byte {high - 6}")


def _check_structure(data: bytes, where: str, limits: Limits) -> None:
    """Bound the depth and the number of values before anything is built."""
    shallow = data.count(b"[") + data.count(b"{") <= limits.depth
    if shallow and len(data) <= limits.json_items:
        return
    # With the escapes gone (same length, so positions hold) every quote opens or closes.
    plain = data.replace(b"\\\\", b"__").replace(b'\\"', b"__") if b"\\" in data else data
    depth = items = position = 0
    for depths, separators in _structure(plain.translate(None, _NOT_STRUCTURE)):
        items += separators
        if items > limits.json_items:
            raise ReadError(f"{where} holds more than {limits.json_items} values")
        if depth + int(depths.max()) > limits.depth:
            count = position + int((depth + depths > limits.depth).argmax())
            at = next(islice(_STRUCTURE.finditer(plain), count, None)).start()
            raise ReadError(f"{where} is nested more than {limits.depth} deep at byte {at}")
        depth += int(depths[-1])
        position += len(depths)


def _structure(marks: bytes) -> Iterator[tuple[NDArray[np.int32], int]]:
    """Give, block by block, the depth relative to the block's start, and its count of values."""
    import numpy as np

    step = np.zeros(256, np.int8)
    step[list(b"[{")] = 1
    step[list(b"]}")] = -1
    value = np.zeros(256, np.bool_)
    value[list(b",[{")] = True
    codes = np.frombuffer(marks, np.uint8)
    inside = np.uint8(0)
    for start in range(0, len(codes), _BLOCK):
        block = codes[start : start + _BLOCK]
        quoted = np.bitwise_xor.accumulate((block == ord('"')).view(np.uint8)) ^ inside
        inside = quoted[-1]
        outside = quoted == 0
        depths = np.cumsum(step[block] * outside, dtype=np.int32)
        yield depths, int(np.count_nonzero(value[block] & outside))
