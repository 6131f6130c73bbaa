"""Groups and datasets of a file, each opened when it is first asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnbridge.errors import ReadError
from snnbridge.storage.hdf5.attributes import Attributes
from snnbridge.storage.hdf5.constants import DATASPACE, DATATYPE, EXTERNAL, LAYOUT
from snnbridge.storage.hdf5.datatypes import TEXT, parse_datatype
from snnbridge.storage.hdf5.elements import Elements
from snnbridge.storage.hdf5.headers import Header, read_header
from snnbridge.storage.hdf5.heaps import GlobalHeap
from snnbridge.storage.hdf5.image import About, Image
from snnbridge.storage.hdf5.links import read_links
from snnbridge.storage.hdf5.messages import parse_space
from snnbridge.storage.hdf5.superblock import open_image
from snnbridge.storage.limits import Limits

_DEFAULT = Limits()


def open_file(data: memoryview, *, limits: Limits = _DEFAULT) -> Group:
    """Open an HDF5 file that is mapped, or in memory.

    Parameters
    ----------
    data : memoryview
        The whole file.
    limits : Limits
        ``depth``, ``rank``, ``dimension``, ``members`` (chunks of one dataset) and the two of
        expansion apply.

    Returns
    -------
    Group
        The root.

    Raises
    ------
    ReadError
        For a file that is damaged, cut off, or no HDF5.
    IntegrityError
        For a structure that differs from its checksum.
    """
    with About("/"):
        image, root = open_image(data, limits)
    found = File(image).open(root, "/")
    if not isinstance(found, Group):
        raise ReadError("its root is no group")
    return found


class File:
    """What the elements of one file share.

    Parameters
    ----------
    image : Image
    """

    def __init__(self, image: Image) -> None:
        self.image = image
        self.heap = GlobalHeap(image)
        self._paths: dict[int, str] = {}

    def open(self, address: int, path: str) -> Group | Dataset:
        """Open the element whose header stands at an address; it must have one name only."""
        with About(path):
            if self._paths.setdefault(address, path) != path:
                raise ReadError(f"{self._paths[address]!r} is another name of it; expected one")
            self.image.spend(len(path))
            if path.count("/") > self.image.limits.depth:
                raise ReadError(f"it lies more than {self.image.limits.depth} groups deep")
            header = read_header(self.image, address)
            if LAYOUT in header.single:
                return Dataset(self, path, address, header)
            if DATATYPE in header.single:
                raise ReadError("it is a named datatype; expected a group or a dataset")
            return Group(self, path, address, header)


class _Element:
    """What groups and datasets have in common.

    Parameters
    ----------
    file : File
    path : str
    address : int
        Of the object header.
    """

    __slots__ = ("_address", "_attributes", "_file", "path")

    def __init__(self, file: File, path: str, address: int) -> None:
        self.path = path
        self._file = file
        self._address = address
        self._attributes: Attributes | None = None

    @property
    def attributes(self) -> Attributes:
        """The attributes, by name."""
        if self._attributes is None:
            file = self._file
            self._attributes = Attributes(file.image, file.heap, self.path, self._address)
        return self._attributes


class Group(_Element, Mapping[str, "Group | Dataset"]):
    """A group: its members by name, in the order of creation where the file keeps it.

    Attributes
    ----------
    path : str
        Absolute; ``"/"`` for the root.
    """

    __slots__ = ("_links", "_opened")

    def __init__(self, file: File, path: str, address: int, header: Header) -> None:
        super().__init__(file, path, address)
        self._links = read_links(file.image, header)
        self._opened: dict[str, Group | Dataset] = {}

    def __repr__(self) -> str:
        return f"Group({self.path!r})"

    def __getitem__(self, name: str) -> Group | Dataset:
        found = self._opened.get(name)
        if found is None:
            address = self._links[name]
            found = self._file.open(address, f"{self.path.rstrip('/')}/{name}")
            self._opened[name] = found
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._links

    def __iter__(self) -> Iterator[str]:
        return iter(self._links)

    def __len__(self) -> int:
        return len(self._links)


class Dataset(_Element):
    """A dataset: elements of one dtype.

    Attributes
    ----------
    path : str
        Absolute.
    dtype : numpy.dtype
        Of the elements, in the byte order of the file; ``object`` for text of variable length.
    shape : tuple of int
    nbytes : int
        Of the elements as they are stored, before any compression.
    """

    __slots__ = ("_array", "_datatype", "_elements", "dtype", "nbytes", "shape")

    def __init__(self, file: File, path: str, address: int, header: Header) -> None:
        super().__init__(file, path, address)
        if EXTERNAL in header.single:
            raise ReadError("its elements are in another file, which is not read")
        if not {DATASPACE, DATATYPE} <= header.single.keys():
            raise ReadError("its header does not say its shape and datatype")
        space = parse_space(header.single[DATASPACE])
        if space is None:
            raise ReadError("it has a datatype but no elements and no shape")
        self._datatype = parse_datatype(header.single[DATATYPE])
        self._elements = Elements(file.image, header, space, self._datatype)
        self._array: NDArray[Any] | None = None
        self.dtype = self._datatype.dtype
        self.shape = space.shape
        self.nbytes = self._elements.nbytes

    def __repr__(self) -> str:
        return f"Dataset({self.path!r}, {self.dtype}, {self.shape})"

    def extents(self) -> list[tuple[int, int]]:
        """Find where the elements stand: offset and bytes of each piece of the file.

        Raises
        ------
        ReadError
            If they reach beyond the file, or would expand to far more than what is stored.
        """
        with About(self.path):
            return self._elements.extents()

    def read(self) -> NDArray[Any]:
        """Return the elements, read-only: a view of the file where they lie in one piece.

        Text of variable length is an array of ``str``.

        Raises
        ------
        ReadError
            If they are not there, or damaged.
        IntegrityError
            If a chunk differs from its checksum.
        """
        if self._array is None:
            with About(self.path):
                self._array = self._read()
        return self._array

    def _read(self) -> NDArray[Any]:
        stored = self._elements.read()
        if self.dtype != TEXT:
            return stored
        texts = np.empty(self.shape, TEXT)
        texts.reshape(-1)[:] = list(self._file.heap.texts(stored.tobytes()))
        texts.flags.writeable = False
        return texts

    def text(self) -> str:
        """Return the one text that it holds, of fixed or variable length.

        Raises
        ------
        ReadError
            If it holds anything else, or text that is no UTF-8.
        """
        if self.shape or self.dtype.kind not in "OS":
            raise ReadError(
                f"{self.path!r} must be one text, found {self.dtype} of shape {self.shape}"
            )
        value: str | bytes = self.read().item()
        with About(self.path):
            return value if isinstance(value, str) else self._datatype.decoded(value)
