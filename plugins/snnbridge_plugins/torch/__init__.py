"""The ``torch`` and ``safetensors`` formats: state dicts and training dicts of PyTorch.

``docs/formats/torch.md`` has the layout. The modules, from the bottom up: ``values`` (tensors and
storages), ``rebuild`` and ``unpickle`` (the closed interpreter), ``container`` (the files around a
pickle), ``pickling`` (writing one), ``trees`` (plain trees), ``found``,
``containers``, ``orientation``, ``stateless``, ``modules`` and ``stored`` (the frameworks' modules
as layers and back), ``tensors``, ``digests`` and ``sharding`` (the bytes of safetensors, in one
file or several), ``finding``, ``template``, ``to_tree``, ``decays``, ``expressing`` (in another
framework's classes), ``reading``, ``files`` and ``safetensors`` (the two formats).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from snnbridge import EVERYTHING, Feature, Format, Option, Probe, hookimpl
from snnbridge_plugins.checking import SMALL, check_option
from snnbridge_plugins.features import TOLD_BY_ARRAYS

if TYPE_CHECKING:
    from snnbridge import Entry, Options, SNNCheckpoint
    from snnbridge.model import Path
    from snnbridge.storage import Source, Target

_IN_A_STATE_DICT = TOLD_BY_ARRAYS - {Feature.CONNECTIONS, Feature.DT}
#: What huggingface's indexes begin with; the names of the tensors may come late.
_INDEX = re.compile(rb'\s*\{\s*"metadata"\s*:\s*\{\s*"total_(?:size|parameters)"')
#: What an archive begins with; a TorchScript program has its tensors first, and is refused by name.
_PICKLED = re.compile(rb".*/data(?:\.pkl|/[0-9]+)", re.DOTALL)
_STREAM = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


def _sniff(probe: Probe) -> bool:
    from snnbridge.storage import first_member

    if probe.head.startswith(_STREAM):
        return True
    return _PICKLED.fullmatch(first_member(probe.head)) is not None


def _sniff_safetensors(probe: Probe) -> bool:
    """Whether a header follows its length, or a JSON file maps tensors to files."""
    if probe.head.startswith(b"{"):
        return b'"weight_map"' in probe.head or _INDEX.match(probe.head) is not None
    length = int.from_bytes(probe.head[:8], "little")
    return probe.head[8:9] == b"{" and 2 <= length <= probe.size - 8


def _read(source: Source, options: Options) -> SNNCheckpoint:
    from snnbridge_plugins.torch.files import read

    return read(source, options)


def _write(checkpoint: SNNCheckpoint, target: Target, options: Options) -> None:
    from snnbridge_plugins.torch.files import write

    write(checkpoint, target, options)


def _read_safetensors(source: Source, options: Options) -> SNNCheckpoint:
    from snnbridge_plugins.torch.safetensors import read

    return read(source, options)


def _write_safetensors(checkpoint: SNNCheckpoint, target: Target, options: Options) -> None:
    from snnbridge_plugins.torch.safetensors import write

    write(checkpoint, target, options)


def _losses(checkpoint: SNNCheckpoint, options: Options) -> Iterable[tuple[Path, str]]:
    from snnbridge_plugins.torch.files import losses

    return losses(checkpoint, options)


def _losses_safetensors(checkpoint: SNNCheckpoint, options: Options) -> Iterable[tuple[Path, str]]:
    from snnbridge_plugins.torch.safetensors import losses

    return losses(checkpoint, options)


def _prepare(checkpoint: SNNCheckpoint, options: Options) -> tuple[SNNCheckpoint, Iterable[Entry]]:
    from snnbridge_plugins.torch.expressing import prepare

    return prepare(checkpoint, options)


#: The keys of snnbridge.express.TARGETS, which is slow to import.
_FRAMEWORKS = ("norse", "rockpool", "sinabs", "snntorch", "spikingjelly")
_WRITING = (
    Option(
        "for",
        "Write the network in this framework's neurons. Spyx and BrainPy have files of their "
        "own: --to spyx, --to brainpy.",
        choices=_FRAMEWORKS,
        direction="writing",
    ),
    Option("like", "A state dict whose keys, shapes and dtypes to use.", direction="writing"),
    Option(
        "map",
        "With --like: which module of that state dict takes which layer: LAYER=NAME,...",
        direction="writing",
    ),
)

FORMAT = Format(
    name="torch",
    summary="PyTorch state dicts and training dicts (.pt, .pth), read without torch",
    suffixes=(".pt", ".pth", ".ckpt"),
    sniff=_sniff,
    read=_read,
    write=_write,
    holds=EVERYTHING,
    holds_bare=_IN_A_STATE_DICT,
    losses=_losses,
    prepare=_prepare,
    options=(
        Option(
            "net",
            "The key that holds the state dict; . for the whole file.",
            direction="reading",
        ),
        check_option(SMALL),
        *_WRITING,
    ),
)

SAFETENSORS = Format(
    name="safetensors",
    summary="state dicts as .safetensors, one file or an index of several",
    suffixes=(".safetensors", ".safetensors.index.json", ".index.json"),
    sniff=_sniff_safetensors,
    read=_read_safetensors,
    write=_write_safetensors,
    holds=EVERYTHING,
    holds_bare=_IN_A_STATE_DICT,
    losses=_losses_safetensors,
    prepare=_prepare,
    options=(
        check_option(SMALL),
        Option(
            "shard",
            "The largest size of one file, such as 2GB; a larger net becomes several.",
            direction="writing",
        ),
        *_WRITING,
    ),
)


@hookimpl
def snnbridge_formats() -> list[Format]:
    """Return the formats."""
    return [FORMAT, SAFETENSORS]
