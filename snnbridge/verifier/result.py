"""What a verification found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import isfinite, isnan
from typing import Any

from snnbridge.verifier.partings import Partings

#: Every verdict, and what it means.
VERDICTS = {
    "identical": "no difference in arrays, rules and unknowns",
    "equivalent": "no spike differs, nor would under the membranes' differences",
    "indeterminate": "potentials differ by more than their distance to the threshold",
    "different": "the networks do not do the same",
}


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first place where two layers part.

    Parameters
    ----------
    step, sample : int
    neuron : tuple of int
        Index in the layer's shape.
    left, right : float
        The membrane potential of each before the reset.
    threshold : float
    """

    step: int
    sample: int
    neuron: tuple[int, ...]
    left: float
    right: float
    threshold: float


@dataclass(slots=True)
class LayerAgreement:
    """How far two matched layers agree.

    Parameters
    ----------
    left, right : str
        Their names.
    neurons : int
    spikes_left, spikes_right : int
        All spikes of all samples and steps.
    differing : int
        Places (step, sample, neuron) with another number of spikes.
    places : int
        How many there are.
    first : Divergence, optional
        The first place where spikes differ; for a readout, where values do.
    largest_difference : float, optional
        Of the membrane potentials before the reset, in the unit of the left threshold; None
        where an engine shows none.
    smallest_margin : float
        The least of (distance to the threshold) - (difference); negative where a difference is
        larger than the distance.
    close : int
        Places where it is negative.
    largest_value : float
        Of the left readout.
    spiking : bool
    latency : int
        By how many steps the spikes of the right layer were taken to come later.
    """

    left: str
    right: str
    neurons: int
    spiking: bool = True
    spikes_left: int = 0
    spikes_right: int = 0
    differing: int = 0
    places: int = 0
    first: Divergence | None = None
    largest_difference: float | None = 0.0
    smallest_margin: float = float("inf")
    close: int = 0
    largest_value: float = 0.0
    latency: int = 0

    @property
    def agreement(self) -> float:
        """The share of places where the spikes agree."""
        return 1.0 - self.differing / self.places if self.places else 1.0

    @property
    def margin(self) -> float | None:
        """The smallest margin; None where no two membranes differ, or no threshold is near."""
        return self.smallest_margin if self.spiking and isfinite(self.smallest_margin) else None

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        first = self.first
        return {
            "left": self.left,
            "right": self.right,
            "neurons": self.neurons,
            "spiking": self.spiking,
            "spikes": [self.spikes_left, self.spikes_right],
            "rates": [n / self.places if self.places else 0.0 for n in self.spikes],
            "agreement": self.agreement,
            "differing": self.differing,
            "latency": self.latency,
            "largest_difference": self.largest_difference,
            "smallest_margin": self.margin,
            "close": self.close,
            "first_divergence": None
            if first is None
            else {
                "step": first.step,
                "sample": first.sample,
                "neuron": list(first.neuron),
                "left": first.left,
                "right": first.right,
                "threshold": None if isnan(first.threshold) else first.threshold,
            },
        }

    @property
    def spikes(self) -> tuple[int, int]:
        """The spikes of both."""
        return self.spikes_left, self.spikes_right


@dataclass(frozen=True, slots=True)
class Verification:
    """The verdict on two networks, and what it rests on.

    Parameters
    ----------
    verdict : str
        One of :data:`VERDICTS`.
    layers : tuple of LayerAgreement
        Empty if nothing had to be simulated.
    matched_by : str
        ``name`` or ``structure``.
    steps, samples : int
        Of the stimulus.
    notes : tuple of str
        Sentences on what slowed it down.
    hitting : tuple of int
        The samples that were made to take a neuron to its threshold.
    rounded : int
        How many of them part where both potentials are within rounding of it.
    rounding : bool
        Whether those are left out of `layers` and of the verdict from there on, in the layer that
        parts and in all that it reaches.
    """

    verdict: str
    layers: tuple[LayerAgreement, ...] = field(default=())
    matched_by: str = "name"
    steps: int = 0
    samples: int = 0
    notes: tuple[str, ...] = ()
    hitting: tuple[int, ...] = ()
    rounded: int = 0
    rounding: bool = False

    @classmethod
    def of(
        cls,
        layers: Sequence[LayerAgreement],
        matched_by: str,
        steps: int,
        samples: int,
        notes: Sequence[str] = (),
        *,
        partings: Partings | None = None,
    ) -> Verification:
        """Give the verdict on layers that were compared."""
        only_rounded = partings is not None and partings.only_rounded
        if any(x.differing for x in layers) and not only_rounded:
            verdict = "different"
        else:
            open_ = any(x.differing or x.close for x in layers)
            verdict = "indeterminate" if open_ else "equivalent"
        found = cls(verdict, tuple(layers), matched_by, steps, samples, tuple(notes))
        if partings is None:
            return found
        return replace(
            found,
            hitting=tuple(int(n) for n in partings.hitting.nonzero()[0]),
            rounded=partings.rounded,
            rounding=partings.rounding,
        )

    @property
    def first(self) -> tuple[LayerAgreement, Divergence] | None:
        """The layer and place where the networks part first."""
        parted = [(x.first.step, i) for i, x in enumerate(self.layers) if x.first is not None]
        if not parted:
            return None
        layer = self.layers[min(parted)[1]]
        assert layer.first is not None
        return layer, layer.first

    @property
    def meaning(self) -> str:
        """What the verdict says of these two networks."""
        if self.verdict != "indeterminate":
            return VERDICTS[self.verdict]
        if any(x.differing for x in self.layers):
            return "rounding decides whether spikes differ"
        return f"no spike differs, but {VERDICTS[self.verdict]}"

    @property
    def apart(self) -> str:
        """What became of the samples that were made to hit a threshold; nothing where all agree."""
        if not self.rounded:
            return ""
        of = f"{self.rounded} of {len(self.hitting)} samples that were made to hit a threshold part"
        left_out = ", and are left out from there on in the layers that it reaches"
        return f"{of} where rounding decides{left_out * self.rounding}"

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "verdict": self.verdict,
            "meaning": self.meaning,
            "matched_by": self.matched_by,
            "steps": self.steps,
            "samples": self.samples,
            "hitting": list(self.hitting),
            "rounded": self.rounded,
            "rounding": self.rounding,
            "notes": list(self.notes),
            "layers": [layer.as_json() for layer in self.layers],
        }
