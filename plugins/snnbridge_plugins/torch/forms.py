"""How tensors lie in a state dict, and how the model holds them: always as views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from snnbridge import ReadError
from snnbridge.model import Array


@dataclass(frozen=True, slots=True)
class Form:
    """The way from a stored tensor to the array that a layer holds, and back.

    Parameters
    ----------
    axes : tuple of int
        The stored axes in the order of the held ones; empty for the same order.
    tail : bool
        Whether the stored tensor has one more axis at its end, of length one.
    columns : tuple of int
        The first column and the one behind the last that the array has of a stored matrix, which
        holds others beside it; empty for all.

    Examples
    --------
    >>> import numpy as np
    >>> Form((1, 0)).held(np.zeros((2, 3))).shape, Form(tail=True).held(np.zeros((2, 1))).shape
    ((3, 2), (2,))
    """

    axes: tuple[int, ...] = ()
    tail: bool = False
    columns: tuple[int, ...] = ()

    def fits(self, stored: Array) -> bool:
        """Whether a tensor may be stored in this form."""
        if self.columns:
            return stored.ndim == 2 and self.columns[1] <= stored.shape[1]
        if self.tail:
            return stored.ndim > 0 and stored.shape[-1] == 1
        return not self.axes or stored.ndim == len(self.axes)

    def held(self, stored: Array) -> Array:
        """Return a view of a stored tensor, which must fit, as the layer holds it."""
        if self.columns:
            return stored[:, slice(*self.columns)]
        if self.tail:
            return stored.reshape(stored.shape[:-1])
        return stored.transpose(self.axes) if self.axes else stored

    def stored(self, held: Array) -> Array:
        """Return a view of a layer's array as the file stores it, or its part of that."""
        if self.tail:
            return held[..., None]
        back = sorted(range(len(self.axes)), key=self.axes.__getitem__)
        return held.transpose(back) if self.axes else held

    @property
    def as_json(self) -> dict[str, Any]:
        """What differs from the plain form, for :meth:`from_json`."""
        told = {"axes": list(self.axes), "tail": self.tail, "columns": list(self.columns)}
        return {key: value for key, value in told.items() if value}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Form:
        """Read what :attr:`as_json` gives, from a stranger's file.

        Raises
        ------
        ReadError
            If it is no form.
        """
        axes, tail = value.get("axes", []), value.get("tail", False)
        known = isinstance(axes, list | tuple) and all(type(n) is int for n in axes)
        if not known or sorted(axes) != list(range(len(axes))) or type(tail) is not bool:
            raise ReadError(f"a tensor's place has the axes {axes!r} and the tail {tail!r}")
        columns = value.get("columns", [])
        numbers = isinstance(columns, list | tuple) and all(type(n) is int for n in columns)
        if not numbers or (columns and (len(columns) != 2 or not 0 <= columns[0] <= columns[1])):
            raise ReadError(f"a tensor's place has the columns {columns!r}")
        return cls(tuple(axes), tail, tuple(columns))


AS_IT_IS, TRANSPOSED, WITH_TAIL = Form(), Form((1, 0)), Form(tail=True)
