"""Where the arrays of a document stand: in the framework's own tree, or beside it.

A document (:mod:`snnbridge.document`) has for each array of the checkpoint its place:
``{"at": [key, ...]}``, the path in the tree, with the form that it has there; where the tree has no
place for it, ``{"member": n, "dtype": name, "shape": [...]}``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from snnbridge import ReadError
from snnbridge.document import ArrayForm, dtype_and_shape
from snnbridge.model import Array, Path

#: For each array of a checkpoint that stands in a tree its path and form there.
Places = Mapping[Path, tuple[Path, ArrayForm]]


class Placing:
    """Gives each array of a document its place, and keeps those that the tree has none for.

    Parameters
    ----------
    places : mapping of path to (path, ArrayForm)

    Attributes
    ----------
    members : list of array
        Those beside the tree, by number.
    """

    def __init__(self, places: Places) -> None:
        self._places = places
        self.members: list[Array] = []

    def __call__(self, path: Path, array: Array) -> dict[str, Any]:
        """Return the place of an array; without one in the tree it becomes a member."""
        stands = self.in_the_tree(path)
        if stands is not None:
            return stands
        self.members.append(array)
        return {"member": len(self.members) - 1, **dtype_and_shape(array)}

    def in_the_tree(self, path: Path) -> dict[str, Any] | None:
        """Return the place of an array in the tree, if it has one."""
        if path not in self._places:
            return None
        at, form = self._places[path]
        return {"at": list(at), **form.as_json}


def fetching(
    tree: Any, beside: Callable[[Mapping[str, Any]], Array], word: str = "member"
) -> Callable[[Any], Array]:
    """Return the function that finds a document's arrays where they stand now.

    Parameters
    ----------
    tree
        Dicts, lists and arrays.
    beside : function of a place
        Returns an array that stands beside the tree.
    word : str
        The key that the places of those have.
    """

    def fetch(place: Any) -> Array:
        if not isinstance(place, dict):
            raise ReadError(f"an array's place must be an object, found {place!r}")
        if word in place:
            return beside(place)
        stored = _at(tree, place.get("at"))
        form = ArrayForm.from_json(place)
        if not form.fits(stored):
            raise ReadError(
                f"the array at {place['at']!r} has the shape {stored.shape}, which does not fit "
                f"its place {form.as_json}"
            )
        return form.held(stored)

    return fetch


def _at(tree: Any, path: Any) -> Array:
    for key in path if isinstance(path, list) else ():
        if isinstance(tree, dict) and isinstance(key, str):
            tree = tree.get(key)
        elif isinstance(tree, list) and isinstance(key, str) and key.isdecimal():
            tree = tree[int(key)] if int(key) < len(tree) else None
        else:
            tree = None
    if not isinstance(tree, np.ndarray):
        raise ReadError(f"there is no array at {path!r}, where the document says")
    return tree
