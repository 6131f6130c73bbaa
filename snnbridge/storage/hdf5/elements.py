"""The elements of a dataset as they are stored."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnbridge.errors import ReadError
from snnbridge.storage.arrays import shape_problem, view
from snnbridge.storage.hdf5.chunkindex import Chunk, ChunkIndex
from snnbridge.storage.hdf5.constants import FILTERS, LAYOUT
from snnbridge.storage.hdf5.datatypes import TEXT, Datatype
from snnbridge.storage.hdf5.filters import check_filters, undo
from snnbridge.storage.hdf5.headers import Header
from snnbridge.storage.hdf5.image import Image
from snnbridge.storage.hdf5.messages import (
    Chunked,
    Contiguous,
    Space,
    parse_fill,
    parse_filters,
    parse_layout,
)

_EDGE = 1 << 20


class Elements:
    """Finds and reads the elements of one dataset.

    Parameters
    ----------
    image : Image
    header : Header
        Of the dataset.
    space : Space
    datatype : Datatype

    Raises
    ------
    ReadError
        For a layout or a filter that is not known.
    """

    __slots__ = (
        "_chunks", "_dtype", "_filters", "_header", "_image", "_layout", "_space", "nbytes",
    )  # fmt: skip

    def __init__(self, image: Image, header: Header, space: Space, datatype: Datatype) -> None:
        self.nbytes = math.prod(space.shape) * datatype.size
        self._image = image
        self._space = space
        self._dtype = np.dtype("V16") if datatype.dtype == TEXT else datatype.dtype
        self._layout = parse_layout(header.single[LAYOUT])
        self._filters = _filters(header)
        self._header = header
        self._chunks: list[Chunk] | None = None

    def extents(self) -> list[tuple[int, int]]:
        """Find where the elements stand in the file: offset and bytes of each piece."""
        start = self._image.start
        if isinstance(self._layout, Chunked):
            return [(start + chunk.address, chunk.size) for chunk in self._found(self._layout)]
        if isinstance(self._layout, Contiguous) and self.nbytes:
            address = self._placed(self._layout)
            return [] if address is None else [(start + address, self.nbytes)]
        return []

    def read(self) -> NDArray[Any]:
        """Return the elements, read-only; text of variable length as its references."""
        if isinstance(self._layout, Chunked):
            return self._joined(self._layout)
        if isinstance(self._layout, bytes):
            return self._view(self._layout)
        if (address := self._placed(self._layout)) is None:
            return self._never_written()
        return self._view(self._image.claim(address, self.nbytes))

    def _view(self, data: bytes | memoryview) -> NDArray[Any]:
        return view(data, self._dtype, self._space.shape, where="it", limits=self._image.limits)

    def _placed(self, layout: Contiguous) -> int | None:
        """Return the address of elements that lie in one piece; None if they were never written."""
        if layout.address is not None and layout.size != self.nbytes:
            raise ReadError(
                f"it has {layout.size} bytes of storage; its shape {self._space.shape} needs "
                f"{self.nbytes}"
            )
        if layout.address is not None:
            self._image.check(layout.address, layout.size)
        return layout.address

    def _never_written(self) -> NDArray[Any]:
        """Return what stands for elements that have no place in the file."""
        self._expect_possible_shape()
        self._image.expand(0, self.nbytes)
        result = self._filled()
        result.flags.writeable = False
        return result

    def _filled(self) -> NDArray[Any]:
        fill = parse_fill(self._header, self._dtype.itemsize)
        if fill is None:
            return np.zeros(self._space.shape, self._dtype)
        return np.full(self._space.shape, np.frombuffer(fill, self._dtype)[0])

    def _found(self, layout: Chunked) -> list[Chunk]:
        """List the chunks, held against the bytes that are there."""
        if self._chunks is None:
            self._chunks = self._find(layout) if self.nbytes else []
        return self._chunks

    def _expect_possible_shape(self) -> None:
        limits = self._image.limits
        if problem := shape_problem(self._space.shape, limits.rank, limits.dimension):
            raise ReadError(f"it {problem}")

    def _find(self, layout: Chunked) -> list[Chunk]:
        shape, size = self._space.shape, self._dtype.itemsize
        self._expect_possible_shape()
        filtered = bool(self._filters)
        if layout.itemsize != size:
            raise ReadError(f"its chunks have elements of {layout.itemsize} bytes, not {size}")
        chunks = ChunkIndex(self._image, layout, self._space, size, filtered=filtered).chunks()
        grid = math.prod(-(-n // c) for n, c in zip(shape, layout.shape, strict=True))
        one = math.prod(layout.shape)
        if grid * one > 4 * math.prod(shape) + _EDGE:
            raise ReadError(f"its chunks {layout.shape} are far larger than its shape {shape}")
        for chunk in chunks:
            self._image.check(chunk.address, chunk.size)
        packed = sum(chunk.size for chunk in chunks)
        self._image.expand(packed, max(self.nbytes, len(chunks) * one * size))
        return chunks

    def _joined(self, layout: Chunked) -> NDArray[Any]:
        """Put the elements of all chunks together."""
        shape = self._space.shape
        chunks = self._found(layout)
        pieces = [self._image.claim(chunk.address, chunk.size) for chunk in chunks]
        result = self._filled()
        size = math.prod(layout.shape) * self._dtype.itemsize
        for chunk, piece in zip(chunks, pieces, strict=True):
            raw = undo(piece, self._filters, chunk.mask, size, self._dtype.itemsize)
            block = np.frombuffer(raw, self._dtype).reshape(layout.shape)
            box = tuple(
                slice(a, min(a + c, n))
                for a, c, n in zip(chunk.place, layout.shape, shape, strict=True)
            )
            result[box] = block[tuple(slice(0, s.stop - s.start) for s in box)]
        result.flags.writeable = False
        return result


def _filters(header: Header) -> tuple[int, ...]:
    if (message := header.single.get(FILTERS)) is None:
        return ()
    found = parse_filters(message)
    check_filters(found)
    return found
