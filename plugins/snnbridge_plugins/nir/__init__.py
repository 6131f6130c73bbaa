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
from snnbridge_plugins.checking import SMALL, check_option

if TYPE_CHECKING:
    from snnbridge import Options, SNNCheckpoint
    from snnbridge.model import Path
    from snnbridge.storage import Source, Target

_IMPORTERS = ("norse", "rockpool", "sinabs", "snntorch", "spikingjelly", "spyx")


def _sniff(probe: Probe) -> bool:
    from snnbridge.storage import is_hdf5

    if not is_hdf5(probe.head):
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
            "How to step the equations: by a rule, or as a framework's importer does.",
            choices=("euler", "exact", *_IMPORTERS),
            direction="reading",
        ),
        Option(
            "reset",
            "What a spike does where the file states no v_reset.",
            choices=("subtract", "zero"),
            direction="reading",
        ),
        check_option(SMALL),
        Option(
            "for",
            "Write the graph so that this framework's importer runs it.",
            choices=_IMPORTERS,
            direction="writing",
        ),
    ),
)


@hookimpl
def snnbridge_formats() -> list[Format]:
    """Return the format."""
    return [FORMAT]
