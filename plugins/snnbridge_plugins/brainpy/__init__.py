"""The ``brainpy`` format: checkpoints of BrainPy 2.3 to 2.9 and of braintools.

``docs/formats/brainpy.md`` has the layout; :mod:`snnbridge.node_trees` knows its nodes. The
modules, from the bottom up: ``head`` (recognising a file), ``flat`` (files of old releases),
``chunks``, ``extra`` (what is added to a file), ``losses``, ``matching`` (layers with
the nodes of a template), ``template``, ``expressing`` (in BrainPy's classes), ``reading``,
``writing``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from snnbridge import EVERYTHING, Feature, Format, Option, Probe, hookimpl
from snnbridge_plugins.checking import SMALL, check_option

if TYPE_CHECKING:
    from snnbridge import Entry, Options, SNNCheckpoint
    from snnbridge.model import Path
    from snnbridge.storage import Source, Target

_NOT_IN_A_TREE = {
    Feature.CONNECTIONS,
    Feature.DELAY,
    Feature.DT,
    Feature.FROZEN,
    Feature.LAYER_DT,
    Feature.METADATA,
    Feature.PORTS,
    Feature.RULES,
    Feature.SCALE,
    Feature.SUBGRAPH,
    Feature.TIES,
    Feature.TRAINABLE,
}


def _sniff(probe: Probe) -> bool:
    from snnbridge_plugins.brainpy.head import sniff

    return sniff(probe)


def _read(source: Source, options: Options) -> SNNCheckpoint:
    from snnbridge_plugins.brainpy.reading import read

    return read(source, options)


def _write(checkpoint: SNNCheckpoint, target: Target, options: Options) -> None:
    from snnbridge_plugins.brainpy.writing import write

    write(checkpoint, target, options)


def _prepare(checkpoint: SNNCheckpoint, options: Options) -> tuple[SNNCheckpoint, Iterable[Entry]]:
    from snnbridge_plugins.brainpy.writing import prepare

    return prepare(checkpoint, options)


def _losses(checkpoint: SNNCheckpoint, options: Options) -> Iterable[tuple[Path, str]]:
    from snnbridge_plugins.brainpy.writing import losses

    return losses(checkpoint, options)


FORMAT = Format(
    name="brainpy",
    summary="BrainPy 2.3 to 2.9 and braintools (.bp, .msgpack, folders, flat .h5 and .npz)",
    suffixes=(".bp", ".msgpack"),
    sniff=_sniff,
    read=_read,
    write=_write,
    holds=EVERYTHING,
    holds_bare=EVERYTHING - _NOT_IN_A_TREE,
    losses=_losses,
    prepare=_prepare,
    options=(
        Option(
            "net",
            "The top-level key that holds the network; . for the whole file.",
            direction="reading",
        ),
        Option(
            "step",
            "The step of the checkpoint to take from a folder; by default the newest.",
            direction="reading",
        ),
        Option(
            "classes",
            "Which class a node is of: NODE=CLASS,...",
            direction="reading",
        ),
        check_option(SMALL),
        Option(
            "for",
            "Write the network in the neurons of BrainPy.",
            ("brainpy",),
            direction="writing",
        ),
        Option(
            "like",
            "A checkpoint whose names and shapes to use.",
            direction="writing",
        ),
        Option(
            "map",
            "With --like: which node of that checkpoint takes which layer: LAYER=NAME,...",
            direction="writing",
        ),
    ),
)


@hookimpl
def snnbridge_formats() -> list[Format]:
    """Return the format."""
    return [FORMAT]
