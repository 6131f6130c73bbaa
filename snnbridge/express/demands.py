"""What a framework's neuron demands of a step, and the numbers that it is written with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from snnbridge.express.step import Step
from snnbridge.model import (
    UNKNOWN,
    Array,
    Compare,
    Refractory,
    Reset,
    ResetTiming,
    Shape,
    SpikeSource,
)

__all__ = [
    "ALWAYS_SPIKES",
    "ENDLESS",
    "Refused",
    "exponential_tau",
    "fed_back",
    "from_rest",
    "need",
    "need_hard",
    "need_plain",
    "need_single_subtraction",
    "need_soft",
    "need_unbounded",
    "need_zero",
    "once",
    "same",
    "solved",
    "tau_of",
    "threshold_for",
    "time_constant",
    "uniform",
    "whole",
]

Written = TypeVar("Written")

#: A time constant, in time steps, of what does not leak: the decay of a step is 1 in float64.
ENDLESS = 1e30


class Refused(Exception):
    """A framework has no neuron that computes a step."""


def from_rest(write: Callable[[Step], Written], step: Step) -> Written:
    """Write a step with its potentials as they are, or else counted from rest.

    Raises
    ------
    Refused
        If neither can be written.
    """
    try:
        return write(step)
    except Refused:
        if step.rule.spiking is not True:  # what it shows would be another potential
            raise
    return write(step.shifted())


def uniform(value: Array, what: str) -> float:
    """Return the one number that an array holds.

    Raises
    ------
    Refused
    """
    flat = np.unique(value)
    if flat.size != 1:
        raise Refused(f"{what} differs from neuron to neuron, and must be one number")
    return float(flat[0])


def need(condition: Any, what: str) -> None:
    """Refuse a step that is not as a neuron of the framework is.

    Parameters
    ----------
    condition : bool or array of bool
        Whether the step is.
    what : str
        What a neuron there does, has or is: a sentence without its subject.

    Raises
    ------
    Refused
    """
    if not np.all(condition):
        raise Refused(f"there a neuron {what}")


def need_plain(step: Step, delay: int = 0) -> None:
    """Refuse graded spikes, refractory periods and late resets."""
    rule = step.rule
    need(step.output_gain == 1, "emits spikes of size 1")
    when = "in the step in which it crosses" if delay == 0 else "one step after it crossed"
    need(rule.output_delay == delay, f"spikes {when} the threshold")
    if rule.spiking is not True:
        return
    need(rule.refractory in (Refractory.NONE, UNKNOWN), "has no refractory period")
    need(rule.spike_from is SpikeSource.NEW, "compares its new potential with the threshold")
    need(rule.reset_timing is ResetTiming.NOW, "is reset in the step of its spike")


#: What a neuron does that has no place for a potential; see :func:`from_rest`.
_OF_ZERO = {
    "constant": "has no constant input",
    "initial": "starts from 0, or from its resting potential",
    "reset": "is reset to 0, or to its resting potential",
}


def need_zero(step: Step, *names: str) -> None:
    """Refuse potentials other than zero, where a neuron has no place for them."""
    for name in names:
        need(getattr(step, name) == 0, _OF_ZERO[name])


ALWAYS_SPIKES = "always spikes"
_IS_SET = "is set to a fixed potential by a spike, never lowered by an amount"
_IS_LOWERED = "is lowered by an amount at a spike, never set to a fixed potential"


def need_hard(step: Step, compare: Compare) -> Array:
    """Refuse all but one spike a step that sets the potential; return the threshold."""
    rule = step.rule
    need(rule.spiking is True, ALWAYS_SPIKES)
    need(rule.reset is Reset.SET, _IS_SET)
    need(rule.max_spikes == 1, "spikes at most once in a step")
    return threshold_for(step, compare)


def threshold_for(step: Step, compare: Compare) -> Array:
    """Return the threshold for a comparison: the neighbouring float for the other one."""
    if step.rule.compare is compare:
        return step.threshold
    theta = step.threshold.astype(np.float32)
    towards = np.float32(np.inf if compare is Compare.GREATER_EQUAL else -np.inf)
    return np.nextafter(theta, towards).astype(np.float64)


def need_soft(step: Step, compare: Compare, most: int | None) -> Array:
    """Refuse all but spikes that subtract the threshold; return it."""
    rule = step.rule
    need(rule.spiking is True, ALWAYS_SPIKES)
    need(rule.reset is Reset.SUBTRACT, _IS_LOWERED)
    words: dict[int | None, str] = {None: "any number of times", 1: "at most once"}
    many = words.get(most, f"at most {most} times")
    need(rule.max_spikes == most, f"spikes {many} in a step")
    return threshold_for(step, compare) if most == 1 else step.threshold


def need_single_subtraction(step: Step) -> None:
    """Refuse all but one spike a step that subtracts something, of a neuron that remembers it."""
    need(step.rule.spiking is True, ALWAYS_SPIKES)
    need(step.rule.reset is Reset.SUBTRACT, _IS_LOWERED)
    need(step.rule.max_spikes == 1, "spikes at most once in a step")
    need(step.beta > 0, "has a decay above 0")


def fed_back(step: Step) -> Array:
    """Return what a neuron is to be given back one step later, which subtracted its threshold.

    It is what the threshold is more than the amount that should have been subtracted.
    """
    need_single_subtraction(step)
    given: Array = step.beta * (step.threshold - step.amount) / step.gain
    return given


def same(a: Array, b: Array) -> bool:
    """Whether two arrays agree to float32."""
    return bool(np.allclose(a, b, rtol=1e-6, atol=0))


def solved(function: Callable[[Array], Array], guess: Array, wanted: Array) -> Array:
    """Return float32 numbers near a guess that a function maps to what is wanted, or nearest."""
    best = np.asarray(guess, np.float32)
    found = np.abs(function(best).astype(np.float64) - wanted)
    for direction in (-np.inf, np.inf):
        near = np.asarray(guess, np.float32)
        for _ in range(8):
            near = np.nextafter(near, np.float32(direction))
            missed = np.abs(function(near).astype(np.float64) - wanted)
            best, found = np.where(missed < found, near, best), np.minimum(missed, found)
    return best


def exponential_tau(decay: Array, dt: float) -> Array:
    """Return tau in float32 so that ``exp(-dt/tau)``, in float32, is a decay."""
    need((decay > 0) & (decay <= 1), "has a decay above 0, up to 1")
    with np.errstate(divide="ignore"):
        guess = np.where(decay == 1, ENDLESS * dt, -dt / np.log(decay))
    return solved(lambda tau: np.exp(np.float32(-dt) / tau), guess, decay)


def need_unbounded(step: Step) -> None:
    """Refuse a lower bound of the potential."""
    need(np.isneginf(step.floor), "has no lower bound of its potential")


def time_constant(decay: Array, dt: float) -> Array:
    """Return tau so that ``1 - dt/tau`` is a decay."""
    need((decay >= 0) & (decay <= 1), "has a decay from 0 to 1")
    return tau_of(decay, dt)


def tau_of(decay: Array, dt: float) -> Array:
    """Return tau so that ``1 - dt/tau`` is a decay, whatever it is."""
    with np.errstate(divide="ignore"):
        return np.where(decay == 1, ENDLESS * dt, dt / (1.0 - decay))


def whole(value: Any, shape: Shape) -> Any:
    """Return an array in float32, with a number for each neuron."""
    return np.broadcast_to(np.asarray(value, np.float32), shape).copy()


def once(value: Any) -> Any:
    """Return an array in float32; one number where all are the same."""
    found = np.asarray(value, np.float32)
    same = found.size and bool((found == found.flat[0]).all())
    return np.asarray(found.flat[0]) if same else found
