"""What names, numbers, arrays and trees may be.

A reader bounds what a few hostile bytes could blow up into. The bounds here lie within those of
every reader, so that what can be written can be read again.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np

from snnbridge.errors import CheckpointError

#: Bytes, in UTF-8, of a key of a tree and of the name of a parameter, which becomes one.
KEY_BYTES = 4000
#: Levels of a tree.
TREE_DEPTH = 200
#: Graphs inside graphs.
SUBGRAPH_DEPTH = 64
#: Bits of a whole number in a tree.
INTEGER_BITS = 1024
_AXES = 64
_LENGTH = 1 << 62

_JSON_LEAVES = (str, bool, int, float, type(None))
_LEAVES = (*_JSON_LEAVES, bytes, complex, np.generic, np.ndarray)
_Path: TypeAlias = tuple[str, ...]


def name_problem(name: object) -> str:
    """Say why something is no name; nothing where it is one: UTF-8 text without NUL."""
    if not isinstance(name, str):
        return f"must be named by text, not by {name!r}"
    if "\0" in name or not _is_utf8(name):
        return f"{name[:80]!r} holds a NUL or a lone surrogate; rename it"
    return ""


def key_problem(key: object) -> str:
    """Say why something is no key of a tree; nothing where it is one: a name, but not long."""
    if problem := name_problem(key):
        return problem
    assert isinstance(key, str)
    if len(key) * 4 > KEY_BYTES and len(key.encode()) > KEY_BYTES:
        return f"{key[:40]!r}... is longer than {KEY_BYTES} bytes in UTF-8; shorten it"
    return ""


def check_name(name: object, what: str) -> None:
    """Refuse a name that is no UTF-8 text without NUL.

    Raises
    ------
    CheckpointError
        With `what` the name belongs to.
    """
    if problem := name_problem(name):
        raise CheckpointError(f"{what} {problem}")


def _is_utf8(text: str) -> bool:
    """Whether a text has no lone surrogate."""
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def whole(value: object) -> int | None:
    """Return a whole number as an int; ``None`` for anything else, truth values too."""
    if isinstance(value, bool | np.bool_):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]  # that is the question
    except TypeError:
        return None


def sizes(value: object) -> tuple[int, ...] | None:
    """Return whole numbers of at least 0 that can be a shape as a tuple; ``None`` otherwise."""
    if not isinstance(value, tuple | list | np.ndarray) or len(value) > _AXES:
        return None
    found = tuple(n for n in map(whole, value) if n is not None and 0 <= n < _LENGTH)
    return found if len(found) == len(value) else None


def array_problem(array: object) -> str:
    """Say why something is no array that a checkpoint can hold; nothing where it is one."""
    if not isinstance(array, np.ndarray):
        return f"must be a numpy array, not {type(array).__name__}"
    dtype = array.dtype
    if dtype.hasobject or dtype.names is not None:
        return f"holds objects or fields (dtype {dtype}); make it one of numbers or text"
    if dtype.isbuiltin != 1 and not _is_flexible(dtype):
        return f"has the dtype {dtype}, which is neither numpy's nor of ml_dtypes; convert it"
    return element_problem(array)


def _is_flexible(dtype: np.dtype[Any]) -> bool:
    """Whether a dtype is numpy's with a length or byte order of its own, or of ml_dtypes."""
    return (dtype.isbuiltin == 0 and dtype.kind != "T") or dtype.type.__module__ == "ml_dtypes"


def element_problem(array: np.ndarray[Any, np.dtype[Any]]) -> str:
    """Say which element is no value of its dtype; nothing for dtypes of which all bits are."""
    kind = array.dtype.kind
    if kind == "b" and array.size and array.view(np.uint8).max() > 1:
        return "has a truth value that is neither 0 nor 1; compare it with 0 first"
    if kind == "U" and array.size and array.dtype.itemsize:
        codes = np.ascontiguousarray(array).reshape(-1).view(f"{array.dtype.byteorder}u4")
        if codes.max() > sys.maxunicode:
            return "holds text that is none: a number beyond the code points of Unicode"
    return ""


def check_tree(tree: object, what: str, *, json_only: bool = False) -> None:
    """Refuse a tree with anything but JSON values, bytes, numpy scalars and arrays.

    Parameters
    ----------
    tree : mapping, sequence or leaf
    what : str
        What the tree is, for the message.
    json_only : bool
        Refuse all but JSON values.

    Raises
    ------
    CheckpointError
        Naming the path of the leaf.
    """
    leaves = _JSON_LEAVES if json_only else _LEAVES
    pending: list[Iterator[tuple[_Path, Any]]] = [iter([((), tree)])]
    while pending:
        found = next(pending[-1], None)
        if found is None:
            pending.pop()
            continue
        path, node = found
        if len(path) > TREE_DEPTH:
            shown = "/".join(path[:4])
            raise CheckpointError(
                f"{what} is nested deeper than {TREE_DEPTH} levels, at {shown}/...; flatten it"
            )
        if isinstance(node, Mapping | list | tuple):
            pending.append(_below(path, node, what))
        elif not isinstance(node, leaves):
            raise CheckpointError(
                f"{what} holds {type(node).__name__} at {_shown(path)}; "
                f"expected {'JSON values' if json_only else 'JSON values, bytes and arrays'}"
            )
        elif problem := _leaf_problem(node):
            raise CheckpointError(f"{what} at {_shown(path)} {problem}")


def _below(path: _Path, node: Any, what: str) -> Iterator[tuple[_Path, Any]]:
    """Yield what a node holds, one by one: a list may be long."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if problem := key_problem(key):
                raise CheckpointError(f"a key of {what} at {_shown(path)} {problem}")
            yield (*path, key), value
    else:
        for i, value in enumerate(node):
            yield (*path, str(i)), value


def _leaf_problem(node: object) -> str:
    if isinstance(node, np.ndarray | np.generic):
        return array_problem(np.asarray(node))
    if isinstance(node, int) and node.bit_length() > INTEGER_BITS:
        return f"is a whole number of {node.bit_length()} bits; expected at most {INTEGER_BITS}"
    return ""


def _shown(path: _Path) -> str:
    return "/".join(path) or "its top"
