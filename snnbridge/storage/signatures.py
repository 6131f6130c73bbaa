"""Telling files of zip and HDF5 by how they begin."""

from __future__ import annotations

from snnbridge.storage.zipformat import END_SIGNATURE, LOCAL, LOCAL_SIGNATURE

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
#: Where it may stand, behind what the user put before it.
_HDF5_STARTS = (0, 512, 1024, 2048)
_LENGTH_OF_NAME = slice(26, 28)


def is_zip(head: bytes | memoryview) -> bool:
    """Whether a file is a zip archive that holds something.

    Parameters
    ----------
    head : bytes
        The first bytes of a file, or all of them.
    """
    return bytes(head[:4]) == LOCAL_SIGNATURE


def is_empty_zip(head: bytes | memoryview) -> bool:
    """Whether a file is a zip archive without members."""
    return bytes(head[:4]) == END_SIGNATURE


def first_member(head: bytes) -> bytes:
    r"""Return the name of an archive's first member, as far as the head has it; empty without one.

    Examples
    --------
    >>> import io, zipfile
    >>> file = io.BytesIO()
    >>> with zipfile.ZipFile(file, "w") as archive:
    ...     archive.writestr("a.npy", b"")
    >>> first_member(file.getvalue()), first_member(b"{}")
    (b'a.npy', b'')
    """
    if not is_zip(head) or len(head) < LOCAL.size:
        return b""
    length = int.from_bytes(head[_LENGTH_OF_NAME], "little")
    return head[LOCAL.size : LOCAL.size + length]


def is_hdf5(head: bytes | memoryview) -> bool:
    """Whether a file is HDF5, as far as its first bytes show it."""
    size = len(HDF5_SIGNATURE)
    return any(bytes(head[start : start + size]) == HDF5_SIGNATURE for start in _HDF5_STARTS)
