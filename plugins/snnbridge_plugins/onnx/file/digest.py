"""The digest of a whole model, in its own metadata.

The entry ``org.snnbridge.sha256`` is the SHA-256 of the file with zeros for its 64 digits. It
covers what no array's digest does: the graph that other programs run.
"""

from __future__ import annotations

from snnbridge.storage import BLANK, Source, StagedFile, digest_of, digest_so_far

DIGEST_KEY = "org.snnbridge.sha256"
_BLOCK = 1 << 20


def write_digested(file: StagedFile, tail: bytes) -> None:
    """Write the last bytes of a model, which hold :data:`BLANK` as the digest, and fill it in."""
    place = file.tell() + _place_in(tail)
    file.write(tail)
    digest_so_far(file, into=place)


def is_right(source: Source, stated: str) -> bool:
    """Whether a model's digest is the stated one."""
    data, key = source.data, DIGEST_KEY.encode("ascii")
    start = stop = len(data)
    while start:
        start = max(0, start - _BLOCK)
        piece = bytes(data[start : stop + len(key) + len(BLANK)])
        if key in piece:
            return digest_of(data, without=start + _place_in(piece)) == stated
        stop = start
    return False


def _place_in(tail: bytes) -> int:
    """Return where the digits stand: behind their key, and the two bytes of tag and length."""
    return tail.rindex(DIGEST_KEY.encode("ascii")) + len(DIGEST_KEY) + 2
