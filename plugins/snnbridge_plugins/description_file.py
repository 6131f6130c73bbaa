"""A checkpoint's description in a second file, beside one to which nothing can be added.

``NAME.snnbridge`` stands beside ``NAME``, the framework's own file, whose loader would refuse one
more key. It is a zip archive of stored members:

===================  ========================================================================
``<format>.json``    ``native_sha256``, the digest of the other file, and ``checkpoint``, the
                     document of :mod:`snnbridge.document`; an array's place is
                     ``{"at": [key, ...]}``, its path in the other file, with its form there, or
                     ``{"member": n, "dtype": name, "shape": [...]}``
``0``, ``1``, ...    the elements of arrays for which the other file has no place
===================  ========================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from snnbridge import IntegrityError, Probe, ReadError, SNNCheckpoint, WriteError
from snnbridge.document import dtype_name, dtype_of, from_document, to_document
from snnbridge.document.arrays import checked
from snnbridge.model import Array, Path
from snnbridge.storage import (
    Limits,
    Source,
    StoredZip,
    Target,
    ZipReader,
    dump_json,
    parse_json,
    view,
)
from snnbridge_plugins.torch.forms import Form

SUFFIX = ".snnbridge"
#: For each array of a checkpoint that stands in the other file its place and form there.
Places = Mapping[Path, tuple[tuple[str, ...], Form]]


def is_described(probe: Probe, name: str) -> bool:
    """Whether a file is a description of a format, or has one beside it."""
    if not probe.exists or probe.is_folder:
        return False
    if probe.path.name.endswith(SUFFIX):
        return _is_description(probe.head, name)
    beside = Probe(probe.path.with_name(probe.path.name + SUFFIX))
    return _is_description(beside.head, name)


def _is_description(head: bytes, name: str) -> bool:
    return head.startswith(b"PK\x03\x04") and head[30:].startswith(f"{name}.json".encode())


class Description:
    """The open description of a file.

    Parameters
    ----------
    archive : ZipReader
    document : dict
    """

    def __init__(self, archive: ZipReader, name: str) -> None:
        self._archive = archive
        text = archive.data(f"{name}.json", verify=True)
        limits = Limits(json_bytes=len(text), json_items=max(Limits().json_items, len(text) // 8))
        self.document = parse_json(text, where="the description", limits=limits)

    def is_of(self, native: Source) -> bool:
        """Whether it was written together with a file."""
        held = self.document.get("native_sha256") if isinstance(self.document, dict) else None
        return held == native.digest()

    def checkpoint(self, tree: Any) -> SNNCheckpoint:
        """Return the checkpoint, whose arrays are taken from the framework's tree."""

        def fetch(place: Any) -> Array:
            if not isinstance(place, dict):
                raise ReadError(f"an array's place must be an object, found {place!r}")
            return self._member(place) if "member" in place else _stored(tree, place)

        return from_document(self.document.get("checkpoint"), fetch)

    def _member(self, place: Mapping[str, Any]) -> Array:
        where, shape = f"the member {place['member']!r}", place.get("shape")
        if not isinstance(shape, list) or any(type(n) is not int for n in shape):
            raise ReadError(f"the description gives {where} the shape {shape!r}")
        dtype = dtype_of(str(place.get("dtype"))).newbyteorder("<")
        data = self._archive.data(str(place["member"]), verify=True)
        return checked(view(data, dtype, tuple(shape), where=where), where)


def _stored(tree: Any, place: Mapping[str, Any]) -> Array:
    at = place.get("at")
    for key in at if isinstance(at, list) else ():
        tree = tree.get(key) if isinstance(tree, dict) and isinstance(key, str) else None
    form = Form.from_json(place)
    if not hasattr(tree, "dtype") or not form.fits(tree):
        raise ReadError(f"there is no such array at {at!r} as the description says")
    return form.held(tree)


def opened(source: Source, name: str, *, alone: bool) -> tuple[Source, Description | None]:
    """Open a file and its description, whichever of them is named.

    Parameters
    ----------
    source : Source
    name : str
        Of the format.
    alone : bool
        Whether the description is passed over.

    Raises
    ------
    FileNotFoundError
        If there is no file beside a description.
    IntegrityError
        If the description is of other contents.
    ReadError
        If it is damaged.
    """
    base = source.path.name.removesuffix(SUFFIX)
    if alone and base == source.path.name:
        return source, None
    found: list[Description] = []

    def belongs(sources: Any) -> bool:
        where = repr(base + SUFFIX)
        archive = ZipReader(sources[1].data, where=where, limits=source.limits)
        found[:] = [Description(archive, name)]
        return found[0].is_of(sources[0])

    try:
        native = source.together([base, base + SUFFIX], belongs)[0]
    except FileNotFoundError:
        if base != source.path.name:
            raise
        return source, None
    except IntegrityError as error:
        raise IntegrityError(
            f"{base + SUFFIX!r} describes other contents than {base!r} has now; if the framework "
            "saved that anew, read it with description=no or remove the description"
        ) from error
    return native, found[0]


def write(
    target: Target,
    name: str,
    native: Callable[[Callable[[Any], object]], object],
    described: tuple[SNNCheckpoint, Places] | None,
) -> None:
    """Write a file and, unless there is nothing more to say, its description.

    Parameters
    ----------
    target : Target
    name : str
        Of the format.
    native : function of a function that writes bytes
        Writes the framework's file.
    described : checkpoint and places, optional
        What the description says; None for a file alone.

    Raises
    ------
    WriteError
        If the description of another checkpoint would stand beside the file.
    """
    beside = target.path.with_name(target.path.name + SUFFIX)
    if described is None and beside.exists():
        raise WriteError(f"{beside} describes the file that stands there now; remove it first")
    with target.open(sha256=True) as file:
        native(file.write)
    if described is None:
        return
    checkpoint, places = described
    members: list[Array] = []

    def place(path: Path, array: Array) -> dict[str, Any]:
        if path in places:
            at, form = places[path]
            return {"at": list(at), **form.as_json}
        members.append(array)
        what = {"dtype": dtype_name(array.dtype), "shape": list(array.shape)}
        return {"member": len(members) - 1, **what}

    document = {"native_sha256": file.sha256, "checkpoint": to_document(checkpoint, place)}
    with target.open(SUFFIX) as head, StoredZip(head) as archive:
        archive.add(f"{name}.json", dump_json(document))
        for number, array in enumerate(members):
            archive.add_elements(str(number), array)
