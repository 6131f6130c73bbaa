"""The ``torch`` and ``safetensors`` formats: state dicts and training dicts of PyTorch.

``docs/formats/torch.md`` has the layout. The modules, from the bottom up: ``values`` (tensors and
storages), ``rebuild`` and ``unpickle`` (the closed interpreter), ``container`` (the files around a
pickle), ``pickling`` (writing one), ``trees`` (plain trees), ``keys``, ``forms``, ``found``,
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

if TYPE_CHECKING:
    from snnbridge import Entry, Options, SNNCheckpoint
    from snnbridge.model import Path
    from snnbridge.storage import Source, Target

#: What keys and tensors can tell; the losses of a checkpoint say which of it they do.
_IN_A_STATE_DICT = EVERYTHING - {
    Feature.CONNECTIONS,
    Feature.DELAY,
    Feature.DT,
    Feature.FLATTEN,
    Feature.FROZEN,
    Feature.METADATA,
    Feature.POOL,
    Feature.PORTS,
    Feature.SUBGRAPH,
    Feature.TRAINABLE,
}
#: What huggingface's indexes begin with; the names of the tensors may come late.
_INDEX = re.compile(rb'\s*\{\s*"metadata"\s*:\s*\{\s*"total_(?:size|parameters)"')
_ZIP, _STREAM = b"PK\x03\x04", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


def _sniff(probe: Probe) -> bool:
    if probe.head.startswith(_STREAM):
        return True
    if not probe.head.startswith(_ZIP) or len(probe.head) < 30:
        return False
    length = int.from_bytes(probe.head[26:28], "little")
    return probe.head[30 : 30 + length].endswith(b"/data.pkl")


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
        "The framework whose neurons the network is expressed in; nets of Spyx and BrainPy have "
        "files of their own: --to spyx, --to brainpy, or .nir.",
        choices=_FRAMEWORKS,
        direction="writing",
    ),
    Option("like", "A state dict whose keys, shapes and dtypes are taken.", direction="writing"),
    Option(
        "map",
        "With like, which module of the template takes a layer: LAYER=NAME,...",
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
            "The key under which the state dict stands; . for the top.",
            direction="reading",
        ),
        Option(
            "check", "Compare every record with its checksum.", ("yes", "no"), direction="reading"
        ),
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
        Option(
            "check",
            "Whether to compare a large file with the digests in its metadata.",
            ("yes", "no"),
            direction="reading",
        ),
        Option(
            "shard",
            "The largest size of one file, like 2GB; a larger net is several and an index.",
            direction="writing",
        ),
        *_WRITING,
    ),
)


@hookimpl
def snnbridge_formats() -> list[Format]:
    """Return the formats."""
    return [FORMAT, SAFETENSORS]
