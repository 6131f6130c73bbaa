"""How BrainPy's arrays lie in a file, and how the model holds them: always as views."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from snnbridge.errors import ReadError
from snnbridge.model import Array, BatchNorm, Conv1d, Conv2d, Layer, Linear


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

    def held(self, stored: Array) -> Array:
        """Return a view of a stored array as the layer holds it.

        Raises
        ------
        ReadError
            If the array does not have the axes that the form speaks of.
        """
        if self.axes:
            if sorted(self.axes) != list(range(stored.ndim)):
                raise ReadError(f"an array of shape {stored.shape} has no axes {self.axes}")
            return stored.transpose(self.axes)
        if any(n != 1 for n in stored.shape[: self.lead]) or stored.ndim < self.lead:
            raise ReadError(f"an array of shape {stored.shape} must start with {self.lead} ones")
        return stored.reshape(stored.shape[self.lead :])

    def stored(self, held: Array) -> Array:
        """Return a view of a layer's array as the file stores it."""
        if self.axes:
            return held.transpose(np.argsort(self.axes))
        return held.reshape((1,) * self.lead + held.shape)

    def as_json(self) -> dict[str, Any]:
        """Return what differs from the plain form."""
        found: dict[str, Any] = {}
        if self.axes:
            found["axes"] = list(self.axes)
        if self.lead:
            found["lead"] = self.lead
        return found


PLAIN = Form()

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


def form_of(layer: Layer, parameter: str) -> Form:
    """Return the form of one of a layer's parameters."""
    arrays = ARRAYS.get(type(layer), {})
    return next((form for name, form in arrays.values() if name == parameter), PLAIN)


def states_of(kind: str) -> dict[str, str]:
    """Return the model's names of a class's variables where they are not BrainPy's own."""
    return _STATES.get(kind, {"V": "v"})
