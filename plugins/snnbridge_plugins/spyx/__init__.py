"""The ``spyx`` format: parameters of Spyx nets as flax writes them in msgpack.

``docs/formats/spyx.md`` has the layout. The modules, from the bottom up: ``keys`` (the names in
the tree), ``reading`` (a tree as layers), ``to_tree`` (and back), ``files``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from snnbridge import EVERYTHING, Feature, Format, Option, Probe, hookimpl
from snnbridge_plugins.features import TOLD_BY_ARRAYS

if TYPE_CHECKING:
    from snnbridge import Entry, Options, SNNCheckpoint
    from snnbridge.model import Path
    from snnbridge.storage import Source, Target

_IN_A_TREE = TOLD_BY_ARRAYS - {Feature.CONNECTIONS, Feature.DT, Feature.STATE, Feature.TIES}
#: An array under a name that flax gives to weights or Spyx to a neuron's parameter.
_ARRAY = re.compile(
    rb"(?:\xa6kernel|\xa4beta|\xa5alpha|\xabrecurrent_w)"
    rb"(?:\xc7.|\xc8..|\xc9....|[\xd4-\xd8])\x01\x93",
    re.S,
)


def _sniff(probe: Probe) -> bool:
    """Whether a msgpack map has a Sequential's layers, or arrays of flax and Spyx by name."""
    from snnbridge_plugins.description_file import is_described

    head = probe.head
    is_map = 0x80 < head[0] <= 0x8F or head[0] in (0xDE, 0xDF) if head else False
    if is_map and (_ARRAY.search(head) or _is_tree(probe)):
        return True
    return is_described(probe, "spyx")


def _is_tree(probe: Probe) -> bool:
    """Whether keys behind the head tell it."""
    from snnbridge_plugins.flax_trees import is_of_spyx

    return probe.path.suffix != ".bp" and is_of_spyx(probe)


def _read(source: Source, options: Options) -> SNNCheckpoint:
    from snnbridge_plugins.spyx.files import read

    return read(source, options)


def _write(checkpoint: SNNCheckpoint, target: Target, options: Options) -> None:
    from snnbridge_plugins.spyx.files import write

    write(checkpoint, target, options)


def _prepare(checkpoint: SNNCheckpoint, options: Options) -> tuple[SNNCheckpoint, Iterable[Entry]]:
    from snnbridge.express import express
    from snnbridge_plugins import described_only, images
    from snnbridge_plugins.spyx.to_tree import is_seen

    told: Iterable[Entry] = ()
    if options.get("for"):
        checkpoint, told = express(checkpoint, "spyx")
    elif not options.get("bare"):
        told = described_only.told(checkpoint, "spyx", "Spyx", is_seen)
    checkpoint, turned = images.in_order(checkpoint, images.LAST, "Spyx")
    return checkpoint, (*told, *turned)


def _losses(checkpoint: SNNCheckpoint, options: Options) -> Iterable[tuple[Path, str]]:
    from snnbridge_plugins.spyx.files import losses

    return losses(checkpoint, options)


FORMAT = Format(
    name="spyx",
    summary="parameters of Spyx nets, saved by flax.serialization (.msgpack)",
    suffixes=(".msgpack",),
    sniff=_sniff,
    read=_read,
    write=_write,
    holds=EVERYTHING,
    holds_bare=_IN_A_TREE,
    losses=_losses,
    prepare=_prepare,
    options=(
        Option("for", "Write the network in the neurons of Spyx.", ("spyx",), direction="writing"),
        Option(
            "net",
            "The keys that lead to the net, joined by /; . for the whole file.",
            direction="reading",
        ),
        Option(
            "description",
            "Read the .snnbridge file beside it; by default yes.",
            ("yes", "no"),
            direction="reading",
        ),
    ),
)


@hookimpl
def snnbridge_formats() -> list[Format]:
    """Return the format."""
    return [FORMAT]
