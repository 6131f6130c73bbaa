"""Where the chunks of a dataset are."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np

from snnbridge.errors import ReadError
from snnbridge.storage.hdf5 import btree1
from snnbridge.storage.hdf5.btree2 import records
from snnbridge.storage.hdf5.chunkarrays import extensible_array, fixed_array
from snnbridge.storage.hdf5.constants import UNDEFINED
from snnbridge.storage.hdf5.image import Image
from snnbridge.storage.hdf5.messages import Chunked, Space

_UNLIMITED = 0xFFFFFFFFFFFFFFFF
_UNFILTERED_RECORDS, _FILTERED_RECORDS = 10, 11

Place = tuple[int, ...]


class Chunk(NamedTuple):
    """One chunk.

    Parameters
    ----------
    place : tuple of int
        The index of its first element along every axis.
    address, size : int
        Its bytes in the file.
    mask : int
        The filters that were left out, as bits.
    """

    place: Place
    address: int
    size: int
    mask: int


class ChunkIndex:
    """Finds the chunks of one dataset, whatever index it has.

    Parameters
    ----------
    image : Image
    layout : Chunked
    space : Space
        Of the dataset.
    itemsize : int
        Bytes of an element.
    filtered : bool
        Whether the dataset has filters.

    Raises
    ------
    ReadError
        If the chunks do not fit the shape.
    """

    def __init__(
        self, image: Image, layout: Chunked, space: Space, itemsize: int, *, filtered: bool
    ) -> None:
        if len(layout.shape) != len(space.shape) or 0 in layout.shape:
            raise ReadError(f"its shape is {space.shape}, but that of its chunks {layout.shape}")
        self._image = image
        self._layout = layout
        self._space = space
        self._size = math.prod(layout.shape) * itemsize
        self._filtered = filtered

    def chunks(self) -> list[Chunk]:
        """List the chunks that were written, each once and within the dataset.

        Raises
        ------
        ReadError
            For an index that is damaged or of a kind that is not known.
        """
        if self._layout.address is None:
            return []
        most = self._image.limits.members
        found = list(islice(_INDEXES[self._layout.kind](self, self._layout.address), most + 1))
        if len(found) > most:
            raise ReadError(f"it has more than {most} chunks")
        for chunk in found:
            if not self._inside(chunk.place):
                raise ReadError(
                    f"it has the shape {self._space.shape} and a chunk at {chunk.place}"
                )
        if len({chunk.place for chunk in found}) != len(found):
            raise ReadError("two of its chunks have the same place")
        return found

    def _inside(self, place: Place) -> bool:
        return all(
            start < length and not start % step
            for start, length, step in zip(
                place, self._space.shape, self._layout.shape, strict=True
            )
        )

    def _by_btree1(self, address: int) -> Iterator[Chunk]:
        for chunk in btree1.chunks(self._image, address, len(self._space.shape)):
            yield Chunk(*chunk)

    def _single(self, address: int) -> Iterator[Chunk]:
        place = (0,) * len(self._space.shape)
        yield Chunk(place, address, *(self._layout.single or (self._size, 0)))

    def _implicit(self, address: int) -> Iterator[Chunk]:
        """Give chunks that lie one behind the other, without any index."""
        for number, place in enumerate(self._places(self._layout.shape, self._space.most)):
            if self._inside(place):
                yield Chunk(place, address + number * self._size, self._size, 0)

    def _by_fixed_array(self, address: int) -> Iterator[Chunk]:
        places = self._places(self._layout.shape, self._space.most)
        return self._listed(fixed_array(self._image, address), places)

    def _by_extensible_array(self, address: int) -> Iterator[Chunk]:
        """Give the chunks of a dataset that may grow along one axis, which counts as the first."""
        shape, most = self._space
        growing = [axis for axis, length in enumerate(most) if length == _UNLIMITED]
        if len(growing) != 1:
            raise ReadError(f"the index of its chunks does not fit its largest shape {most}")
        axis = growing[0]
        order = [axis, *(other for other in range(len(most)) if other != axis)]
        turned = self._places(
            tuple(self._layout.shape[other] for other in order),
            (shape[axis], *(most[other] for other in order[1:])),
        )
        back = [order.index(other) for other in range(len(order))]
        places = (tuple(place[i] for i in back) for place in turned)
        return self._listed(extensible_array(self._image, address), places)

    def _listed(self, entries: Iterator[bytes], places: Iterator[Place]) -> Iterator[Chunk]:
        """Give the chunks of an array of entries; some stand for chunks that are not there."""
        for entry, place in zip(entries, places, strict=False):
            address = int.from_bytes(entry[:8], "little")
            if entry and address != UNDEFINED and self._inside(place):
                yield Chunk(place, address, *self._size_and_mask(entry[8:]))

    def _by_btree2(self, address: int) -> Iterator[Chunk]:
        rank = len(self._space.shape)
        kind = _FILTERED_RECORDS if self._filtered else _UNFILTERED_RECORDS
        for record in records(self._image, address, kind):
            end = len(record) - 8 * rank
            grid = struct.unpack_from(f"<{rank}Q", record, end)
            place = tuple(n * step for n, step in zip(grid, self._layout.shape, strict=True))
            where = int.from_bytes(record[:8], "little")
            yield Chunk(place, where, *self._size_and_mask(record[8:end]))

    def _size_and_mask(self, raw: bytes) -> tuple[int, int]:
        if not self._filtered:
            return self._size, 0
        return int.from_bytes(raw[:-4], "little"), int.from_bytes(raw[-4:], "little")

    def _places(self, chunk: Place, most: Place) -> Iterator[Place]:
        """Give the places of all chunks that a dataset may ever have, in C order."""
        grid = tuple(-(-n // c) for n, c in zip(most, chunk, strict=True))
        if math.prod(grid) > len(self._image.data):
            raise ReadError(f"a file of {len(self._image.data)} bytes cannot have chunks {grid}")
        for at in np.ndindex(grid):
            yield tuple(i * c for i, c in zip(at, chunk, strict=True))


_INDEXES = {
    0: ChunkIndex._by_btree1,
    1: ChunkIndex._single,
    2: ChunkIndex._implicit,
    3: ChunkIndex._by_fixed_array,
    4: ChunkIndex._by_extensible_array,
    5: ChunkIndex._by_btree2,
}
