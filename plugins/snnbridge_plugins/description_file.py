"""A checkpoint's description in a second file, beside one to which nothing can be added.

``NAME.snnbridge`` stands beside ``NAME``, the framework's own file, whose loader would refuse one
more key. It is a zip archive of stored members:

===================  ========================================================================
``<format>.json``    ``native_sha256``, the digest of the other file, and ``checkpoint``, the
                     document of :mod:`snnbridge.document` with places of arrays as in
                     :mod:`snnbridge_plugins.array_places`
``0``, ``1``, ...    the elements of arrays for which the other file has no place
===================  ========================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from snnbridge import IntegrityError, Probe, SNNCheckpoint, WriteError
from snnbridge.document import from_document, from_elements, to_document
from snnbridge.model import Array
from snnbridge.storage import (
    Limits,
    Source,
    StoredZip,
    Target,
    ZipReader,
    dump_json,
    first_member,
    parse_json,
)
from snnbridge_plugins.array_places import Places, Placing, fetching

SUFFIX = ".snnbridge"


def is_described(probe: Probe, name: str) -> bool:
    """Whether a file is a description of a format, or has one beside it."""
    if not probe.exists or probe.is_folder:
        return False
    if probe.path.name.endswith(SUFFIX):
        return _is_description(probe.head, name)
    beside = Probe(probe.path.with_name(probe.path.name + SUFFIX))
    return _is_description(beside.head, name)


def _is_description(head: bytes, name: str) -> bool:
    return first_member(head) == f"{name}.json".encode()


class Description:
    """The open description of a file.

    Parameters
    ----------
    archive : ZipReader
    name : str
        Of the format.

    Attributes
    ----------
    document : dict
        What the archive's head says; checked no further.
    """

    def __init__(self, archive: ZipReader, name: str) -> None:
        self._archive = archive
        text = archive.data(f"{name}.json", verify=True)
        limits = Limits.for_text(len(text))
        self.document = parse_json(text, where="the description", limits=limits)

    def is_of(self, native: Source) -> bool:
        """Whether it was written together with a file."""
        held = self.document.get("native_sha256") if isinstance(self.document, dict) else None
        return held == native.digest()

    def checkpoint(self, tree: Any) -> SNNCheckpoint:
        """Return the checkpoint, whose arrays are taken from the framework's tree."""
        return from_document(self.document.get("checkpoint"), fetching(tree, self._member))

    def _member(self, place: Mapping[str, Any]) -> Array:
        name = str(place["member"])
        data = self._archive.data(name, verify=True)
        return from_elements(place, data, f"the member {name!r}")


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
    placing = Placing(places)
    document = {"native_sha256": file.sha256, "checkpoint": to_document(checkpoint, placing)}
    with target.open(SUFFIX) as head, StoredZip(head) as archive:
        archive.add(f"{name}.json", dump_json(document))
        for number, array in enumerate(placing.members):
            archive.add_elements(str(number), array)
