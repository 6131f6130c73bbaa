"""The ``npz`` format: checkpoints of SC-NeuroCore, ``NAME.npz`` with ``NAME.json`` beside it.

``docs/formats/npz.md`` has the layout. The modules, from the bottom up: ``record`` (the JSON
half), ``names``, ``from_record`` (what the framework's own words say), ``stated``
(what it states of neurons), ``carry`` (arrays in members),
``pair`` (the two files together), ``writer``, ``reader``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from snnbridge import EVERYTHING, Feature, Format, Option, Probe, ReadError, hookimpl
from snnbridge_plugins.checking import NEVER, check_option

if TYPE_CHECKING:
    from snnbridge import Entry, Options, SNNCheckpoint
    from snnbridge.model import Path
    from snnbridge.storage import Source, Target

_HEAD = re.compile(rb'\s*\{\s*"layer_names"\s*:')


def _sniff(probe: Probe) -> bool:
    """Whether a file is half of a pair, or an archive of arrays that is not BrainPy's."""
    from snnbridge.storage import first_member, is_empty_zip

    if probe.head[:1] in (b"{", b" ", b"\n", b"\t", b"\r"):
        return _HEAD.match(probe.head) is not None or (
            b'"layer_names"' in probe.head and probe.beside(".npz")
        )
    if is_empty_zip(probe.head):
        return probe.path.suffix == ".npz"
    first = first_member(probe.head)
    if first == b"layer_0.npy":
        return True
    return first.endswith(b".npy") and not _is_brainpy(probe)


def _is_brainpy(probe: Probe) -> bool:
    from snnbridge.node_trees import is_flat_archive
    from snnbridge.storage import Source, ZipReader

    try:
        with Source(probe.path) as source:
            return is_flat_archive(ZipReader(source.data).names)
    except ReadError:
        return False


def _read(source: Source, options: Options) -> SNNCheckpoint:
    from snnbridge_plugins.npz.reader import read

    return read(source, options)


def _write(checkpoint: SNNCheckpoint, target: Target, options: Options) -> None:
    from snnbridge_plugins.npz.writer import write

    write(checkpoint, target, options)


def _prepare(checkpoint: SNNCheckpoint, options: Options) -> tuple[SNNCheckpoint, Iterable[Entry]]:
    from snnbridge_plugins.npz.writer import told

    return checkpoint, told(checkpoint, options)


def _losses(checkpoint: SNNCheckpoint, options: Options) -> Iterable[tuple[Path, str]]:
    from snnbridge_plugins.npz.writer import losses

    return losses(checkpoint, options)


FORMAT = Format(
    name="npz",
    summary="SC-NeuroCore 3.14 to 3.16 (.npz + .json), its model zoo, archives of arrays",
    suffixes=(".npz", ".json"),
    sniff=_sniff,
    read=_read,
    write=_write,
    holds=EVERYTHING,
    holds_bare=frozenset(
        {
            Feature.LINEAR,
            Feature.CONV,
            Feature.NEURON,
            Feature.PLUGIN_NEURON,
            Feature.OPAQUE,
            Feature.ORIGIN,
            Feature.PARAMETERS,
            Feature.METADATA,
            Feature.FROZEN,
            Feature.EXTRAS,
            Feature.NAMES,
            Feature.FLOATS,
            Feature.INTEGERS,
            Feature.COMPLEX,
        }
    ),
    losses=_losses,
    prepare=_prepare,
    options=(
        Option(
            "orientation",
            "How matrices are stored whose layer_sizes do not show it.",
            ("out-in", "in-out"),
            direction="reading",
        ),
        check_option(NEVER),
        Option(
            "dialect",
            "3.16: what SC-NeuroCore 3.16 loads; permissive: what 3.14 and 3.15 write.",
            ("3.16", "permissive"),
            direction="writing",
        ),
    ),
)


@hookimpl
def snnbridge_formats() -> list[Format]:
    """Return the format."""
    return [FORMAT]
