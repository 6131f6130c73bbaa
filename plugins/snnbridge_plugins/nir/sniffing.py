"""Telling a NIR file from other HDF5 files."""

from __future__ import annotations

from pathlib import Path

from snnbridge import ReadError
from snnbridge.storage import Source, hdf5
from snnbridge_plugins.nir.tree import is_data


def looks_like_nir(path: Path) -> bool:
    """Whether an HDF5 file has the groups at its top that a NIR file has.

    One that is damaged there, or holds what NIR's package writes beside graphs, is taken for one
    by its suffix, so that the reader says what is wrong.
    """
    named = path.suffix.lower() == ".nir"
    try:
        with Source(path) as source:
            root = hdf5.open_file(source.data)
            node = root.get("node")
            if isinstance(node, hdf5.Group):
                return "type" in node or named
            if named and (not list(root) or is_data(root)):
                return True
            return "version" not in root and {"nodes", "edges"} <= set(root)
    except ReadError:
        return named and _has_superblock(path)
    except OSError:
        return False


def _has_superblock(path: Path) -> bool:
    """Whether more than the signature is as an HDF5 library begins a file: addresses of 8 bytes."""
    with Source(path) as source:
        head = source.read(0, 14)
    place = 13 if head[8:9] in (b"\0", b"\1") else 9
    return head[place : place + 1] == b"\x08"
