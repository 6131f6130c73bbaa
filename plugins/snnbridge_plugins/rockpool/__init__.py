"""The ``rockpool`` format: the JSON files of Rockpool's own ``net.save(path)``.

``docs/formats/rockpool.md`` has the layout. The modules, from the bottom up: ``values`` (numbers
in text in text), ``modules`` (Rockpool's classes as layers), ``entries`` (and back), ``files``.
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

_IN_A_FILE = TOLD_BY_ARRAYS - {Feature.STATE, Feature.TIES, Feature.TRAINING}
_FIRST_MODULE = re.compile(rb'\s*\{\s*"[0-9]+_[A-Za-z]\w*"\s*:\s*\{\s*"\w+"\s*:\s*["n{]')
#: A module under any name: one of the keys that Rockpool's have, its value JSON in a text.
_FIRST_VALUE = re.compile(
    rb'\s*\{\s*(?:"[^"\\]+"\s*:\s*\{\s*){1,16}'
    rb'"(?:weight|bias|threshold|tau(?:_mem|_syn|_ahp)?|alpha|beta|dash_(?:mem|syn)|w_rec|w_ahp|'
    rb"_has_rec|leak_mode|spike_generation_fn|max_spikes_per_dt|learning_window|dt|noise_std|"
    rb'n_neurons|act_fn)"\s*:\s*(?:null|"(?:\[|-?[0-9]|\\"|true|false|NaN|-?Infinity))'
)


def _sniff(probe: Probe) -> bool:
    """Whether the first module stands under its number and class, or has values as Rockpool's."""
    from snnbridge_plugins.description_file import is_described

    known = _FIRST_MODULE.match(probe.head) or _FIRST_VALUE.match(probe.head)
    return bool(known) or is_described(probe, "rockpool")


def _read(source: Source, options: Options) -> SNNCheckpoint:
    from snnbridge_plugins.rockpool.files import read

    return read(source, options)


def _write(checkpoint: SNNCheckpoint, target: Target, options: Options) -> None:
    from snnbridge_plugins.rockpool.files import write

    write(checkpoint, target, options)


def _prepare(checkpoint: SNNCheckpoint, options: Options) -> tuple[SNNCheckpoint, Iterable[Entry]]:
    from snnbridge.express import express

    if options.get("for"):
        return express(checkpoint, "rockpool")
    from snnbridge_plugins import described_only
    from snnbridge_plugins.rockpool.entries import seen

    known = seen(checkpoint)
    bare = options.get("bare")
    return checkpoint, () if bare else described_only.told(
        checkpoint, "rockpool", "Rockpool", known
    )


def _losses(checkpoint: SNNCheckpoint, options: Options) -> Iterable[tuple[Path, str]]:
    from snnbridge_plugins.rockpool.files import losses

    return losses(checkpoint, options)


FORMAT = Format(
    name="rockpool",
    summary="Rockpool's own JSON, as net.save writes it and net.load reads it",
    suffixes=(".json",),
    sniff=_sniff,
    read=_read,
    write=_write,
    holds=EVERYTHING,
    holds_bare=_IN_A_FILE,
    losses=_losses,
    prepare=_prepare,
    options=(
        Option(
            "for",
            "Write the network in the neurons of Rockpool.",
            ("rockpool",),
            direction="writing",
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
