"""Records of the zip format (PKWARE APPNOTE 6.3), shared by the writer and the reader."""

from __future__ import annotations

import struct

LOCAL = struct.Struct("<4sHHHHHLLLHH")
"""signature, version, flags, method, time, date, CRC-32, sizes (packed, full), lengths (name,
extra)"""
CENTRAL = struct.Struct("<4sHHHHHHLLLHHHHHLL")
"""signature, versions (2), flags, method, time, date, CRC-32, sizes (packed, full), lengths
(name, extra, comment), disk, attributes (2), offset of the local header"""
END = struct.Struct("<4sHHHHLLH")
"""signature, disks (2), counts (2), size and offset of the directory, length of the comment"""
END64 = struct.Struct("<4sQHHLLQQQQ")
"""signature, size of the rest, versions (2), disks (2), counts (2), size and offset"""
LOCATOR = struct.Struct("<4sLQL")
"""signature, disk, offset of END64, number of disks"""

LOCAL_SIGNATURE = b"PK\x03\x04"
CENTRAL_SIGNATURE = b"PK\x01\x02"
END_SIGNATURE = b"PK\x05\x06"
END64_SIGNATURE = b"PK\x06\x06"
LOCATOR_SIGNATURE = b"PK\x06\x07"
DESCRIPTOR_SIGNATURE = b"PK\x07\x08"

LIMIT32 = 0xFFFFFFFF
"""Stands for a number that is in the zip64 extra field."""
LIMIT16 = 0xFFFF

ENCRYPTED = 1 << 0 | 1 << 6 | 1 << 13
"""Flags of a member, or of its names, that only a password opens."""
DESCRIPTOR = 1 << 3
"""Flag: CRC-32 and sizes follow the data, too."""
PATCH = 1 << 5
UTF8 = 1 << 11
"""Flag: the name is UTF-8, not code page 437."""

ZIP64_ID = 1
UNICODE_NAME_ID = 0x7075
PADDING_ID = 0xD935


def extra_fields(extra: bytes) -> dict[int, bytes] | None:
    """Split an extra field by its identifiers; None where it is damaged or repeats one."""
    fields: dict[int, bytes] = {}
    position = 0
    while position + 4 <= len(extra):
        key, length = struct.unpack_from("<HH", extra, position)
        position += 4
        if position + length > len(extra) or key in fields:
            return None
        fields[key] = extra[position : position + length]
        position += length
    return fields
