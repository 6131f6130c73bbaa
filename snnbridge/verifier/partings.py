"""Where two networks part, sample by sample, and whether no more than rounding decides there.

Samples do not touch each other, and what comes after a spike that differs may follow from it in its
layer and in those that the layer reaches. So in each sample the places tell that follow from no
other: where both potentials lie at the threshold, apart by as little as two orders of one sum are,
rounding decides and not what the networks compute.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from snnbridge.model import Array
from snnbridge.verifier.units import Unit, to_left

#: How many times the precision of a potential sums in another order may be off, as a share of the
#: threshold.
_ROUNDINGS = 32
#: Potentials that are apart by less, as a share, are equal in other units.
_SAME = 2.0**-40

_NEVER = np.iinfo(np.int64).max


@dataclass(slots=True)
class Partings:
    """What is known of each sample so far.

    Parameters
    ----------
    hitting : numpy.ndarray of bool, shape (batch,)
        The samples that were made to take a potential to its threshold.
    reached : numpy.ndarray of bool, shape (layers, layers)
        Whether what the layer of a row does bears on that of a column, in the order in which a
        spike goes through them; as :func:`snnbridge.verifier.reach.reached` tells it.
    is_made : bool
        Whether all samples were made; in a user's own every spike counts.
    rounding : bool
        Whether the two are known to round otherwise.
    """

    hitting: Array
    reached: Array
    is_made: bool = True
    rounding: bool = False
    _since: Array = field(init=False)  # the step at which rounding reaches a layer, by sample
    _differs: Array = field(init=False)  # whether more than rounding reached it before

    def __post_init__(self) -> None:
        self._since = np.full((len(self.reached), len(self.hitting)), _NEVER, np.int64)
        self._differs = np.zeros(self._since.shape, np.bool_)

    def see(self, start: int, layers: Sequence[tuple[Array, Array]]) -> None:
        """Take in some steps of all layers.

        Parameters
        ----------
        start : int
        layers : sequence of pair of numpy.ndarray of bool, shape (steps, batch)
            In the order of `reached`: where spikes differ, and where more than rounding makes them
            do so.
        """
        is_open = (self._since == _NEVER) & ~self._differs
        first = np.full_like(self._since, _NEVER)
        real = np.zeros(first.shape, np.bool_)
        for i, (differ, more) in enumerate(layers):
            parting = np.flatnonzero(differ.any(axis=0) & is_open[i])
            if len(parting):
                steps = differ[:, parting].argmax(axis=0)
                first[i, parting] = start + steps
                real[i, parting] = more[steps, parting]
        for sample in np.flatnonzero((first < _NEVER).any(axis=0)).tolist():
            self._follow(sample, first[:, sample], real[:, sample], is_open[:, sample])

    def _follow(self, sample: int, first: Array, real: Array, is_open: Array) -> None:
        """Go through the layers that part in a sample, and through what follows from each."""
        while (step := first.min()) < _NEVER:
            by_rounding, by_more = np.zeros((2, len(first)), np.bool_)
            for i in np.flatnonzero(first == step):
                if not by_rounding[i] and not by_more[i]:
                    behind = by_more if real[i] else by_rounding
                    behind |= self.reached[i]
            first[by_rounding | by_more] = _NEVER
            self._since[is_open & by_rounding & ~by_more, sample] = step
            self._differs[is_open & by_more, sample] = True
            is_open[by_rounding | by_more] = False

    def judged(self, layer: int, start: int, steps: int) -> Array:
        """Return which steps of which samples count in a layer, shape (steps, batch).

        Of networks that round otherwise, a sample that was made to hit a threshold counts until
        rounding decides there, or in a layer that reaches this one.
        """
        at = np.arange(start, start + steps).reshape(-1, 1)
        left_out: Array = self.forgiven & (at >= self._since[layer])
        return ~left_out

    @property
    def forgiven(self) -> Array:
        """The samples in which rounding is no difference, bool, shape (batch,)."""
        return self.hitting if self.rounding else np.zeros_like(self.hitting)

    @property
    def rounded(self) -> int:
        """In how many samples that were made to hit a threshold a layer parts by rounding."""
        return int(np.count_nonzero(self.hitting & (self._since < _NEVER).any(axis=0)))

    @property
    def only_rounded(self) -> bool:
        """Whether no sample parts but where rounding decides."""
        return self.is_made and not self._differs.any()


def rounding(units: tuple[Unit, Unit], v: tuple[Array, Array]) -> Array:
    """Return how far from the threshold rounding may take a potential, in the left side's unit.

    Parameters
    ----------
    units : pair of Unit
        Of the same shape.
    v : pair of numpy.ndarray
        The potentials of both sides.
    """
    left, right = units
    size = np.maximum(np.abs(left.threshold), np.abs(right.threshold * to_left(left, right)[0]))
    precision = max(float(np.finfo(side.dtype).eps) for side in v)
    found: Array = _ROUNDINGS * precision * size
    return found


def beyond_rounding(unequal: Array, v: tuple[Array, Array], units: tuple[Unit, Unit]) -> Array:
    """Tell for the places where spikes differ whether more than rounding makes them do so.

    Potentials that are equal, or further from the threshold than rounding takes them, say that the
    networks compare, reset or compute otherwise.

    Parameters
    ----------
    unequal : numpy.ndarray of bool, shape (steps, batch, *layer shape)
    v : pair of numpy.ndarray
        The potentials of both sides before the reset, of the same shape.
    units : pair of Unit

    Returns
    -------
    numpy.ndarray of bool
        Of the same shape.
    """
    found = np.zeros_like(unequal)
    at = np.nonzero(unequal)
    if not len(at[0]):
        return found
    left, right = units[0], units[1].reshaped(units[0])
    factor, summand, theta, other, bound = (
        np.broadcast_to(x, unequal.shape[2:])[at[2:]]
        for x in (
            *to_left(left, right), left.threshold, right.threshold, rounding((left, right), v)
        )
    )  # fmt: skip
    ours, theirs = (side[at].astype(np.float64) for side in v)
    gap = np.abs(ours - (theirs * factor + summand))
    away = np.maximum(np.abs(ours - theta), np.abs((theirs - other) * factor))
    found[at] = ~((gap > _SAME * np.abs(theta)) & (away <= bound))  # nor is what is no number
    return found


def any_neuron(places: Array) -> Array:
    """Return in which steps of which samples there is a place, shape (steps, batch)."""
    return np.asarray(places.any(axis=tuple(range(2, places.ndim))))
