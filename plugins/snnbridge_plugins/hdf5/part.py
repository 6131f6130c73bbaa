"""Some layers of a document instead of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from snnbridge import OptionError, ReadError


def part_of(document: dict[str, Any], names: Sequence[str]) -> list[str]:
    """Reduce a document to some layers and what belongs to them.

    Kept are the layers in the order of the file, the connections between them, their state, the
    time step, the metadata and the provenance. Training and extras belong to the whole.

    Parameters
    ----------
    document : dict
        As :func:`snnbridge.document.from_document` takes it; changed in place.
    names : sequence of str
        Of layers.

    Returns
    -------
    list of str
        What was left out, for people to read.

    Raises
    ------
    OptionError
        For a name that no layer has.
    ReadError
        If the document is damaged.
    """
    try:
        present = [layer["name"] for layer in document["layers"]]
        missing = [name for name in names if name not in present]
        notes = [] if missing else _reduce(document, set(names), len(present))
    except (TypeError, KeyError, IndexError, AttributeError) as error:
        raise ReadError(f"the document is damaged: {error!r}") from error
    if missing:
        shown = ", ".join(map(repr, present[:8])) + (", ..." if len(present) > 8 else "")
        raise OptionError(f"there is no layer {missing[0]!r} to read; the file has {shown}")
    return notes


def _reduce(document: dict[str, Any], chosen: set[str], count: int) -> list[str]:
    notes = [f"only {len(chosen)} of {count} layers were read"]
    keep = _Keeper(document, notes)
    keep("layers", lambda layer: layer["name"] in chosen)
    if isinstance(document["connections"], list):
        keep("connections", lambda c: c[0] in chosen and c[1] in chosen)
    keep("state", lambda state: state["path"][0] in chosen)
    keep("frozen_layers", lambda name: name in chosen)
    keep("ties", lambda tie: all(path[0] in chosen for path in tie))
    for name in ("training", "extras"):
        if document[name]:
            notes.append(f"{name} was left out")
            document[name] = {}
    return notes


class _Keeper:
    def __init__(self, document: dict[str, Any], notes: list[str]) -> None:
        self._document = document
        self._notes = notes

    def __call__(self, name: str, wanted: Callable[[Any], bool]) -> None:
        everything = self._document[name]
        self._document[name] = [item for item in everything if wanted(item)]
        left = len(everything) - len(self._document[name])
        if left and name != "layers":
            self._notes.append(f"{left} of {len(everything)} {name} were left out")
