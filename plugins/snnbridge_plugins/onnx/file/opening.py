"""Opening a model and the files of data beside it, all of one version.

Somebody may replace them meanwhile. This package's writer takes the old model away before it
replaces the data, so data that was opened while the model stayed the same is the model's. Other
writers replace the files one after the other, or write into them: the digests of the arrays
tell. What does not fit is opened again, for as long as the files change.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from snnbridge import ReadError
from snnbridge.storage import Source
from snnbridge_plugins.onnx.file.arrays import Tensors, locations
from snnbridge_plugins.onnx.file.models import Model, open_model
from snnbridge_plugins.onnx.file.vetting import vet

_TRIES = 50
#: How often the same bytes are looked at before they count as changed by a tool.
_LOOKS = 4
_FIRST_PAUSE = 0.002
_LONGEST_PAUSE = 0.02


@dataclass(frozen=True)
class Opened:
    """A model with its tensors.

    Attributes
    ----------
    model : Model
        Vetted.
    held : mapping or None
        What this package put into the model, if it wrote it.
    tensors : Tensors
    """

    model: Model
    held: Mapping[str, Any] | None
    tensors: Tensors

    def misfits(self) -> list[str]:
        """Return the tensors in files of data whose bytes are not those that were written."""
        stated = _stated(self.held) if self.held else {}
        return [
            name
            for name in self.tensors.names()
            if name in stated
            and self.tensors.is_outside(name)
            and self.tensors.digest(name) != stated[name]
        ]


def _stated(held: Mapping[str, Any]) -> dict[str, Any]:
    """Return the digests of tensors: those of the document, and those of the graph alone."""
    found = {each["initializer"]: each.get("sha256") for each in references(held["document"])}
    return found | derived(held)


def derived(held: Mapping[str, Any]) -> dict[str, Any]:
    """Return the digests of tensors in another file that only the graph computes with."""
    graph = held.get("graph")
    found = graph.get("digests") if isinstance(graph, dict) else None
    return found if isinstance(found, dict) else {}


def references(node: Any) -> Iterator[dict[str, Any]]:
    """Yield each reference of a document to a tensor."""
    if isinstance(node, dict) and set(node) == {"$array"}:
        held = node["$array"]
        if isinstance(held, dict) and isinstance(held.get("initializer"), str):
            yield held
    elif isinstance(node, dict | list):
        for each in node.values() if isinstance(node, dict) else node:
            if isinstance(each, dict | list):
                yield from references(each)


def open_whole(source: Source, *, check: bool = True) -> Opened:
    """Open a model and its files of data.

    Parameters
    ----------
    source : Source
        The model; opened again if somebody replaced it.
    check : bool
        Whether arrays in other files are compared with their digests.

    Raises
    ------
    FileNotFoundError
        Without the data.
    ReadError
        If the model is damaged or hostile, its data may not be read, or the files were replaced
        all the time.
    """
    model, look = _vetted(source), None
    for attempt in range(_TRIES):
        names = locations(model.message["graph"])
        *files, again = _beside(source, model, names)
        if again.identity != model.source.identity:
            model, look = _vetted(again), None
            continue
        look = _looked_at(look, model, dict(zip(names, files, strict=True)), check=check)
        if look.fits or look.count == _LOOKS:
            return look.opened
        time.sleep(min(_FIRST_PAUSE * (attempt + 1), _LONGEST_PAUSE))
    raise ReadError(
        f"{str(source.path)!r} and the data beside it were replaced all the time; read them when "
        "their writer has finished"
    )


def _vetted(source: Source) -> Model:
    model = open_model(source)
    vet(model.message)
    return model


def _beside(source: Source, model: Model, names: list[str]) -> list[Source]:
    """Open the files of data, then the model again; the model alone if that was replaced."""
    name = source.path.name
    if not names:
        return [model.source]
    try:
        found = source.together([*names, name], lambda _: True, follow=False)
    except FileNotFoundError as error:
        found = source.together([name], lambda _: True)
        if found[0].identity == model.source.identity:
            raise FileNotFoundError(
                f"{error.filename}: no such file; {name!r} keeps arrays in it"
            ) from None
    for file in found[:-1]:
        if file.is_dir or (file.links > 1 and file.identity != model.source.identity):
            raise ReadError(f"{file.path.name!r} is a folder or a hard link; it is not read")
    return found


@dataclass(frozen=True)
class _Look:
    """What was found, and how often in a row.

    Attributes
    ----------
    identities : list
        Of the files of data.
    opened : Opened
    fits : bool
        Whether every array in them has its digest.
    count : int
    """

    identities: list[object]
    opened: Opened
    fits: bool
    count: int = 1


def _looked_at(
    last: _Look | None, model: Model, files: Mapping[str, Source], *, check: bool
) -> _Look:
    identities: list[object] = [file.identity for file in files.values()]
    if last is not None and last.identities == identities:
        return replace(last, count=last.count + 1)
    data = {name: file.data for name, file in files.items()}
    opened = Opened(model, model.held(), Tensors(model.message["graph"], data))
    return _Look(identities, opened, not (check and opened.misfits()))
