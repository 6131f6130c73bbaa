"""Recognising a file by its first bytes."""

from __future__ import annotations

import re

from snnbridge import Probe, ReadError
from snnbridge.node_trees import STEP_FILE, is_flat_archive
from snnbridge.storage import Source, ZipReader, first_member, is_hdf5, is_zip
from snnbridge.wire import leaves

#: Names that flat files have beside their variables.
DUPLICATES = ("duplicate_keys", "duplicate_targets")

PICKLE = re.compile(rb"\x80[\x02-\x05]")
_HDF5_HEAD = 1 << 16


def sniff(probe: Probe) -> bool:
    """Whether a file or a folder is a checkpoint of BrainPy or braintools.

    A tree counts if it holds an array, or if its suffix is ``.bp``. Trees of a list of layers
    are Spyx's, and so are those with its neurons' keys.
    """
    head = probe.head
    if probe.is_folder:
        return any(STEP_FILE.fullmatch(name) for name in probe.names())
    if is_zip(head):
        # SC-NeuroCore's archives are told by their first name: a directory may be long.
        return first_member(head) != b"layer_0.npy" and _is_flat_archive(probe)
    if is_hdf5(head):
        return _is_flat_hdf5(probe)
    if PICKLE.match(head):
        return probe.path.suffix in (".pkl", ".pickle")
    path = _first_array(head)
    if path is None or (path[:1] == ("layers",) and path[1:2] and path[1].isdigit()):
        return False
    if probe.path.suffix == ".bp":
        return True
    return path != () and not _is_of_spyx(probe)


def _is_of_spyx(probe: Probe) -> bool:
    from snnbridge_plugins.flax_trees import is_of_spyx

    return is_of_spyx(probe)


def _is_flat_archive(probe: Probe) -> bool:
    try:
        with Source(probe.path) as source:
            return is_flat_archive(ZipReader(source.data).names)
    except ReadError:
        return False


def _is_flat_hdf5(probe: Probe) -> bool:
    with Source(probe.path) as source:
        head = source.read(0, _HDF5_HEAD)
    names = (name.decode("latin-1") for name in re.findall(rb"\0([\w.]{3,80})\0", head))
    return is_flat_archive(names)


def _first_array(head: bytes) -> tuple[str, ...] | None:
    """Follow a msgpack map to its first array.

    Returns
    -------
    tuple of str, or None
        The array's path, as far as the head shows it; empty if the map ends, or the head does,
        before one; ``None`` if this is no map of text keys.
    """
    if not head or not (0x80 <= head[0] <= 0x8F or head[0] in (0xDE, 0xDF)):
        return None
    try:
        return next((path for path, is_array in leaves(head) if is_array), ())
    except IndexError:
        return ()
    except ValueError:
        return None
