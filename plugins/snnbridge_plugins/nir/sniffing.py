"""Telling a NIR file from other HDF5 files."""

from __future__ import annotations

from pathlib import Path

from snnbridge import ReadError
from snnbridge.storage import Source, hdf5


def looks_like_nir(path: Path) -> bool:
    """Whether a file has the groups at its top that a NIR file has."""
    try:
        with Source(path) as source:
            root = hdf5.open_file(source.data)
            node = root.get("node")
            if isinstance(node, hdf5.Group):
                return "type" in node
            return "version" not in root and {"nodes", "edges"} <= set(root)
    except (ReadError, OSError):
        return False
