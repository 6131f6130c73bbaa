"""The names under which flax and Spyx keep arrays, and the layers that they stand for."""

from __future__ import annotations

from collections.abc import Mapping

from snnbridge import Conv1d, Conv2d, Linear
from snnbridge_plugins.torch.forms import AS_IT_IS, TRANSPOSED, Form

#: By the axes of a kernel, (..., in, out), the layer and how its weight, (out, in, ...), lies.
KERNELS = {
    2: (Linear, TRANSPOSED),
    3: (Conv1d, Form((2, 1, 0))),
    4: (Conv2d, Form((3, 2, 0, 1))),
}
FORMS: Mapping[type, Form] = dict(KERNELS.values())
NORM = {"bias": "bias", "mean": "mean", "scale": "weight", "var": "variance"}

#: What neurons keep: the layer below their name, its parameter and the form.
PLACES: Mapping[str, tuple[str, str, Form]] = {
    "alpha": (".synapse", "decay", AS_IT_IS),
    "beta": ("", "decay", AS_IT_IS),
    "recurrent_w": (".recurrent", "weight", TRANSPOSED),
}
#: The keys of each class; those of a decay alone are LIF's, LI's and PSU_LIF's alike.
NEURONS = {
    "CuBaLIF": ("alpha", "beta"),
    "RIF": ("recurrent_w",),
    "RLIF": ("beta", "recurrent_w"),
    "RCuBaLIF": ("alpha", "beta", "recurrent_w"),
    "IF": (),
    "LIF": ("beta",),
    "LI": ("beta",),
    "PSU_LIF": ("beta",),
}


def class_of(keys: frozenset[str]) -> str:
    """Return the class that keeps just these arrays; empty if there is none, or no single one.

    Examples
    --------
    >>> class_of(frozenset({"beta", "alpha"})), class_of(frozenset({"beta"}))
    ('CuBaLIF', '')
    """
    found = [kind for kind, names in NEURONS.items() if frozenset(names) == keys]
    return found[0] if len(found) == 1 and keys else ""
