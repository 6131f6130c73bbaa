"""State dicts in several ``.safetensors`` files, and the index that names them.

An index, ``NAME.safetensors.index.json``, is a JSON object: ``weight_map`` has the file of each
tensor, ``metadata`` the ``total_size`` of their elements. The files beside it are named
``NAME-00001-of-00003.safetensors``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from snnbridge import OptionError, ReadError, WriteError
from snnbridge.model import Array
from snnbridge.storage import Limits, Source, Target, dump_json, nbytes, parse_json
from snnbridge_plugins.torch.digests import (
    DIGESTS,
    FILES,
    blank_file,
    fill_in,
    stated_of,
)
from snnbridge_plugins.torch.tensors import read_tensors, write_tensors

INDEX = ".index.json"
_SUFFIX = ".safetensors"
_TOTAL = "total_size"
#: What says nothing that the tensors do not.
_DERIVED = ("format", _TOTAL, "total_parameters")
_SHARDS = 10_000
#: How often an index is read anew that was replaced.
_TRIES = 50
_NAME = re.compile(r"[^/\\\0]+")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([KMGT]?)(i?)B?", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def size_of(text: Any) -> int:
    """Read the largest size of a file.

    Raises
    ------
    OptionError
        If it is no size of at least one byte.

    Examples
    --------
    >>> size_of("2GB"), size_of("1.5 MiB"), size_of("500")
    (2000000000, 1572864, 500)
    """
    found = _SIZE.fullmatch(str(text).strip())
    size = 0
    if found is not None:
        base = 1024 if found[3] else 1000
        size = int(float(found[1]) * base ** _POWERS[found[2].upper()])
    if size < 1:
        raise OptionError(f"shard must be a size like 2GB, 500MB or 1GiB, not {text!r}")
    return size


def shards_of(tensors: Mapping[str, Array], limit: int) -> list[dict[str, Array]]:
    """Part tensors, in their order, among files of at most `limit` bytes of elements.

    A tensor that is larger than that has a file of its own.
    """
    shards: list[dict[str, Array]] = [{}]
    filled = 0
    for key, array in tensors.items():
        if shards[-1] and filled + nbytes(array) > limit:
            shards.append({})
            filled = 0
        shards[-1][key] = array
        filled += nbytes(array)
    return shards


def write_shards(
    shards: Sequence[Mapping[str, Array]],
    metadata: Mapping[str, str],
    target: Target,
    *,
    bare: bool,
) -> None:
    """Write the files, and last the index, which holds the digest of each.

    Parameters
    ----------
    shards : sequence of mapping
    metadata : mapping of str to str
        Of the index.
    target : Target
        Named ``NAME.safetensors`` or as the index itself.
    bare : bool
        Whether there are no digests.

    Raises
    ------
    WriteError
        If there are too many, or an older file would be taken for the new net.
    """
    if len(shards) > _SHARDS:
        raise WriteError(f"shard makes {len(shards)} files; at most {_SHARDS} are read again")
    named = target.path.name
    index = named if named.endswith(INDEX) else named + INDEX
    if index != named and target.path.exists():
        raise WriteError(
            f"the net takes {len(shards)} files and an index, {index}, beside which the old "
            f"{named} would still be read; write to {index}, or remove the old file first"
        )
    base = named.removesuffix(INDEX).removesuffix(_SUFFIX)
    places: dict[str, str] = {}
    digests: dict[str, str] = {}
    for number, tensors in enumerate(shards, 1):
        name = f"{base}-{number:05}-of-{len(shards):05}{_SUFFIX}"
        digests[name] = _write_one(tensors, target, name, bare=bare)
        places |= dict.fromkeys(tensors, name)
    total = sum(nbytes(array) for tensors in shards for array in tensors.values())
    told: dict[str, Any] = {_TOTAL: total, **metadata}
    if not bare:
        told |= {FILES: digests, DIGESTS: told.pop(DIGESTS)}
    text = dump_json({"metadata": told, "weight_map": places}, indent=2)
    with target.open(name=index) as file:
        file.write(text)
        if not bare:
            fill_in(file, text)


def _write_one(tensors: Mapping[str, Array], target: Target, name: str, *, bare: bool) -> str:
    metadata = {"format": "pt", **({} if bare else blank_file())}
    with target.open(name=name) as file:
        header = write_tensors(tensors, metadata, file.write)
        return "" if bare else fill_in(file, header)


@dataclass(frozen=True, slots=True)
class Shards:
    """What an index and its files hold.

    Parameters
    ----------
    tensors : dict of str to array
        In the order of the index.
    metadata : dict
        The index's, without what the tensors tell.
    index : Source
    files : list of Source
        In the order of their names in the index.
    """

    tensors: dict[str, Array]
    metadata: dict[str, Any]
    index: Source
    files: list[Source]


class _Replaced(Exception):
    """Somebody has replaced the index meanwhile: its reader begins anew."""

    def __init__(self, index: Source) -> None:
        self.index = index


def read_shards(source: Source) -> Shards:
    """Read the files of an index, all of one writing, also while somebody replaces them.

    Raises
    ------
    ReadError
        If one is missing or damaged, or is not what the index says.
    IntegrityError
        If they are not of one writing.
    """
    index = source
    for _ in range(_TRIES):
        try:
            return _read_shards(source, index)
        except _Replaced as found:
            index = found.index
    raise ReadError(f"{source.path.name} is replaced faster than it can be read")


def _read_shards(source: Source, index: Source) -> Shards:
    places, metadata = _parsed(index)
    names = list(dict.fromkeys(places.values()))
    if len(names) > _SHARDS:
        raise ReadError(f"the index names {len(names)} files; at most {_SHARDS} are read")
    sources = [_opened(source, index, name, metadata) for name in names]
    shards = {name: read_tensors(x.data)[0] for name, x in zip(names, sources, strict=True)}
    missing = [key for key, name in places.items() if key not in shards[name]]
    if missing:
        raise ReadError(f"{places[missing[0]]!r} lacks the tensor {missing[0]!r} of the index")
    tensors = {key: shards[name][key] for key, name in places.items()}
    told = {k: v for k, v in metadata.items() if k not in _DERIVED}
    return Shards(tensors, told, index, sources)


def _parsed(index: Source) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the files by tensor, and the metadata."""
    limits = Limits.for_text(index.size)
    found = parse_json(index.data, where="the index", limits=limits)
    places = found.get("weight_map") if isinstance(found, dict) else None
    if not isinstance(places, dict) or not all(isinstance(x, str) for x in places.values()):
        raise ReadError("an index has a weight_map from tensors to files")
    metadata = found.get("metadata", {})
    if not isinstance(metadata, dict):
        raise ReadError("the index's metadata is no JSON object")
    return places, metadata


def _opened(source: Source, index: Source, name: str, metadata: Mapping[str, Any]) -> Source:
    """Map a file that the index names; where snnbridge wrote both, the two must be one writing."""
    stated = metadata.get(FILES)
    try:
        if not isinstance(stated, dict) or name not in stated:
            with source.sibling(name, follow=False) as shard:
                _ = shard.data  # stays mapped
            return shard
        return _of_one_writing(source, index, name, str(stated[name]))
    except FileNotFoundError as error:
        raise ReadError(f"the index names {name!r}, which is not beside it") from error


def _of_one_writing(source: Source, index: Source, name: str, stated: str) -> Source:
    """Map a file together with its index, also while or after somebody replaces the set."""
    if name in (".", "..") or not _NAME.fullmatch(name):
        raise ReadError(f"the index names {name!r}, which is no name of a file beside it")
    text = bytes(index.data)

    def belongs(sources: Sequence[Source]) -> bool:
        shard, now = sources
        if bytes(now.data) != text:
            return True
        return stated_of(read_tensors(shard.data)[1]) in ("", stated)

    shard, now = source.together([name, source.path.name], belongs, follow=False)
    for each in (shard, now):
        each.close()
    if bytes(now.data) != text:
        raise _Replaced(now)
    return shard
