"""Rockpool's JSON: every value is a text that is JSON itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from snnbridge import ReadError
from snnbridge.model import Array
from snnbridge.storage import Limits, dump_json, parse_json

#: By name, the modules' values and, where modules hold modules, theirs.
Modules = dict[str, Any]
#: A file holds at most so many modules, or one for so many of its bytes: each takes time.
_MODULES, _BYTES_A_MODULE = 10_000, 1024


def read_modules(data: memoryview) -> Modules:
    """Read a file; lists of numbers become arrays of float32, as Rockpool loads them.

    Raises
    ------
    ReadError
        If it is no such file.
    """
    tree = parse_json(data, where="the file", limits=_limits(len(data)), allow_nan=True)
    if not isinstance(tree, dict):
        raise ReadError("expected an object of modules at the top")
    most = max(_MODULES, len(data) // _BYTES_A_MODULE)
    if (found := _count(tree)) > most:
        raise ReadError(f"it holds {found} modules, more than the {most} for a file of its size")
    return {key: _value(value, key) for key, value in tree.items()}


def _count(tree: Mapping[str, Any]) -> int:
    """Return the number of modules, those inside others too."""
    inner = [value for value in tree.values() if isinstance(value, dict)]
    return len(inner) + sum(map(_count, inner))


def _limits(size: int) -> Limits:
    return Limits.for_text(size, bytes_a_value=2)


def _value(value: Any, where: str) -> Any:
    if isinstance(value, dict):
        return {key: _value(held, f"{where}.{key}") for key, held in value.items()}
    if isinstance(value, str):
        data = value.encode("utf-8", "surrogatepass")
        value = parse_json(data, where=repr(where), limits=_limits(len(data)), allow_nan=True)
    return _array(value, where) if isinstance(value, list) else value


def _array(value: list[Any], where: str) -> Array:
    try:
        found = np.asarray(value)
    except ValueError as error:
        raise ReadError(f"{where!r} is no array: its rows differ in length") from error
    if found.dtype.kind not in "fiub":
        raise ReadError(f"{where!r} is no array of numbers")
    return number(found)


def number(value: Any) -> Array:
    """Return numbers as Rockpool holds them."""
    with np.errstate(over="ignore"):
        return np.asarray(value).astype(np.float32)


def is_kept(array: Array) -> bool:
    """Whether an array comes back as it is: float32, no NaN with its bits, no empty axes."""
    return array.dtype == np.float32 and array.size > 0 and not bool(np.isnan(array).any())


def write_modules(modules: Mapping[str, Any]) -> bytes:
    """Return the file of modules."""
    return dump_json({key: _text(value) for key, value in modules.items()})


def _text(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _text(held) for key, held in value.items()}
    if value is None:
        return None
    return json.dumps(value.tolist() if isinstance(value, np.ndarray) else value)


def numbers_as_arrays(modules: Modules) -> Modules:
    """Return modules whose single numbers are arrays too."""
    return {
        key: numbers_as_arrays(held)
        if isinstance(held, dict)
        else number(held)
        if isinstance(held, float | int)
        else held
        for key, held in modules.items()
    }
