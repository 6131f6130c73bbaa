"""The ``hdf5`` format: one ``.h5`` file of this package's own schema, for everything.

Written and read at the speed of the disk, without the HDF5 library; every HDF5 tool can browse
it, and what other tools rewrite is read, too. The schema stands in ``docs/formats/hdf5.md``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from snnbridge import EVERYTHING, Format, Option, Probe, hookimpl

if TYPE_CHECKING:
    from snnbridge import Options, SNNCheckpoint
    from snnbridge.storage import Source, Target

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_TYPE = b"snnbridge.checkpoint"
_STARTS = (0, 512, 1024, 2048)
_SEARCHED = 1 << 20


def _sniff(probe: Probe) -> bool:
    if not any(probe.head.startswith(_SIGNATURE, start) for start in _STARTS):
        return False
    if _TYPE in probe.head:
        return True
    with probe.path.open("rb") as file:  # another program wrote it: the root's type is somewhere
        if _TYPE in file.read(_SEARCHED):
            return True
        file.seek(max(0, probe.size - _SEARCHED))
        return _TYPE in file.read(_SEARCHED)


def _read(source: Source, options: Options) -> SNNCheckpoint:
    from snnbridge_plugins.hdf5.read import read

    return read(source, options)


def _write(checkpoint: SNNCheckpoint, target: Target, options: Options) -> None:
    from snnbridge_plugins.hdf5.write import write

    write(checkpoint, target, options)


FORMAT = Format(
    name="hdf5",
    summary="HDF5 of snnbridge's own schema: everything, browsable, read by layer",
    suffixes=(".h5", ".hdf5"),
    sniff=_sniff,
    read=_read,
    write=_write,
    holds=EVERYTHING,
    options=(
        Option("compression", "How arrays are compressed.", ("none", "gzip"), "writing"),
        Option(
            "layers",
            "These layers only: names with commas between them.",
            direction="reading",
        ),
        Option("check", "Whether arrays are compared with checksums.", ("no", "yes"), "reading"),
    ),
)


@hookimpl
def snnbridge_formats() -> Iterable[Format]:
    """Return the format."""
    return [FORMAT]
