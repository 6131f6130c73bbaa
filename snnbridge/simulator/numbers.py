"""One layer's parameters as numbers, and its times in steps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from snnbridge.errors import CheckpointError
from snnbridge.model import (
    UNKNOWN,
    Array,
    Neuron,
    PerStep,
    Quantity,
    Shape,
    Synapse,
    TimeStep,
    Width,
)
from snnbridge.model.values import SECONDS


def width_of(layer: Neuron | Synapse) -> np.dtype[Any]:
    """Return float32 or float64; integer rules are carried exactly in float64."""
    return np.dtype(np.float32 if layer.rule.width is Width.FLOAT32 else np.float64)


class Numbers:
    """One layer's parameters as float64 arrays of its shape, or of theirs where it states none."""

    def __init__(self, layer: Neuron | Synapse, dt: TimeStep) -> None:
        self.layer = layer
        self.dt = dt
        self.width = width_of(layer)
        if layer.shape is UNKNOWN:
            self.shape = self._common()
            return
        receptors = layer.receptors if isinstance(layer, Synapse) else 1
        self.shape = layer.shape if receptors == 1 else (*layer.shape, receptors)

    def _common(self) -> Shape:
        """Return the shape to which all parameters broadcast."""
        held = (parameter.value for parameter in self.layer.parameters.values())
        shapes = [np.asarray(value).shape for value in held if value is not UNKNOWN]
        try:
            return np.broadcast_shapes(*shapes)
        except ValueError:
            raise self.refuse(f"its parameters of shapes {shapes} do not fit each other") from None

    def refuse(self, reason: str) -> CheckpointError:
        """Return the error for a value that no step can be made of."""
        return CheckpointError(f"layer {self.layer.name!r} ({self.layer.kind}): {reason}")

    def get(self, name: str, default: float | None = None) -> Array:
        """Return a parameter in float64, broadcast to the layer's shape."""
        held = self.layer.parameters.get(name)
        if held is None:
            if default is None:
                raise self.refuse(f"its rule needs the parameter {name!r}")
            return np.full(self.shape, default)
        assert held.value is not UNKNOWN
        value = np.asarray(held.value).astype(np.float64)
        odd = ~np.isfinite(value)
        if name == "v_min":  # -inf is no bound
            odd &= value != -np.inf
        if odd.any():
            raise self.refuse(f"{name} holds {value[odd][0]}; expected finite numbers")
        return self._fit(name, value)

    def _fit(self, name: str, value: Array) -> Array:
        if value.ndim > len(self.shape):
            value = value.reshape(value.shape[value.ndim - len(self.shape) :])
        try:
            return np.broadcast_to(value, self.shape)
        except ValueError:
            raise self.refuse(
                f"{name} of shape {value.shape} does not broadcast to {self.shape}"
            ) from None

    def once(self, value: Array) -> Array:
        """Round to the network's width."""
        with np.errstate(over="ignore"):
            made = np.ascontiguousarray(value.astype(self.width))
        if not np.isfinite(made).all():
            raise self.refuse(f"a coefficient is too large for {self.width}")
        return made

    def positive(self, name: str) -> Array:
        """Return a parameter of which each number must be above zero."""
        value = self.get(name)
        if not (value > 0).all():
            raise self.refuse(f"{name} must be above 0, found {value[~(value > 0)].flat[0]}")
        return value

    # Times

    def steps(self, name: str) -> Array:
        """Return a time constant counted in steps."""
        if name == "tau" and "tau" not in self.layer.parameters:
            return 1.0 / self.rate("tau_inv")
        value = self.positive(name)
        unit = self.layer.parameters[name].unit
        if unit == "step" or isinstance(self.dt, PerStep):
            return value
        dt, scale = self._same_unit(unit)
        return value * scale / dt

    def rate(self, name: str) -> Array:
        """Return what a rate comes to in one step."""
        value = self.positive(name)
        unit = self.layer.parameters[name].unit
        if isinstance(self.dt, PerStep) or unit == "1/step":
            return value
        dt, scale = self._same_unit(None if unit is None else unit.removeprefix("1/"))
        return value * dt / scale

    def fraction(self, name: str = "tau") -> Array:
        """Return dt / tau."""
        if name == "tau" and "tau" not in self.layer.parameters:
            return self.rate("tau_inv")
        value = self.positive(name)
        unit = self.layer.parameters[name].unit
        if unit == "step" or isinstance(self.dt, PerStep):
            return 1.0 / value
        dt, scale = self._same_unit(unit)
        return dt / (value * scale)

    def _same_unit(self, unit: str | None) -> tuple[float, float]:
        """Return dt and the scale of a time, both in one unit; no scaling where they agree."""
        assert isinstance(self.dt, Quantity)
        if not (math.isfinite(self.dt.value) and self.dt.value > 0):
            raise self.refuse(f"dt must be above 0, found {self.dt}")
        if unit is None or unit == self.dt.unit:
            return float(self.dt.value), 1.0
        if unit not in SECONDS:
            raise self.refuse(f"{unit!r} is no unit of time; expected {', '.join(SECONDS)}, step")
        return self.dt.seconds, SECONDS[unit]

    def time_step(self, like: str | None) -> float:
        """Return dt in the unit of a parameter, or in its own."""
        if isinstance(self.dt, PerStep):
            return 1.0
        held = self.layer.parameters.get(like) if like else None
        dt, scale = self._same_unit(held.unit if held else None)
        return dt / scale
