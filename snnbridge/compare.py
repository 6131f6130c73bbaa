"""Comparison of two checkpoints, bit for bit, by path."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, cast

import numpy as np

from snnbridge.model import (
    UNKNOWN,
    Array,
    Layer,
    Parameter,
    Path,
    SNNCheckpoint,
    describe,
    expect_checkpoint,
    same_scalar,
)

_COMPARED = (
    "layers", "connections", "dt", "training", "state", "step",
    "metadata", "frozen_layers", "ties", "extras",
)  # fmt: skip
_ABSENT = "absent"
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which two checkpoints differ; unpacks as (path, kind, left, right).

    Parameters
    ----------
    path : tuple of str
        Where: ``("layers", "fc1", "weight")``; for an array's value its last name is the index of
        the first element that differs.
    kind : str
        ``missing`` (only on the left), ``added`` (only on the right), ``unknown`` (stated on one
        side only), ``type``, ``dtype``, ``shape``, ``value`` or ``order``.
    left, right
        What stands there on each side.
    count : int
        How many elements of an array differ.
    """

    path: Path
    kind: str
    left: Any
    right: Any
    count: int = 1

    def __iter__(self) -> Iterator[Any]:
        return iter((self.path, self.kind, self.left, self.right))

    def __str__(self) -> str:
        many = f" ({self.count} elements differ)" if self.count > 1 else ""
        where = "/".join(self.path)
        return f"{where}: {self.kind}: {describe(self.left)} | {describe(self.right)}{many}"


def differences(left: SNNCheckpoint, right: SNNCheckpoint) -> list[Difference]:
    """List everything in which two checkpoints differ.

    Arrays are compared bit for bit: NaN payloads, the sign of zero, dtype and shape count, byte
    order and memory order do not. The order of layers and of keys counts. Provenance, and where a
    checkpoint was read from, do not.

    Parameters
    ----------
    left, right : SNNCheckpoint

    Returns
    -------
    list of Difference
        Empty if the checkpoints are equal.

    Raises
    ------
    CheckpointError
        If one of them is no checkpoint.

    Examples
    --------
    >>> import numpy as np
    >>> from snnbridge import Linear, SNNCheckpoint, differences
    >>> a = SNNCheckpoint([Linear("fc", np.array([[0.0, 1.0]]))])
    >>> b = SNNCheckpoint([Linear("fc", np.array([[-0.0, 1.0]]))])
    >>> print(differences(a, b)[0])
    layers/fc/weight/[0, 0]: value: 0.0 | -0.0
    """
    expect_checkpoint(left)
    expect_checkpoint(right)
    found: list[Difference] = []
    for name in _COMPARED:
        a, b = getattr(left, name), getattr(right, name)
        if name == "frozen_layers":
            a, b = (dict.fromkeys(sorted(x), True) for x in (a, b))  # by name, as in the ledger
        elif name == "ties":
            a, b = (sorted(sorted("/".join(p) for p in tie) for tie in x) for x in (a, b))
        _compare((name,), a, b, found)
    return found


def _compare(path: Path, a: Any, b: Any, found: list[Difference]) -> None:
    if a is b:
        return
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        _compare_mappings(path, a, b, found)
    elif isinstance(a, list | tuple) and isinstance(b, list | tuple):
        _compare_sequences(path, a, b, found)
    elif type(a) is not type(b):
        kind = "unknown" if a is UNKNOWN or b is UNKNOWN else "type"
        found.append(Difference(path, kind, a, b))
    elif isinstance(a, np.ndarray | np.generic):
        _compare_arrays(path, np.asarray(a), np.asarray(b), found)
    elif isinstance(a, Parameter):
        _compare(path, a.value, b.value, found)
        _compare((*path, "unit"), a.unit, b.unit, found)
        _compare((*path, "trainable"), a.trainable, b.trainable, found)
    elif is_dataclass(a) and not isinstance(a, enum.Enum):
        _compare_fields(path, a, b, found)
    elif not same_scalar(a, b):
        found.append(Difference(path, "value", a, b))


def _compare_mappings(
    path: Path, a: Mapping[Any, Any], b: Mapping[Any, Any], found: list[Difference]
) -> None:
    for key, value in a.items():
        if key in b:
            _compare(_below(path, key), value, b[key], found)
        else:
            found.append(Difference(_below(path, key), "missing", value, _ABSENT))
    found.extend(
        Difference(_below(path, key), "added", _ABSENT, b[key]) for key in b if key not in a
    )
    left, right = [k for k in a if k in b], [k for k in b if k in a]
    if left != right:
        first = next((x, y) for x, y in zip(left, right, strict=True) if x != y)
        found.append(Difference(path, "order", *first))


def _below(path: Path, key: str | Path) -> Path:
    return (*path, *key) if isinstance(key, tuple) else (*path, key)


def _compare_sequences(
    path: Path,
    a: list[Any] | tuple[Any, ...],
    b: list[Any] | tuple[Any, ...],
    found: list[Difference],
) -> None:
    for i in range(max(len(a), len(b))):
        here = (*path, str(i))
        if i >= len(a):
            found.append(Difference(here, "added", _ABSENT, b[i]))
        elif i >= len(b):
            found.append(Difference(here, "missing", a[i], _ABSENT))
        else:
            _compare(here, a[i], b[i], found)


def _compare_fields(path: Path, a: Any, b: Any, found: list[Difference]) -> None:
    for f in fields(a):
        if isinstance(a, Layer) and f.name == "name":
            continue
        inside = f.name == "parameters" and isinstance(a, Layer)
        here = path if inside else (*path, f.name)
        _compare(here, getattr(a, f.name), getattr(b, f.name), found)


def _compare_arrays(path: Path, a: Array, b: Array, found: list[Difference]) -> None:
    if a.dtype.newbyteorder("=") != b.dtype.newbyteorder("="):
        found.append(Difference(path, "dtype", str(a.dtype), str(b.dtype)))
    elif a.shape != b.shape:
        found.append(Difference(path, "shape", a.shape, b.shape))
    else:
        count, first = _differing(a, b)
        if count:
            where = (*path, str(list(first))) if first else path
            left, right = _element(a, first), _element(b, first)
            found.append(Difference(where, "value", left, right, count))


def _element(array: Array, index: tuple[int, ...]) -> Any:
    """Return one element; text whose code points are none, as its bytes."""
    try:
        return array[index]
    except (SystemError, ValueError):
        return array[(*index, None)].tobytes()


def _differing(a: Array, b: Array) -> tuple[int, tuple[int, ...]]:
    """Count the elements whose bits differ, and find the first, a bounded block at a time."""
    if a.size == 0:
        return 0, ()
    if a.ndim == 0:
        return int(_bits(a.reshape(1)).tobytes() != _bits(b.reshape(1)).tobytes()), ()
    count, first = 0, None
    rows = max(1, _BLOCK * a.shape[0] // a.size)
    for start in range(0, a.shape[0], rows):
        x, y = a[start : start + rows], b[start : start + rows]
        if x.ndim > 1 and x.size > 2 * _BLOCK:
            counted, at = _differing(x[0], y[0])
            unequal, inner = counted, (0, *at)
        else:
            mask = _unequal(x, y)
            unequal = int(np.count_nonzero(mask))
            inner = tuple(int(i) for i in np.argwhere(mask)[0]) if unequal else ()
        if unequal and first is None:
            first = (start + inner[0], *inner[1:])
        count += unequal
    return count, first or ()


def _unequal(a: Array, b: Array) -> Array:
    mask = cast("Array", _bits(a) != _bits(b))
    return mask if mask.ndim == a.ndim else cast("Array", mask.any(axis=-1))


def _bits(array: Array) -> Array:
    """View an array as unsigned integers, with one more axis where an element needs several."""
    size = array.dtype.itemsize
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype.kind in "fc" and size in (16, 32) and array.dtype.name.endswith(("128", "256")):
        return _significant(native)
    if size in (1, 2, 4, 8):
        return _viewed(native, np.dtype(f"u{size}"))
    return _viewed(native, np.dtype("u1"))


def _significant(array: Array) -> Array:
    """Return the bytes of extended floats that carry a value; the rest is padding."""
    if array.dtype.name == "complex128":
        return _viewed(array, np.dtype("u8"))
    used = (np.finfo(array.dtype).bits + 7) // 8
    used = 10 if np.finfo(array.dtype).nmant == 63 else used  # x86 extended precision
    parts = np.ascontiguousarray(array).view(np.longdouble)[..., None]
    return parts.view("u1")[..., :used].reshape(*array.shape, -1)


def _viewed(array: Array, dtype: np.dtype[Any]) -> Array:
    if array.dtype.itemsize == dtype.itemsize:
        return array.view(dtype)
    return np.ascontiguousarray(array)[..., None].view(dtype)
