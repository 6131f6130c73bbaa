"""Writing: a tree to the bytes that the frameworks write for it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnbridge.storage.arrays import blocks
from snnbridge.wire._dtypes import stored_as
from snnbridge.wire._emit import emit
from snnbridge.wire._values import plain, text_keys

_CHUNK_BYTES = 2**30  # where the frameworks cut an array into chunks


def pack_into(
    tree: object,
    write: Callable[[bytes | memoryview], object],
    *,
    chunk_bytes: int = _CHUNK_BYTES,
    complex_as_scalar: bool = False,
) -> int:
    """Encode `tree` piece by piece, without holding a copy of its arrays.

    A large array that is contiguous, in C order and little-endian is handed over as it lies in
    memory; any other goes through a buffer of 4 MiB. Small values are joined into pieces of about
    256 KiB. A piece must be used before `write` returns: the buffer is filled again.

    The bytes are those of ``brainpy.checkpoints.save_pytree`` 2.7 and later, with one exception:
    a big-endian array is stored with its values, where the framework stores its bytes under the
    name of the little-endian type and so changes every value.

    Parameters
    ----------
    tree : dict, list, tuple or leaf
        Dicts (keys are stored as ``str(key)``), lists, tuples and named tuples (stored as dicts)
        of None, bool, int (-2**63 to 2**64-1), float, complex, str, bytes, bytearray,
        contiguous memoryview, numpy scalars and numpy arrays. Arrays and states of jax, BrainPy
        and brainstate, brainunit quantities, typed random keys and ``jax.tree_util.Partial``
        (without its function) are stored as the frameworks do.
    write : callable
        Takes one bytes-like piece and must consume all of it.
    chunk_bytes : int
        A larger array is stored in chunks of at most this size, at least one element each.
    complex_as_scalar : bool
        Store a Python complex as a numpy scalar, as BrainPy up to 2.6 did.

    Returns
    -------
    int
        The number of bytes written.

    Raises
    ------
    WriteError
        If a value has no form in this format; the message names its path. What was written
        until then is no valid file.
    ValueError
        If `chunk_bytes` is below 1.

    Examples
    --------
    >>> pieces = []
    >>> pack_into({"V": 3}, pieces.append)
    4
    >>> bytes(pieces[0]).hex()
    '81a15603'
    """
    return _emit_tree(tree, write, chunk_bytes, complex_as_scalar)


def pack(
    tree: object, *, chunk_bytes: int = _CHUNK_BYTES, complex_as_scalar: bool = False
) -> bytes:
    """Encode `tree` in memory.

    Parameters
    ----------
    tree : dict, list, tuple or leaf
        As for :func:`pack_into`; arrays of any shape, memory order and dtype that it stores.
    chunk_bytes : int
        A larger array is stored in chunks of at most this size.
    complex_as_scalar : bool
        Store a Python complex as a numpy scalar, as BrainPy up to 2.6 did.

    Returns
    -------
    bytes
        The whole file.

    Raises
    ------
    WriteError
        If a value has no form in this format; the message names its path.
    ValueError
        If `chunk_bytes` is below 1.

    Examples
    --------
    >>> pack({"V": 3}).hex()
    '81a15603'
    """
    out = io.BytesIO()
    pack_into(tree, out.write, chunk_bytes=chunk_bytes, complex_as_scalar=complex_as_scalar)
    return out.getvalue()


def packed_size(
    tree: object, *, chunk_bytes: int = _CHUNK_BYTES, complex_as_scalar: bool = False
) -> int:
    """Return how many bytes :func:`pack_into` would write, without touching array contents.

    Parameters
    ----------
    tree, chunk_bytes, complex_as_scalar
        As for :func:`pack`.

    Raises
    ------
    WriteError
        If a value has no form in this format; the message names its path.
    ValueError
        If `chunk_bytes` is below 1.

    Examples
    --------
    >>> packed_size({"V": 3})
    4
    """
    return _emit_tree(tree, None, chunk_bytes, complex_as_scalar)


def _emit_tree(
    tree: object,
    write: Callable[[bytes | memoryview], object] | None,
    chunk_bytes: int,
    complex_as_scalar: bool,
) -> int:
    if chunk_bytes < 1:
        raise ValueError(f"chunk_bytes must be at least 1, not {chunk_bytes!r}")
    helpers = (plain, text_keys, _describe, _raw_pieces)
    return emit(tree, write, chunk_bytes, complex_as_scalar, helpers)


def _describe(dtype: np.dtype[Any]) -> tuple[bytes, int, np.dtype[Any], bool]:
    """Return name, item size, stored dtype of arrays of `dtype`, and whether it is that dtype."""
    name, stored = stored_as(dtype)
    return name.encode(), dtype.itemsize, stored, stored == dtype


def _raw_pieces(array: NDArray[Any], _: np.dtype[Any], step: int) -> Iterator[memoryview]:
    """Yield the bytes of `array` in C order, cut at least at each multiple of `step`."""
    at = 0
    for block in blocks(array):
        start = 0
        while start < len(block):
            stop = min(len(block), start + step - at % step)
            yield block[start:stop]
            at += stop - start
            start = stop
