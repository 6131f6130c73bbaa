"""Writing: the arrays first, at the disk's speed, then the structure that describes them.

=============  ===========================================================================
byte 0         superblock (96 bytes), then words for whoever looks at the bytes, up to 256
byte 256       the arrays, each at a multiple of 64, large ones at a page
behind them    documents, labels, object headers: the structure; its last one is the root
behind those   the seal
=============  ===========================================================================
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from snnbridge import Options
from snnbridge.errors import OptionError
from snnbridge.model import Array, Shape, SNNCheckpoint
from snnbridge.storage import StagedFile, Target, array_bytes, blocks
from snnbridge_plugins.hdf5 import encode, seal
from snnbridge_plugins.hdf5.checksum import Checksum
from snnbridge_plugins.hdf5.chunks import chunk_shape, compressed
from snnbridge_plugins.hdf5.datatypes import datatype, text
from snnbridge_plugins.hdf5.elements import elements
from snnbridge_plugins.hdf5.schema import LAYOUT, TYPE
from snnbridge_plugins.hdf5.tree import Dataset, Group

_WORDS = f"{TYPE}, layout {LAYOUT}: an HDF5 file; its root group says what is in it\n".encode()
_ALIGNMENT = 64
_PAGE = 4096
_WORTH_A_PAGE = 256 << 10
_GATHER = 1 << 20
_WORTH_CHUNKS = 1024
_LEVEL = 4
_AHEAD = 8
_WORTH_A_THREAD = 64 << 10


def write(checkpoint: SNNCheckpoint, target: Target, options: Options) -> None:
    """Write a checkpoint as one HDF5 file.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    target : Target
    options : mapping
        ``compression``: ``"gzip"`` or ``"none"``.

    Raises
    ------
    WriteError
        For an array of objects or records; if the disk is full.
    OptionError
        For an option that is for reading.
    """
    for name in ("layers", "check"):
        if name in options:
            raise OptionError(f"option {name!r} of format 'hdf5' is for reading")
    root = elements(checkpoint)
    with target.open() as file, ThreadPoolExecutor(1, "snnbridge-checksum") as beside:
        _Writer(file, beside, gzip=options.get("compression") == "gzip").run(root)


class _Sum:
    """A checksum that another thread computes while the bytes are written.

    Parameters
    ----------
    beside : ThreadPoolExecutor
        Of one thread.
    """

    def __init__(self, beside: ThreadPoolExecutor) -> None:
        self._beside = beside
        self._checksum = Checksum()
        self._pending: deque[Future[None]] = deque()

    def add(self, piece: bytes | memoryview) -> None:
        """Have more bytes summed; they must stay as they are until :meth:`wait`."""
        if len(piece) < _WORTH_A_THREAD and not self._pending:
            self._checksum.add(piece)
            return
        self._pending.append(self._beside.submit(self._checksum.add, piece))
        if len(self._pending) > _AHEAD:
            self._pending.popleft().result()

    def wait(self) -> None:
        """Wait until everything so far is summed."""
        while self._pending:
            self._pending.popleft().result()

    def value(self) -> int:
        """Return the checksum of everything; nothing can be added then."""
        self.wait()
        return self._checksum.value()


class _Writer:
    """Writes one tree into one file.

    Parameters
    ----------
    file : StagedFile
    beside : ThreadPoolExecutor
        Of one thread, for the checksums.
    gzip : bool
        Whether arrays are compressed.
    """

    def __init__(self, file: StagedFile, beside: ThreadPoolExecutor, *, gzip: bool) -> None:
        self._file = file
        self._beside = beside
        self._gzip = gzip
        self._sums: list[tuple[int, int, _Sum]] = []
        #: Where each dataset's elements are, an offset, or its chunks.
        self._places: dict[Dataset, int | list[tuple[Shape, int, int]]] = {}

    def run(self, root: Group) -> None:
        """Write everything."""
        file = self._file
        file.write(bytes(seal.HEAD_SIZE))
        for dataset in _datasets(root):
            self._write_array(dataset)
        file.align(_ALIGNMENT)
        start = file.tell()
        structure = encode.Structure(start)
        address = self._add_group(structure, root)
        file.write(structure.content)
        head = encode.superblock(address, file.tell()) + _WORDS
        head += bytes(seal.HEAD_SIZE - len(head))
        sums = [(offset, size, total.value()) for offset, size, total in self._sums]
        file.write(seal.make(head, structure.content, start, sums))
        file.flush()
        with file.staged.open("r+b") as again:  # only now is it known where the root is
            again.write(head)

    def _write_array(self, dataset: Dataset) -> None:
        self._file.align(_PAGE if dataset.nbytes >= _WORTH_A_PAGE else _ALIGNMENT)
        offset, total = self._file.tell(), _Sum(self._beside)
        if self._is_chunked(dataset):
            self._places[dataset] = self._write_chunks(dataset, total)
        else:
            self._places[dataset] = offset
            for piece in _pieces(dataset.parts, total):
                self._file.write(piece)
                total.add(piece)
        self._sums.append((offset, self._file.tell() - offset, total))

    def _is_chunked(self, dataset: Dataset) -> bool:
        return self._gzip and bool(dataset.shape) and dataset.nbytes >= _WORTH_CHUNKS

    def _write_chunks(self, dataset: Dataset, total: _Sum) -> list[tuple[Shape, int, int]]:
        size = dataset.dtype.itemsize
        shape, chunk = dataset.shape, chunk_shape(dataset.shape, size)
        found = []
        pieces = _pieces(dataset.parts, None)
        for place, data in compressed(pieces, shape, chunk, size, _LEVEL):
            found.append((place, self._file.tell(), len(data)))
            self._file.write(data)
            total.add(data)
        return found

    def _add_group(self, structure: encode.Structure, group: Group) -> int:
        links = {
            name: self._add_group(structure, child)
            if isinstance(child, Group)
            else self._add_dataset(structure, child)
            for name, child in group.children.items()
        }
        return structure.group(links, group.labels)

    def _add_dataset(self, structure: encode.Structure, dataset: Dataset) -> int:
        if dataset.text is not None:
            layout = [encode.contiguous(structure.raw(dataset.text), dataset.nbytes)]
            return structure.dataset((), text(dataset.nbytes), layout, dataset.labels)
        place = self._places.get(dataset)
        if isinstance(place, list):
            size = dataset.dtype.itemsize
            chunk = chunk_shape(dataset.shape, size)
            tree = structure.chunk_tree(place, chunk)
            layout = [encode.chunked(tree, chunk, size), encode.filters(size, _LEVEL)]
        else:
            layout = [encode.contiguous(place, dataset.nbytes)]
        return structure.dataset(dataset.shape, datatype(dataset.dtype), layout, dataset.labels)


def _datasets(group: Group) -> Iterator[Dataset]:
    """Give the datasets of arrays with elements, in the order of the tree."""
    for child in group.children.values():
        if isinstance(child, Group):
            yield from _datasets(child)
        elif child.text is None and child.nbytes:
            yield child


def _pieces(parts: list[Array], total: _Sum | None) -> Iterator[bytes | memoryview]:
    """Give the bytes of arrays in C order, little-endian, large ones as they are.

    Small ones are joined. A piece that is no array's own memory is used again for the next
    one, once `total` has summed it.
    """
    gathered: list[bytes] = []
    size = 0
    for array in parts:
        if array.nbytes < _GATHER:
            gathered.append(array_bytes(array))
            size += array.nbytes
            if size < _GATHER:
                continue
        if gathered:
            yield b"".join(gathered)
            gathered, size = [], 0
        if array.nbytes >= _GATHER:
            yield from _blocks(array, total)
    if gathered:
        yield b"".join(gathered)


def _blocks(array: Array, total: _Sum | None) -> Iterator[memoryview]:
    for block in blocks(array):
        yield block
        if total is not None and len(block) < array.nbytes:
            total.wait()
