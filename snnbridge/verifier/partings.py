"""Where two networks part, sample by sample, and whether no more than rounding decides there.

Samples do not touch each other, and all that comes after a spike that differs may follow from it.
So of each sample the first place tells: where both potentials lie at the threshold, apart by as
little as two orders of one sum are, rounding decides and not what the networks compute.
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

_AGREES, _ROUNDED, _DIFFERS = 0, 1, 2


@dataclass(slots=True)
class Partings:
    """What is known of each sample so far.

    Parameters
    ----------
    hitting : numpy.ndarray of bool, shape (batch,)
        The samples that were made to take a potential to its threshold.
    is_made : bool
        Whether all samples were made; in a user's own every spike counts.
    rounding : bool
        Whether the two are known to round otherwise.
    """

    hitting: Array
    is_made: bool = True
    rounding: bool = False
    _kind: Array = field(init=False)
    _step: Array = field(init=False)

    def __post_init__(self) -> None:
        self._kind = np.full(len(self.hitting), _AGREES)
        self._step = np.zeros(len(self.hitting), np.int64)

    def see(self, start: int, layers: Sequence[tuple[Array, Array]]) -> None:
        """Take in some steps of all layers.

        Parameters
        ----------
        start : int
        layers : sequence of pair of numpy.ndarray of bool, shape (steps, batch)
            In the order in which a spike goes through them: where spikes differ, and where more
            than rounding makes them do so.
        """
        parting = self._kind == _AGREES
        parting &= np.any([differ.any(axis=0) for differ, _ in layers], axis=0)
        for sample in np.flatnonzero(parting):
            found = [(differ[:, sample], real[:, sample]) for differ, real in layers]
            first = [
                (int(differ.argmax()), i) for i, (differ, _) in enumerate(found) if differ.any()
            ]
            if first:
                step, i = min(first)
                self._kind[sample] = _DIFFERS if found[i][1][step] else _ROUNDED
                self._step[sample] = start + step

    def judged(self, start: int, steps: int) -> Array:
        """Return which steps of which samples count, shape (steps, batch).

        Of networks that round otherwise, a sample that was made to hit a threshold counts until
        rounding decides.
        """
        at = np.arange(start, start + steps).reshape(-1, 1)
        left_out: Array = self.forgiven & (self._kind == _ROUNDED) & (at >= self._step)
        return ~left_out

    @property
    def forgiven(self) -> Array:
        """The samples in which rounding is no difference, bool, shape (batch,)."""
        return self.hitting if self.rounding else np.zeros_like(self.hitting)

    @property
    def rounded(self) -> int:
        """How many samples that were made to hit a threshold part where rounding decides."""
        return int(np.count_nonzero(self.hitting & (self._kind == _ROUNDED)))

    @property
    def only_rounded(self) -> bool:
        """Whether no sample parts but where rounding decides."""
        return self.is_made and not (self._kind == _DIFFERS).any()


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
