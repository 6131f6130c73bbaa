"""The ``nir`` format: graphs of the Neuromorphic Intermediate Representation, 0.0 to 1.0.8.

``docs/formats/nir.md`` has the layout. The modules, from the bottom up: ``graph`` (nodes and
edges), ``tree`` (their bytes), ``fields``, ``layers``, ``shapes``, ``neurons``,
``releases``, ``from_graph`` (to a checkpoint), ``nodes``, ``continuous``, ``importers`` (what each
framework makes of a node), ``to_graph`` (from a checkpoint), ``carry`` (what NIR has no word for),
``seal`` (digests), ``sniffing``, ``preparing`` (for an importer), ``reading``, ``writing``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from snnbridge import EVERYTHING, Entry, Format, Option, Probe, hookimpl

if TYPE_CHECKING:
    from snnbridge import Options, SNNCheckpoint
    from snnbridge.model import Path
    from snnbridge.storage import Source, Target

_MAGIC = b"\x89HDF\r\n\x1a\n"
#: Where HDF5 allows it to stand, behind what the user put before it.
_PLACES = (0, 512, 1024, 2048)
_IMPORTERS = ("norse", "rockpool", "sinabs", "snntorch", "spikingjelly", "spyx")


def _sniff(probe: Probe) -> bool:
    if not any(probe.head.startswith(_MAGIC, place) for place in _PLACES):
        return False
    from snnbridge_plugins.nir.sniffing import looks_like_nir

    return looks_like_nir(probe.path)


def _read(source: Source, options: Options) -> SNNCheckpoint:
    from snnbridge_plugins.nir.reading import read

    return read(source, options)


def _write(checkpoint: SNNCheckpoint, target: Target, options: Options) -> None:
    from snnbridge_plugins.nir.writing import write

    write(checkpoint, target, options)


def _losses(checkpoint: SNNCheckpoint, options: Options) -> Iterable[tuple[Path, str]]:
    from snnbridge_plugins.nir.writing import losses

    return losses(checkpoint, options)


def _prepare(checkpoint: SNNCheckpoint, options: Options) -> tuple[SNNCheckpoint, Iterable[Entry]]:
    from snnbridge_plugins.nir.preparing import prepare

    return prepare(checkpoint, options)


FORMAT = Format(
    name="nir",
    summary="graphs of NIR 0.0 to 1.0.8 (.nir)",
    suffixes=(".nir",),
    sniff=_sniff,
    read=_read,
    write=_write,
    holds=EVERYTHING,
    holds_bare=EVERYTHING,
    losses=_losses,
    prepare=_prepare,
    options=(
        Option(
            "dt",
            "The time step, in seconds or with a unit: 1e-4, '0.1 ms'.",
            direction="reading",
        ),
        Option(
            "scheme",
            "The rule by which equations are run, or whose importer runs them.",
            choices=("euler", "exact", *_IMPORTERS),
            direction="reading",
        ),
        Option(
            "reset",
            "What a spike does where a file states no v_reset.",
            choices=("subtract", "zero"),
            direction="reading",
        ),
        Option(
            "check",
            "Whether to compare a large file with the digest behind its end.",
            choices=("yes", "no"),
            direction="reading",
        ),
        Option(
            "for",
            "The framework whose importer is to run the graph.",
            choices=_IMPORTERS,
            direction="writing",
        ),
    ),
)


@hookimpl
def snnbridge_formats() -> list[Format]:
    """Return the format."""
    return [FORMAT]
