"""Writing a file: the elements first, at the disk's speed, then the structure.

=============  ============================================================================
byte 0         superblock (96 bytes), then words for whoever looks at the bytes
behind them    the elements of the datasets, each at a multiple of 64, large ones at a page
behind those   text, references to it, object headers; the last one is the root's
=============  ============================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

from snnbridge.storage.arrays import array_bytes, blocks
from snnbridge.storage.hdf5 import encode
from snnbridge.storage.hdf5.chunking import Shape, chunk_shape, compressed
from snnbridge.storage.hdf5.datatypes import message, text_message, variable_text_message
from snnbridge.storage.hdf5.tree import NewDataset, NewGroup, check_tree

if TYPE_CHECKING:
    from snnbridge.storage.staged import StagedFile

_ALIGNMENT = 64
_PAGE = 4096
_WORTH_A_PAGE = 256 << 10
_GATHER = 1 << 20
_WORTH_CHUNKS = 1024
_LEVEL = 4
_SUPERBLOCK = 96


class Watch(Protocol):
    """Sees the elements of every dataset while they are written."""

    def begin(self, offset: int) -> None:
        """Take note that a dataset starts at an offset of the file."""

    def add(self, piece: bytes | memoryview) -> None:
        """Take more of its bytes, which stay as they are until :meth:`wait` returns."""

    def wait(self) -> None:
        """Return when no piece is needed any more."""


class Written(NamedTuple):
    """What was written beside the elements.

    Parameters
    ----------
    head : bytes
        The first bytes of the file.
    structure : bytearray
        The last bytes of the file.
    start : int
        Where they start.
    """

    head: bytes
    structure: bytearray
    start: int


def write_file(
    file: StagedFile,
    root: NewGroup,
    *,
    gzip: bool = False,
    words: bytes = b"",
    watch: Watch | None = None,
) -> Written:
    """Write an HDF5 file from front to back.

    Parameters
    ----------
    file : StagedFile
        New and empty.
    root : NewGroup
    gzip : bool
        Whether arrays of 1 KiB and more are compressed.
    words : bytes
        What follows the superblock.
    watch : Watch, optional

    Returns
    -------
    Written

    Raises
    ------
    WriteError
        For a name or elements that HDF5 cannot have; if the disk is full.

    Examples
    --------
    >>> import numpy as np
    >>> from snnbridge.storage import Target
    >>> root = NewGroup({"weight": NewDataset(np.eye(2)), "type": NewDataset("Linear")})
    >>> with Target("net.h5") as target, target.open() as file:  # doctest: +SKIP
    ...     write_file(file, root)
    """
    datasets = check_tree(root)
    size = _SUPERBLOCK + len(words)
    size += -size % _ALIGNMENT
    file.write(bytes(size))
    writer = _Writer(file, watch, gzip=gzip)
    for dataset in datasets:
        if dataset.parts and dataset.nbytes:
            writer.add(dataset)
    file.align(_ALIGNMENT)
    start = file.tell()
    structure = encode.Structure(start)
    address = writer.describe(structure, root)
    file.write(structure.content)
    head = (encode.superblock(address, file.tell()) + words).ljust(size, b"\0")
    file.flush()
    with file.staged.open("r+b") as again:  # only now is it known where the root is
        again.write(head)
    return Written(head, structure.content, start)


class _Writer:
    """Writes the elements of one file, and remembers where they are.

    Parameters
    ----------
    file : StagedFile
    watch : Watch, optional
    gzip : bool
    """

    def __init__(self, file: StagedFile, watch: Watch | None, *, gzip: bool) -> None:
        self._file = file
        self._watch = watch
        self._gzip = gzip
        #: Where each dataset's elements are, an offset, or its chunks.
        self._places: dict[NewDataset, int | list[tuple[Shape, int, int]]] = {}

    def add(self, dataset: NewDataset) -> None:
        """Write the elements of a dataset."""
        self._file.align(_PAGE if dataset.nbytes >= _WORTH_A_PAGE else _ALIGNMENT)
        if self._watch is not None:
            self._watch.begin(self._file.tell())
        if self._gzip and dataset.shape and dataset.nbytes >= _WORTH_CHUNKS:
            self._places[dataset] = self._add_chunks(dataset)
            return
        self._places[dataset] = self._file.tell()
        for piece in _pieces(dataset, self._watch):
            self._put(piece)

    def _put(self, piece: bytes | memoryview) -> None:
        self._file.write(piece)
        if self._watch is not None:
            self._watch.add(piece)

    def _add_chunks(self, dataset: NewDataset) -> list[tuple[Shape, int, int]]:
        size = dataset.dtype.itemsize
        shape, chunk = dataset.shape, chunk_shape(dataset.shape, size)
        found = []
        for place, data in compressed(_pieces(dataset, None), shape, chunk, size, _LEVEL):
            found.append((place, self._file.tell(), len(data)))
            self._put(data)
        return found

    def describe(self, structure: encode.Structure, root: NewGroup) -> int:
        """Append the headers of a group and of everything in it; return the group's address."""
        links = {
            name: self.describe(structure, child)
            if isinstance(child, NewGroup)
            else self._describe(structure, child)
            for name, child in root.children.items()
        }
        return structure.group(links, root.attributes)

    def _describe(self, structure: encode.Structure, dataset: NewDataset) -> int:
        if isinstance(dataset.value, bytes):
            layout = [encode.contiguous(structure.raw(dataset.value), dataset.nbytes)]
            return structure.dataset((), text_message(dataset.nbytes), layout, dataset.attributes)
        if (texts := dataset.texts) is not None:
            at = structure.raw(structure.texts(texts))
            layout = [encode.contiguous(at if texts else None, 16 * len(texts))]
            datatype = variable_text_message()
        else:
            layout, datatype = self._layout(structure, dataset), message(dataset.dtype) or b""
        return structure.dataset(dataset.shape, datatype, layout, dataset.attributes)

    def _layout(self, structure: encode.Structure, dataset: NewDataset) -> list[encode.Message]:
        place = self._places.get(dataset)
        if not isinstance(place, list):
            return [encode.contiguous(place, dataset.nbytes)]
        size = dataset.dtype.itemsize
        chunk = chunk_shape(dataset.shape, size)
        tree = structure.chunk_tree(place, chunk)
        return [encode.chunked(tree, chunk, size), encode.filters(size, _LEVEL)]


def _pieces(dataset: NewDataset, watch: Watch | None) -> Iterator[bytes | memoryview]:
    """Give the bytes of a dataset's arrays in C order, little-endian, large ones as they are.

    Small ones are joined. A piece that is no array's own memory is used again for the next
    one, once it is not watched any more.
    """
    gathered: list[bytes] = []
    size = 0
    for array in dataset.parts:
        if array.nbytes < _GATHER:
            gathered.append(array_bytes(array))
            size += array.nbytes
            if size < _GATHER:
                continue
        if gathered:
            yield b"".join(gathered)
            gathered, size = [], 0
        if array.nbytes >= _GATHER:
            for block in blocks(array):
                yield block
                if watch is not None and len(block) < array.nbytes:
                    watch.wait()
    if gathered:
        yield b"".join(gathered)
