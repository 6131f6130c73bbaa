"""How arrays lie in a framework's file, and how the model holds them: always as views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

from snnbridge.errors import ReadError
from snnbridge.model import Array

_WORDS = frozenset({"axes", "lead", "tail", "columns"})
#: No array of numpy has more axes.
_MOST_AXES = 64


@dataclass(frozen=True, slots=True)
class ArrayForm:
    """The way from a stored array to the one that a layer holds, and back.

    One of the parameters differs from its default at most.

    Parameters
    ----------
    axes : tuple of int
        The stored axes in the order of the held ones; empty for the same order.
    lead : int
        Axes of length one that the stored array has in front.
    tail : bool
        Whether the stored array has one more axis at its end, of length one.
    columns : tuple of int
        The first column and the one behind the last that the array has of a stored matrix, which
        holds others beside it; empty for all.

    Examples
    --------
    >>> import numpy as np
    >>> from snnbridge.document import ArrayForm
    >>> ArrayForm((3, 2, 0, 1)).held(np.zeros((3, 3, 1, 8))).shape
    (8, 1, 3, 3)
    >>> ArrayForm(lead=1).stored(np.zeros(3)).shape, ArrayForm(tail=True).stored(np.zeros(3)).shape
    ((1, 3), (3, 1))
    """

    axes: tuple[int, ...] = ()
    lead: int = 0
    tail: bool = False
    columns: tuple[int, ...] = ()
    _back: tuple[int, ...] = field(init=False, repr=False, compare=False)
    as_json: Mapping[str, Any] = field(init=False, repr=False, compare=False)
    """What differs from the plain form, for :meth:`from_json`."""

    def __post_init__(self) -> None:
        back = sorted(range(len(self.axes)), key=self.axes.__getitem__)
        object.__setattr__(self, "_back", tuple(back))
        told = {
            "axes": list(self.axes),
            "lead": self.lead,
            "tail": self.tail,
            "columns": list(self.columns),
        }
        object.__setattr__(self, "as_json", {key: value for key, value in told.items() if value})

    def fits(self, stored: Array) -> bool:
        """Whether an array may be stored in this form."""
        if self.columns:
            return stored.ndim == 2 and self.columns[1] <= stored.shape[1]
        if self.tail:
            return stored.ndim > 0 and stored.shape[-1] == 1
        if self.axes:
            return stored.ndim == len(self.axes)
        return stored.ndim >= self.lead and stored.shape[: self.lead] == (1,) * self.lead

    def held(self, stored: Array) -> Array:
        """Return a view of a stored array, which must fit, as the layer holds it."""
        if self.columns:
            return stored[:, slice(*self.columns)]
        if self.tail:
            return stored.reshape(stored.shape[:-1])
        if self.axes:
            return stored.transpose(self.axes)
        return stored.reshape(stored.shape[self.lead :]) if self.lead else stored

    def stored(self, held: Array) -> Array:
        """Return a view of a layer's array as the file stores it, or its part of that."""
        if self.tail:
            return held[..., None]
        if self.axes:
            return held.transpose(self._back)
        return held.reshape((1,) * self.lead + held.shape) if self.lead else held

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ArrayForm:
        """Read what :attr:`as_json` gives, from a stranger's file; other keys are passed over.

        Raises
        ------
        ReadError
            If it is no form.
        """
        told = {key: value[key] for key in _WORDS & value.keys()}
        if not told:
            return AS_IT_IS
        axes, columns = told.get("axes", ()), told.get("columns", ())
        lead, tail = told.get("lead", 0), told.get("tail", False)
        lists = isinstance(axes, list | tuple) and isinstance(columns, list | tuple)
        numbers = lists and all(type(n) is int for n in (*axes, lead, *columns))
        if numbers and type(tail) is bool:
            found = _form(tuple(axes), lead, tail, tuple(columns))
            if found is not None:
                return found
        raise ReadError(f"an array's place has {told!r:.200}, which is no way to store an array")


@lru_cache(maxsize=1024)
def _form(
    axes: tuple[int, ...], lead: int, tail: bool, columns: tuple[int, ...]
) -> ArrayForm | None:
    """Return the form of these numbers, if there is one."""
    if sum(map(bool, (axes, lead, tail, columns))) > 1 or not 0 <= lead <= _MOST_AXES:
        return None
    if sorted(axes) != list(range(len(axes))):
        return None
    if columns and (len(columns) != 2 or not 0 <= columns[0] <= columns[1]):
        return None
    return ArrayForm(axes, lead, tail, columns)


AS_IT_IS, TRANSPOSED, WITH_TAIL = ArrayForm(), ArrayForm((1, 0)), ArrayForm(tail=True)


@cache
def channels_last(axes: int, lead: int = 0) -> ArrayForm:
    """Return the form of images: channels last in the file, first in the model.

    Parameters
    ----------
    axes : int
        Of the array.
    lead : int
        How many of them stand before those of the image.

    Examples
    --------
    >>> import numpy as np
    >>> from snnbridge.document import channels_last
    >>> channels_last(3).held(np.zeros((28, 20, 6))).shape
    (6, 28, 20)
    """
    if axes - lead < 2:
        return AS_IT_IS
    return ArrayForm((*range(lead), axes - 1, *range(lead, axes - 1)))


def over_images(array: Array, axes: int) -> Array:
    """Return a view of an array that broadcasts to images, with as many axes as they have.

    One number stays as it is, and so does what has them.

    Examples
    --------
    >>> import numpy as np
    >>> from snnbridge.document import over_images
    >>> over_images(np.zeros(6), 3).shape, over_images(np.zeros(1), 3).shape
    ((1, 1, 6), (1,))
    """
    if array.size == 1 or array.ndim == axes or axes < 2:
        return array
    shape = array.shape[max(array.ndim - axes, 0) :]
    return array.reshape((1,) * (axes - len(shape)) + shape)
