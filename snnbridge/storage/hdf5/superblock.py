"""Where a file starts, where it ends and where its root group is."""

from __future__ import annotations

import struct

from snnbridge.errors import IntegrityError, ReadError
from snnbridge.storage.hdf5.checksum import lookup3
from snnbridge.storage.hdf5.constants import UNDEFINED
from snnbridge.storage.hdf5.image import About, Image
from snnbridge.storage.limits import Limits
from snnbridge.storage.signatures import HDF5_SIGNATURE

#: Base, free space, end, driver, and of the root's entry the address of its object header.
_OLD_PLACES = struct.Struct("<4Q8xQ")
#: Base, extension, end, root.
_NEW_PLACES = struct.Struct("<4Q")
_NEW_SIZE = 48


def open_image(data: memoryview, limits: Limits) -> tuple[Image, int]:
    """Find the superblock of a file.

    Parameters
    ----------
    data : memoryview
        The whole file.
    limits : Limits

    Returns
    -------
    image : Image
        The file from its superblock to the end that this states.
    root : int
        Address of the root group's object header.

    Raises
    ------
    ReadError
        If it is no HDF5 file, cut off, or one of several files.
    """
    start = _find(data)
    head = bytes(data[start : start + 100])
    version = head[8] if len(head) > 8 else -1
    if version in (0, 1):
        base, end, root = _old(head)
    elif version in (2, 3):
        base, end, root = _new(head[:_NEW_SIZE])
    else:
        raise ReadError(f"its superblock has version {version}; expected 0 to 3")
    if base not in (0, start):
        raise ReadError(f"its superblock stands at byte {start}, but says {base}")
    size = end - base
    if not 0 <= size <= len(data) - start:
        raise ReadError(
            f"the file has {len(data) - start} bytes, but its superblock says {size}; "
            "it was cut off"
        )
    return Image(data[start : start + size], start, limits), root


def end_of(data: memoryview) -> int:
    """Return where the superblock says that the file ends: what stands behind is no HDF5.

    Parameters
    ----------
    data : memoryview
        The whole file.

    Raises
    ------
    ReadError
        If it is no HDF5 file, cut off, or one of several files.
    """
    with About("/"):
        image, _ = open_image(data, Limits())
    return image.start + len(image.data)


def _find(data: memoryview) -> int:
    """Look at the places where the specification allows a superblock: 0, 512, 1024, 2048, ..."""
    start = 0
    while start + len(HDF5_SIGNATURE) <= len(data):
        if bytes(data[start : start + len(HDF5_SIGNATURE)]) == HDF5_SIGNATURE:
            return start
        start = max(512, 2 * start)
    raise ReadError("it is no HDF5 file: the signature is missing")


def _old(head: bytes) -> tuple[int, int, int]:
    _expect_sizes(head[13:15])
    base, _, end, driver, root = _OLD_PLACES.unpack_from(head, 24 + 4 * head[8])
    if driver != UNDEFINED:
        raise ReadError("it is one of several files that belong together; join them by h5repack")
    return base, end, root


def _new(head: bytes) -> tuple[int, int, int]:
    _expect_sizes(head[9:11])
    if lookup3(head[:-4]) != int.from_bytes(head[-4:], "little"):
        raise IntegrityError("the checksum of its superblock differs; it was damaged")
    base, _, end, root = _NEW_PLACES.unpack_from(head, 12)
    return base, end, root


def _expect_sizes(sizes: bytes) -> None:
    if sizes != b"\x08\x08":
        raise ReadError(f"its addresses and lengths have {list(sizes)} bytes; expected 8 each")
