"""Finding and opening the two files of a pair, and proving that they belong together."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from snnbridge import IntegrityError, ReadError
from snnbridge.model import Array, Integrity
from snnbridge.storage import Limits, Source, ZipReader
from snnbridge_plugins.npz.record import OURS, Record, parse

#: The comment of an archive that is bound to its JSON half.
COMMENT = b"snnbridge"

_LAYER = re.compile(r"layer_(0|[1-9][0-9]*)")


@dataclass(frozen=True, slots=True)
class Pair:
    """An open pair, or an archive without its JSON half.

    Parameters
    ----------
    archive : ZipReader
    record : Record or None
        None for an archive alone.
    name : str
        The file that holds the record, or else the archive.
    is_bound : bool
        Whether the record proves by its digest that the archive is its own.
    limits : Limits
        Those of the file that was opened.
    foreign : str
        The JSON file of the same name that is no checkpoint's, if there is one.
    """

    archive: ZipReader
    record: Record | None
    name: str
    is_bound: bool = False
    limits: Limits = field(default_factory=Limits)
    foreign: str = ""


def base_name(name: str) -> str:
    """Return the name of a checkpoint without the suffix of either of its files.

    Examples
    --------
    >>> base_name("model.v1.npz"), base_name("model.npz.json"), base_name("model.v1")
    ('model.v1', 'model.npz', 'model.v1')
    """
    return name[: -len(suffix)] if (suffix := _suffix(name)) else name


def _suffix(name: str) -> str:
    return next((s for s in (".npz", ".json") if name.endswith(s) and name != s), "")


def open_pair(source: Source) -> Pair:
    """Open the archive and, where there is one, the JSON half, whichever of them is named.

    Raises
    ------
    FileNotFoundError
        If there is no archive beside the JSON half, or no JSON half beside an archive that needs
        it.
    IntegrityError
        If each is of another checkpoint.
    ReadError
        If one of them is damaged.
    """
    name = source.path.name
    is_head = _suffix(name) == ".json"
    base = base_name(name)
    files = [f"{base}.npz" if _suffix(name) else name, f"{base}.json"]
    found: list[Pair] = []

    def belongs(sources: Sequence[Source]) -> bool:
        archive = ZipReader(sources[0].data, where=repr(files[0]), limits=source.limits)
        record = parse(sources[1])
        if record is None and is_head:
            raise ReadError(f"{name!r} lacks 'layer_names': it is no checkpoint's JSON half")
        bound = record is not None and _is_bound(record, archive)
        named, foreign = (files[1], "") if record else files
        found[:] = [Pair(archive, record, named, bound, source.limits, foreign)]
        return bound or archive.comment != COMMENT

    try:
        source.together(files, belongs)
    except FileNotFoundError:
        if is_head:
            raise FileNotFoundError(
                f"{source.path.with_name(files[0])}: the archive of {name!r} is missing"
            ) from None
        found = [_alone(source, files[0])]
    _check_digest(found[0])
    return found[0]


def _alone(source: Source, name: str) -> Pair:
    archive = ZipReader(source.data, where=repr(name), limits=source.limits)
    if archive.comment == COMMENT:
        record = source.path.with_name(f"{base_name(name)}.json")
        raise FileNotFoundError(
            f"{record}: no such file; {name!r} was written together with it and needs it"
        )
    return Pair(archive, None, name, limits=source.limits)


def ours(record: Record) -> dict[str, Any] | None:
    """Return what a record holds of ours, if anything."""
    found = record.metadata.get(OURS)
    return found if isinstance(found, dict) and "archive" in found else None


def _is_bound(record: Record, archive: ZipReader) -> bool:
    held = ours(record)
    return held is not None and held.get("archive") == archive.fingerprint


def digest_of(record: Record) -> str:
    """Return the SHA-256 of a record, apart from the place where it is kept."""
    return hashlib.sha256(record.digest_text()).hexdigest()


def _check_digest(pair: Pair) -> None:
    """Refuse a record of ours that was changed alone: its archive is still the one we wrote."""
    held = ours(pair.record) if pair.record else None
    if held is None or not pair.is_bound or "digest" not in held:
        return
    assert pair.record is not None
    if held["digest"] != digest_of(pair.record):
        raise IntegrityError(
            f"{pair.name!r} differs from what was written beside its archive; if the change was "
            "meant, delete the line with 'digest' from it"
        )


def integrity_of(pair: Pair, *, checked: bool) -> Integrity:
    """Say what the digests of a pair tell, whose arrays were compared with theirs or not."""
    if pair.record is not None:
        held = ours(pair.record)
        if held is None or "digest" not in held:
            return ""  # the checksums of the archive tell nothing of the record
        if not pair.is_bound:
            return "changed"
    return "intact" if checked else "unchecked"


def layer_arrays(pair: Pair, *, check: bool) -> list[Array]:
    """Return the arrays ``layer_0`` ... of an archive.

    Raises
    ------
    ReadError
        If the members are not those that the record speaks of.
    """
    keys = member_keys(pair.archive)
    count = len(pair.record.names) if pair.record else len(keys)
    expected = [f"layer_{i}" for i in range(count)]
    if len(keys) != count or any(key not in keys for key in expected):
        wrong = next((repr(k) for k in keys if not _is_below(k, count)), f"{len(keys)} members")
        raise ReadError(
            f"{pair.name!r} speaks of {count} layers, so the archive must hold layer_0 to "
            f"layer_{count - 1} and nothing else; found {wrong}; do the two files belong together?"
        )
    return [pair.archive.array(keys[key], verify=check) for key in expected]


def _is_below(key: str, count: int) -> bool:
    match = _LAYER.fullmatch(key)
    return match is not None and len(match[1]) < 12 and int(match[1]) < count


def member_keys(archive: ZipReader) -> dict[str, str]:
    """Return the members by the names that numpy gives them.

    Raises
    ------
    ReadError
        For two members of one name.
    """
    keys = {name.removesuffix(".npy"): name for name in archive.names}
    if len(keys) != len(archive.names):
        twice = next(n for n in keys if n in archive and f"{n}.npy" in archive)
        raise ReadError(f"the archive holds {twice!r} and {twice + '.npy'!r}; which is meant?")
    return keys


def check_total(pair: Pair, arrays: Sequence[Array]) -> None:
    """Refuse a record that speaks of another number of parameters than there are."""
    total = pair.record.total if pair.record else None
    found = sum(array.size for array in arrays)
    if total is not None and total != found:
        raise ReadError(
            f"{pair.name!r} speaks of {total} parameters, the archive holds {found}; "
            "the two files do not belong together"
        )
