"""How BrainPy's arrays lie in a file, and how the model holds them: always as views."""

from __future__ import annotations

from functools import lru_cache

from snnbridge.document import AS_IT_IS, TRANSPOSED, ArrayForm, channels_last
from snnbridge.model import UNKNOWN, BatchNorm, Conv1d, Conv2d, Layer, Linear
from snnbridge.model.values import Unknown


def state_form(axes: int, batch_axis: int | Unknown | None) -> ArrayForm:
    """Return the form of a neuron's variable; where nothing is known of a batch there is one."""
    if batch_axis is None:
        return channels_last(axes)
    return channels_last(axes, 1) if batch_axis in (0, UNKNOWN) else AS_IT_IS


@lru_cache(maxsize=4096)
def role(letter: str, name: str, form: ArrayForm = AS_IT_IS) -> str:
    """Write where an entry went: ``p:weight``, ``s:v``, ``o:steps``, ``s0312:v`` with axes.

    Examples
    --------
    >>> role("s", "v", ArrayForm((0, 2, 1)))
    's021:v'
    """
    return f"{letter}{''.join(_DIGITS[n] for n in form.axes)}:{name}"


def parse_role(text: str) -> tuple[str, ArrayForm, str]:
    """Read what :func:`role` wrote; a letter of none where it is something else.

    Examples
    --------
    >>> parse_role("s021:v")[::2]
    ('s', 'v')
    """
    head, _, name = text.partition(":")
    axes = tuple(_DIGITS.find(digit) for digit in head[1:])
    if sorted(axes) != list(range(len(axes))):
        return "", AS_IT_IS, name
    return head[:1], ArrayForm(axes) if axes else AS_IT_IS, name


_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"

#: By kind of layer: BrainPy's attribute, the parameter, and its form; in BrainPy's order.
ARRAYS: dict[type[Layer], dict[str, tuple[str, ArrayForm]]] = {
    Linear: {"W": ("weight", TRANSPOSED), "b": ("bias", AS_IT_IS)},
    Conv1d: {"w": ("weight", ArrayForm((2, 1, 0))), "b": ("bias", ArrayForm(lead=1))},
    Conv2d: {"w": ("weight", ArrayForm((3, 2, 0, 1))), "b": ("bias", ArrayForm(lead=2))},
    BatchNorm: {
        "running_mean": ("mean", AS_IT_IS),
        "running_var": ("variance", AS_IT_IS),
        "bias": ("bias", AS_IT_IS),
        "scale": ("weight", AS_IT_IS),
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
