"""The ``hdf5`` format: one ``.h5`` file of this package's own schema, for everything.

Written and read at the speed of the disk, without the HDF5 library; every HDF5 tool can browse
it, and what other tools rewrite is read, too. The schema stands in ``docs/formats/hdf5.md``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from snnbridge import EVERYTHING, Format, Option, Probe, hookimpl
from snnbridge_plugins.checking import NEVER, check_option

if TYPE_CHECKING:
    from snnbridge import Options, SNNCheckpoint
    from snnbridge.storage import Source, Target

_TYPE = b"snnbridge.checkpoint"
_SEARCHED = 1 << 20


def _sniff(probe: Probe) -> bool:
    from snnbridge.storage import is_hdf5

    if not is_hdf5(probe.head):
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
            "Read these layers only: NAME,...",
            direction="reading",
        ),
        check_option(NEVER),
    ),
)


@hookimpl
def snnbridge_formats() -> Iterable[Format]:
    """Return the format."""
    return [FORMAT]
