"""Reading a zip archive from mapped bytes, with every claim held against them.

What readers of zip files disagree about is refused: names twice, members that overlap, headers
that contradict the directory, an archive behind other bytes or before them. The directory is
checked when the archive is opened, a member's own header when the member is asked for.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from typing import TYPE_CHECKING, Any

from snnbridge.errors import IntegrityError, ReadError
from snnbridge.storage.expand import STORED, expand
from snnbridge.storage.limits import TRUST, Limits
from snnbridge.storage.npy import npy_array
from snnbridge.storage.zipdirectory import Member, read_directory
from snnbridge.storage.zipformat import (
    DESCRIPTOR,
    DESCRIPTOR_SIGNATURE,
    ENCRYPTED,
    LIMIT32,
    LOCAL,
    LOCAL_SIGNATURE,
    UTF8,
    ZIP64_ID,
    extra_fields,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DEFAULT = Limits()
_SAME_FLAGS = ENCRYPTED | DESCRIPTOR | UTF8


class ZipReader:
    """A zip archive in memory or in a mapped file.

    Parameters
    ----------
    data
        The whole file, ``Source.data`` for example.
    where
        What to call it in messages.
    limits
        ``members``, ``name_bytes`` and the ratio of expansion apply.

    Attributes
    ----------
    names : list of str
        The members, in the order of the directory.
    comment : bytes
        The archive's comment.

    Raises
    ------
    ReadError
        No zip archive, a damaged or an ambiguous one.

    Examples
    --------
    >>> with Source("trained.npz") as source:  # doctest: +SKIP
    ...     weight = ZipReader(source.data, limits=source.limits).array("layer_0.npy")
    """

    def __init__(
        self, data: memoryview | bytes, *, where: str = "the archive", limits: Limits = _DEFAULT
    ) -> None:
        self._data = memoryview(data)
        self._where = where
        self._limits = limits
        self._members, self._start, self.comment = read_directory(self._data, where, limits)
        self.names = list(self._members)

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self._members

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the directory: of every name, size and CRC-32; hexadecimal.

        Equal to ``StoredZip.fingerprint`` of the archive as it was written. It says what the
        members should be; ``data(name, verify=True)`` says whether they are.
        """
        return hashlib.sha256(self._data[self._start :]).hexdigest()

    def member(self, name: str) -> Member:
        """Give what the directory says about a member.

        Raises
        ------
        ReadError
            There is no such member.
        """
        try:
            return self._members[name]
        except KeyError:
            raise ReadError(f"{self._where} has no member {name!r}") from None

    def data(self, name: str, *, verify: bool = False) -> memoryview:
        """Give a member's bytes: the file's own where it is stored, else decompressed.

        Parameters
        ----------
        name
            The member.
        verify
            Whether to check the CRC-32 of a stored member, which reads all of it. That of a
            compressed one is always checked.

        Raises
        ------
        ReadError
            There is no such member; its header contradicts the directory; it would expand
            beyond the limit.
        IntegrityError
            The CRC-32 differs.
        """
        member = self.member(name)
        start = self._locate(member)
        packed = self._data[start : start + member.packed]
        if member.method == STORED:
            if verify and (found := zlib.crc32(packed)) != member.crc:
                raise IntegrityError(
                    f"{name!r} in {self._where} has CRC-32 {found:08x}, expected "
                    f"{member.crc:08x}: it was changed"
                )
            return packed
        where = f"{name!r} in {self._where}"
        if member.size > self._limits.expanded(member.packed):
            raise ReadError(
                f"{where} states that its {member.packed} bytes expand to {member.size}, more "
                f"than the {self._limits.expanded(member.packed)} that are allowed; {TRUST}"
            )
        return expand(packed, member.method, member.size, member.crc, where)

    def array(self, name: str, *, verify: bool = False) -> NDArray[Any]:
        """Give an ``.npy`` member as a read-only array; a view of the file where it is stored.

        Raises
        ------
        ReadError
            As :meth:`data`, or the member is no ``.npy``.
        """
        data = self.data(name, verify=verify)
        return npy_array(data, where=f"{name!r} in {self._where}", limits=self._limits)

    def _locate(self, member: Member) -> int:
        """Check a member's own header against the directory; give where its data starts."""
        _, raw, flags, method, crc, packed, size, offset, bound = member
        length = LOCAL.size + len(raw)
        head = bytes(self._data[offset : offset + length])
        found = LOCAL.unpack_from(head)
        start: int = offset + length + found[10]
        if (
            head[LOCAL.size :] != raw
            or found[9] != len(raw)
            or found[3] != method
            or found[0] != LOCAL_SIGNATURE
            or (found[2] ^ flags) & _SAME_FLAGS
            or start + packed > bound
        ):
            raise self._contradiction(member)
        if found[6:9] != (crc, packed, size):
            self._check_sizes(member, found[6:9], bytes(self._data[offset + length : start]))
        if flags & DESCRIPTOR:
            self._check_descriptor(member, start + packed)
        return start

    def _check_sizes(self, member: Member, found: tuple[int, int, int], extra: bytes) -> None:
        """Check a header that holds zip64 sizes, or none because a descriptor follows."""
        crc, packed, size = found
        fields = extra_fields(extra)
        if fields is None:
            raise self._contradiction(member)
        large = fields.get(ZIP64_ID, b"")
        if len(large) >= 16 and packed == size == LIMIT32:
            size, packed = struct.unpack_from("<QQ", large)
        right = (member.crc, member.packed, member.size)
        for stated, expected in zip((crc, packed, size), right, strict=True):
            if stated != expected and not (member.flags & DESCRIPTOR and stated == 0):
                raise self._contradiction(member)

    def _check_descriptor(self, member: Member, stop: int) -> None:
        """Check the CRC-32 and the sizes behind the data, in any of their four forms."""
        _, _, _, _, crc, packed, size, _, bound = member
        found = bytes(self._data[stop : min(stop + 24, bound)])
        found = found.removeprefix(DESCRIPTOR_SIGNATURE)
        forms = [struct.pack("<LQQ", crc, packed, size)]
        if max(packed, size) <= LIMIT32:
            forms.append(struct.pack("<LLL", crc, packed, size))
        if not any(found.startswith(form) for form in forms):
            raise self._contradiction(member)

    def _contradiction(self, member: Member) -> ReadError:
        return ReadError(f"{self._where}: the header of {member.name!r} contradicts the directory")
