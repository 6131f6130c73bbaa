"""The ``npz`` format: checkpoints of SC-NeuroCore, ``NAME.npz`` with ``NAME.json`` beside it.

``docs/formats/npz.md`` has the layout. The modules, from the bottom up: ``record`` (the JSON
half), ``names``, ``native`` (what the framework's own words say), ``carry`` (arrays in members),
``pair`` (the two files together), ``writer``, ``reader``.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING

from snnbridge import EVERYTHING, Feature, Format, Option, Probe, ReadError, hookimpl

if TYPE_CHECKING:
    from snnbridge import Options, SNNCheckpoint
    from snnbridge.model import Path
    from snnbridge.storage import Source, Target

_HEAD = re.compile(rb'\s*\{\s*"layer_names"\s*:')
#: Names by which BrainPy's own archives are known: ``Dense0.W``.
_BRAINPY = re.compile(r"[A-Z]\w*[0-9]\.\w+")
_NAME = struct.Struct("<26xHxx")


def _sniff(probe: Probe) -> bool:
    """Whether a file is half of a pair, or an archive of arrays that is not BrainPy's."""
    if probe.head[:1] in (b"{", b" ", b"\n", b"\t", b"\r"):
        return _HEAD.match(probe.head) is not None or (
            b'"layer_names"' in probe.head and probe.beside(".npz")
        )
    if probe.head.startswith(b"PK\x05\x06"):
        return probe.path.suffix == ".npz"
    if not probe.head.startswith(b"PK\x03\x04") or len(probe.head) < _NAME.size:
        return False
    (length,) = _NAME.unpack_from(probe.head)
    first = probe.head[30 : 30 + length]
    return first.endswith(b".npy") and not _is_brainpy(probe)


def _is_brainpy(probe: Probe) -> bool:
    if probe.beside(".json"):
        return False
    from snnbridge.storage import Source, ZipReader

    try:
        with Source(probe.path) as source:
            names = [name.removesuffix(".npy") for name in ZipReader(source.data).names]
    except ReadError:
        return False
    return "duplicate_keys" in names or any(_BRAINPY.fullmatch(name) for name in names)


def _read(source: Source, options: Options) -> SNNCheckpoint:
    from snnbridge_plugins.npz.reader import read

    return read(source, options)


def _write(checkpoint: SNNCheckpoint, target: Target, options: Options) -> None:
    from snnbridge_plugins.npz.writer import write

    write(checkpoint, target, options)


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
    options=(
        Option(
            "orientation",
            "Reading: how matrices are stored of which layer_sizes does not tell it.",
            ("out-in", "in-out"),
        ),
        Option("verify", "Reading: compare every array with its checksum.", ("yes", "no")),
        Option(
            "dialect",
            "Writing: what SC-NeuroCore 3.16 loads, or what 3.14 and 3.15 write.",
            ("3.16", "permissive"),
        ),
    ),
)


@hookimpl
def snnbridge_formats() -> list[Format]:
    """Return the format."""
    return [FORMAT]
