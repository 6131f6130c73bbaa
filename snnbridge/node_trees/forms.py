"""How BrainPy's arrays lie in a file, and how the model holds them: always as views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

from snnbridge.errors import ReadError
from snnbridge.model import UNKNOWN, Array, BatchNorm, Conv1d, Conv2d, Layer, Linear
from snnbridge.model.values import Unknown


@dataclass(frozen=True, slots=True)
class Form:
    """The way from a stored array to the one that a layer holds, and back.

    Parameters
    ----------
    axes : tuple of int
        The stored axes in the order of the held ones; empty for the same order.
    lead : int
        Axes of length one that the stored array has in front.

    Examples
    --------
    >>> import numpy as np
    >>> Form((3, 2, 0, 1)).held(np.zeros((3, 3, 1, 8))).shape
    (8, 1, 3, 3)
    """

    axes: tuple[int, ...] = ()
    lead: int = 0
    _back: tuple[int, ...] = field(init=False, repr=False, compare=False)
    as_json: Mapping[str, Any] = field(init=False, repr=False, compare=False)
    """What differs from the plain form, for :meth:`from_json`."""

    def __post_init__(self) -> None:
        back = sorted(range(len(self.axes)), key=self.axes.__getitem__)
        object.__setattr__(self, "_back", tuple(back))
        told: dict[str, Any] = {"axes": list(self.axes)} if self.axes else {}
        object.__setattr__(self, "as_json", told | ({"lead": self.lead} if self.lead else {}))

    def fits(self, stored: Array) -> bool:
        """Whether an array may be stored in this form."""
        if self.axes:
            return stored.ndim == len(self.axes)
        return stored.ndim >= self.lead and stored.shape[: self.lead] == (1,) * self.lead

    def held(self, stored: Array) -> Array:
        """Return a view of a stored array, which must fit, as the layer holds it."""
        if self.axes:
            return stored.transpose(self.axes)
        return stored.reshape(stored.shape[self.lead :]) if self.lead else stored

    def stored(self, held: Array) -> Array:
        """Return a view of a layer's array as the file stores it."""
        if self.axes:
            return held.transpose(self._back)
        return held.reshape((1,) * self.lead + held.shape) if self.lead else held

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Form:
        """Read what :attr:`as_json` gives, from a stranger's file.

        Raises
        ------
        ReadError
            If it is no form.
        """
        axes, lead = value.get("axes", ()), value.get("lead", 0)
        try:
            return _checked(tuple(axes), lead)
        except TypeError as error:
            raise ReadError(f"an array's place has the axes {axes!r} and lead {lead!r}") from error


@lru_cache(maxsize=1024)
def _checked(axes: tuple[Any, ...], lead: Any) -> Form:
    whole = all(type(n) is int for n in (*axes, lead))
    if not whole or sorted(axes) != list(range(len(axes))) or not 0 <= lead <= 32:
        raise ReadError(f"an array's axes {axes!r} and lead {lead!r} are no form of storage")
    return Form(axes, lead)


PLAIN = Form()


@cache
def channels_last(axes: int, lead: int) -> Form:
    """Return the form of images: channels last in the file, first in the model.

    Parameters
    ----------
    axes : int
        Of the array.
    lead : int
        How many of them stand before those of the image.
    """
    if axes - lead < 2:
        return PLAIN
    return Form((*range(lead), axes - 1, *range(lead, axes - 1)))


def state_form(axes: int, batch_axis: int | Unknown | None) -> Form:
    """Return the form of a neuron's variable; where nothing is known of a batch there is one."""
    if batch_axis is None:
        return channels_last(axes, 0)
    return channels_last(axes, 1) if batch_axis in (0, UNKNOWN) else PLAIN


@lru_cache(maxsize=4096)
def role(letter: str, name: str, form: Form = PLAIN) -> str:
    """Write where an entry went: ``p:weight``, ``s:v``, ``o:steps``, ``s0312:v`` with axes.

    Examples
    --------
    >>> role("s", "v", Form((0, 2, 1)))
    's021:v'
    """
    return f"{letter}{''.join(_DIGITS[n] for n in form.axes)}:{name}"


def parse_role(text: str) -> tuple[str, Form, str]:
    """Read what :func:`role` wrote; a letter of none where it is something else.

    Examples
    --------
    >>> parse_role("s021:v")[::2]
    ('s', 'v')
    """
    head, _, name = text.partition(":")
    axes = tuple(_DIGITS.find(digit) for digit in head[1:])
    if sorted(axes) != list(range(len(axes))):
        return "", PLAIN, name
    return head[:1], Form(axes) if axes else PLAIN, name


_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"

#: By kind of layer: BrainPy's attribute, the parameter, and its form; in BrainPy's order.
ARRAYS: dict[type[Layer], dict[str, tuple[str, Form]]] = {
    Linear: {"W": ("weight", Form((1, 0))), "b": ("bias", PLAIN)},
    Conv1d: {"w": ("weight", Form((2, 1, 0))), "b": ("bias", Form(lead=1))},
    Conv2d: {"w": ("weight", Form((3, 2, 0, 1))), "b": ("bias", Form(lead=2))},
    BatchNorm: {
        "running_mean": ("mean", PLAIN),
        "running_var": ("variance", PLAIN),
        "bias": ("bias", PLAIN),
        "scale": ("weight", PLAIN),
    },
}

_MEMBRANE = {"x": "v"}
_CURRENT = {"g": "i"}
_STATES = {
    "Integrator": _MEMBRANE,
    "Leaky": _MEMBRANE,
    "Expon": _CURRENT,
    "DualExpon": _CURRENT,
    "Alpha": _CURRENT,
    "DualExponV2": {},
}


def states_of(kind: str) -> dict[str, str]:
    """Return the model's names of a class's variables where they are not BrainPy's own."""
    return _STATES.get(kind, {"V": "v"})
