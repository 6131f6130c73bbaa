"""What a file's structure says, in plain values: the result of looking at it without its data.

Both readers of structures, :mod:`.native` and :mod:`.library`, give one of these. It holds
nothing but text and numbers, so the looking can be done by another process.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from snnbridge.errors import ReadError
from snnbridge.storage import Limits


class Chunks(NamedTuple):
    """How a dataset is cut into chunks.

    Parameters
    ----------
    shape : tuple of int
        Of a chunk.
    filters : tuple of int
        Identifiers, in the order in which they were applied.
    stored : list of (offsets, address, size, mask)
        For each chunk the index of its first element along every axis, where its bytes stand,
        how many there are, and which filters were left out, as bits.
    """

    shape: tuple[int, ...]
    filters: tuple[int, ...]
    stored: list[tuple[tuple[int, ...], int, int, int]]


class Stored(NamedTuple):
    """One dataset: its elements, and where they stand.

    Parameters
    ----------
    dtype : str
        As ``numpy.dtype.str``.
    shape : tuple of int
    offset : int
        Of its bytes in the file, where they lie in one piece.
    chunks : Chunks, optional
        Where they do not.
    data : bytes, optional
        The bytes themselves, where they lie among the structure.
    """

    dtype: str
    shape: tuple[int, ...]
    offset: int = 0
    chunks: Chunks | None = None
    data: bytes | None = None

    @property
    def nbytes(self) -> int:
        """The bytes of its elements."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


#: The datasets of a file by their absolute paths.
Description = dict[str, Stored]


def check(description: Description, size: int, limits: Limits) -> None:
    """Hold what a structure claims against the bytes that are there.

    Parameters
    ----------
    description : dict of str to Stored
    size : int
        Of the file, in bytes.
    limits : Limits
        ``expansion_ratio``, ``expansion_floor``.

    Raises
    ------
    ReadError
        For a dataset that reaches beyond the file, datasets that share bytes, or a compressed
        file that would expand to far more than it holds.
    """
    expanded = packed = 0
    pieces: list[tuple[int, int, str]] = []
    for path, stored in description.items():
        if stored.chunks is None:
            if stored.data is None and stored.nbytes:
                pieces.append((stored.offset, stored.nbytes, path))
            continue
        _check_chunks(path, stored)
        expanded += stored.nbytes
        for _, address, length, _ in stored.chunks.stored:
            pieces.append((address, length, path))
            packed += length
    if expanded > limits.expanded(packed):
        raise ReadError(
            f"its compressed datasets hold {packed} bytes and would expand to {expanded}, more "
            f"than the {limits.expanded(packed)} allowed"
        )
    _check_pieces(pieces, size)


def _check_pieces(pieces: list[tuple[int, int, str]], size: int) -> None:
    behind, before = 0, ""
    for offset, length, path in sorted(pieces):
        if offset + length > size:
            raise ReadError(
                f"dataset {path!r} needs {length} bytes at byte {offset}, but the file has only "
                f"{size}; it was cut off or damaged"
            )
        if offset < behind:
            raise ReadError(f"datasets {before!r} and {path!r} share bytes; expected each its own")
        behind, before = offset + length, path


def _check_chunks(path: str, stored: Stored) -> None:
    chunks = stored.chunks
    assert chunks is not None
    if len(chunks.shape) != len(stored.shape) or 0 in chunks.shape:
        raise ReadError(f"dataset {path!r} of shape {stored.shape} has chunks {chunks.shape}")
    expected = math.prod(-(-n // c) for n, c in zip(stored.shape, chunks.shape, strict=True))
    places = {at for at, *_ in chunks.stored}
    if len(chunks.stored) != expected or len(places) != expected:
        raise ReadError(
            f"dataset {path!r} has {len(places)} of its {expected} chunks; the rest was never "
            "written"
        )
    for at in places:
        inside = all(
            0 <= a < n and a % c == 0
            for a, n, c in zip(at, stored.shape, chunks.shape, strict=True)
        )
        if not inside:
            raise ReadError(f"dataset {path!r} of shape {stored.shape} has a chunk at {at}")
    padded = math.prod(chunks.shape) * expected
    if padded > 4 * math.prod(stored.shape) + (1 << 20):
        raise ReadError(f"dataset {path!r} of shape {stored.shape} has chunks {chunks.shape}")
