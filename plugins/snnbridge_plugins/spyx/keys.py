"""The names under which flax and Spyx keep arrays, and the layers that they stand for."""

from __future__ import annotations

from collections.abc import Mapping

from snnbridge import Conv1d, Conv2d, Linear
from snnbridge.document import TRANSPOSED, ArrayForm, channels_last

#: By the axes of a kernel, (..., in, out), the layer and how its weight, (out, in, ...), lies.
KERNELS = {
    2: (Linear, TRANSPOSED),
    3: (Conv1d, ArrayForm((2, 1, 0))),
    4: (Conv2d, ArrayForm((3, 2, 0, 1))),
}
FORMS: Mapping[type, ArrayForm] = dict(KERNELS.values())
NORM = {"bias": "bias", "mean": "mean", "scale": "weight", "var": "variance"}

#: What neurons keep: the layer below their name, and its parameter.
PLACES: Mapping[str, tuple[str, str]] = {
    "alpha": (".synapse", "decay"),
    "beta": ("", "decay"),
    "recurrent_w": (".recurrent", "weight"),
    "threshold": ("", "threshold"),
}


def neuron_form(key: str, axes: int) -> ArrayForm:
    """Return how what a neuron keeps lies; that of images has their channel as last axis."""
    return TRANSPOSED if key == "recurrent_w" else channels_last(axes)
