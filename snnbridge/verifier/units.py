"""From the potentials of one network to those of another that does the same in other units."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from snnbridge.model import Array, Neuron
from snnbridge.simulator.coefficients import coefficients
from snnbridge.simulator.network import Network

#: How far, as a share, two neighbouring numbers of float32 may be apart, rounded up.
NEIGHBOURING = 2.0**-22


@dataclass(frozen=True, slots=True)
class Unit:
    """Where a layer's neurons start and where they spike, in potentials of its own.

    Parameters
    ----------
    threshold, initial : numpy.ndarray
        float64, in the layer's shape; nan where it states none.
    """

    threshold: Array
    initial: Array

    @classmethod
    def of(cls, network: Network, name: str) -> Unit:
        """Return the unit of a layer."""
        layer = network.layers[name]
        if not isinstance(layer, Neuron) or layer.rule.spiking is not True:
            return cls(np.full((), np.nan), np.full((), np.nan))
        found = coefficients(replace(layer, shape=network.shapes_out[name]), network.steps[name])
        both = (np.asarray(found[x], np.float64) for x in ("threshold", "initial"))
        return cls(*both)

    def reshaped(self, other: Unit) -> Unit:
        """Return the same in the shape of another layer of as many neurons."""
        shape = other.threshold.shape
        initial = np.broadcast_to(self.initial, self.threshold.shape)
        return Unit(self.threshold.reshape(shape), initial.reshape(shape))


def to_left(left: Unit, right: Unit) -> tuple[Array, Array]:
    """Return the factor and the summand from the right side's potentials to the left one's.

    Thresholds that are neighbouring floats state another comparison, not another unit.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (left.threshold - left.initial) / (right.threshold - right.initial)
        power = 2.0 ** np.round(np.log2(np.abs(ratio)))
        ratio = np.where(np.abs(ratio / power - 1.0) <= NEIGHBOURING, power, ratio)
    ratio = np.where(np.isfinite(ratio) & (ratio > 0), ratio, 1.0)
    offset = left.threshold - right.threshold * ratio
    same_zero = np.abs(offset) <= NEIGHBOURING * np.abs(left.threshold)
    return ratio, np.where(same_zero, 0.0, offset)
