"""What a state dict is found to hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from snnbridge import UNKNOWN, Layer, StateVariable
from snnbridge.document import AS_IT_IS, ArrayForm
from snnbridge.model import Array, Path


@dataclass(slots=True)
class Found:
    """What a state dict holds.

    Parameters
    ----------
    layers : dict of str to Layer
    state : dict of path to StateVariable
    places : dict of str to (path, ArrayForm)
        For each key the path of :func:`snnbridge.differences` of its array, and how it is stored.
    others : dict of str to array
        The keys that stand for nothing in the model.
    notes : list of str
    """

    layers: dict[str, Layer] = field(default_factory=dict)
    state: dict[Path, StateVariable] = field(default_factory=dict)
    places: dict[str, tuple[Path, ArrayForm]] = field(default_factory=dict)
    others: dict[str, Array] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, layer: Layer, keys: Mapping[str, str], form: ArrayForm = AS_IT_IS) -> None:
        """Add a layer, and the key of each of its parameters."""
        self.layers[layer.name] = layer
        for key, parameter in keys.items():
            self.places[key] = (("layers", layer.name, parameter), form)

    @property
    def framework(self) -> Any:
        """The framework of its neurons; UNKNOWN where nothing tells it."""
        names = {layer.origin.framework for layer in self.layers.values() if layer.origin}
        return names.pop() if len(names) == 1 else UNKNOWN
