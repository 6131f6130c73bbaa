"""One step of a neuron as numbers: ``h = beta*v + gain*x + constant``, whatever its form.

The numbers are those that the simulator computes with, rounded to the network's width, so that
what is made of them can be held against what a framework will compute.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from snnbridge.model import (
    Array,
    Form,
    InputGain,
    Neuron,
    NeuronRule,
    Refractory,
    Reset,
    ResetTiming,
    Scheme,
    Synapse,
    SynapseKind,
    SynapseOrder,
    TimeStep,
    Width,
)
from snnbridge.simulator import coefficients


class Inexpressible(Exception):
    """A layer has no form of the kind that is asked for."""


@dataclass(frozen=True, slots=True)
class Current:
    """``i = alpha*i + gain*x``: the synapse before a membrane, which sees the new ``i``."""

    alpha: Array
    gain: Array


@dataclass(frozen=True, slots=True)
class Step:
    """A membrane's step in real numbers, each an array of float64 of the neuron's shape.

    ``threshold``, ``amount`` (what a spike subtracts) and ``reset`` mean nothing for a readout.
    """

    rule: NeuronRule
    beta: Array
    gain: Array
    constant: Array
    threshold: Array
    amount: Array
    reset: Array
    floor: Array
    initial: Array
    output_gain: Array
    current: Current | None = None

    @property
    def leak(self) -> Array:
        """``1 - beta``."""
        return 1.0 - self.beta

    @property
    def rest(self) -> Array:
        """Where the potential stays without input; without a leak, where it starts."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.leak == 0, self.initial, self.constant / self.leak)

    def scaled(self, gain: Array | float = 1.0) -> Step:
        """Return the same neuron with potentials in which the input counts `gain` times.

        The spikes stay, and what the potentials were is told by a factor.
        """
        factor = self.gain if self.current is None else self.gain * self.current.gain
        factor = factor / gain
        potentials = {
            name: getattr(self, name) / factor
            for name in ("constant", "threshold", "amount", "reset", "floor", "initial")
        }
        one = np.ones_like(self.gain)
        current = None if self.current is None else replace(self.current, gain=one)
        return replace(self, **potentials, gain=one * gain, current=current)

    def without(self, feedback: Array) -> Step:
        """Return the same neuron, some of whose reset its own spikes feed back to it.

        Parameters
        ----------
        feedback : numpy.ndarray
            In the unit of the input; it arrives in the step after a spike.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            made_up = np.where(self.beta == 0, 0.0, feedback * self.gain / self.beta)
        amount = self.amount + made_up
        amount = np.where(np.abs(amount) <= 1e-6 * np.abs(self.amount), 0.0, amount)
        reset = Reset.SUBTRACT if amount.any() else Reset.NONE
        return replace(self, amount=amount, rule=replace(self.rule, reset=reset))

    def counted_from(self, base: Array) -> Step:
        """Return the same neuron with potentials counted from another one."""
        potentials = {
            name: getattr(self, name) - base for name in ("threshold", "reset", "floor", "initial")
        }
        return replace(self, **potentials, constant=self.constant - self.leak * base)

    def shifted(self) -> Step:
        """Return the same neuron with potentials counted from where it comes to rest."""
        rest = self.rest
        potentials = {
            name: getattr(self, name) - rest for name in ("threshold", "reset", "floor", "initial")
        }
        return replace(self, **potentials, constant=np.where(self.leak == 0, self.constant, 0.0))


def step_of(neuron: Neuron, synapse: Synapse | None, dt: TimeStep) -> Step:
    """Return the step of a neuron, with the synapse before it.

    Raises
    ------
    UnknownValue
        If the rule or a parameter is not known.
    Inexpressible
        If it is no linear step: whole numbers, several stages, several receptors.
    """
    rule = neuron.rule
    found = coefficients(neuron, dt)
    wide = {name: np.asarray(value, np.float64) for name, value in found.items()}
    leak, gain, constant = _update(rule, wide)
    zero = np.zeros_like(leak)
    timing, amount = _at_once(rule, wide.get("amount", zero), 1.0 - leak)
    if not wide.get("hold", zero).any():
        rule = replace(rule, refractory=Refractory.NONE)
    if rule.reset is Reset.SUBTRACT and not amount.any():
        rule = replace(rule, reset=Reset.NONE)
    return Step(
        rule=replace(rule, reset_timing=timing),
        beta=1.0 - leak if rule.form is not Form.AFFINE else wide["leak"],
        gain=gain,
        constant=constant,
        threshold=wide.get("threshold", zero),
        amount=amount,
        reset=wide.get("reset", zero),
        floor=wide["floor"],
        initial=wide["initial"],
        output_gain=wide["output_gain"],
        current=None if synapse is None else current_of(synapse, dt),
    )


def _update(rule: NeuronRule, found: dict[str, Array]) -> tuple[Array, Array, Array]:
    """Return 1 - beta, the factor on the input and the constant."""
    if rule.form is Form.AFFINE:
        return 1.0 - found["leak"], found["gain"], found["constant"]
    if rule.width not in (Width.FLOAT32, Width.FLOAT64):
        raise Inexpressible
    if rule.form in (Form.DIFFERENCE, Form.BOX, Form.EXPONENTIAL_EULER):
        leak = found["leak"]
    elif rule.form is Form.QUOTIENT:
        leak = 1.0 / found["leak"]
    elif rule.form is Form.DERIVATIVE:
        if rule.scheme is not Scheme.EULER and rule.input_gain is not InputGain.COMPLEMENT:
            raise Inexpressible
        leak = _relaxed(rule.scheme, found["leak"] / found["tau"])
    else:
        raise Inexpressible
    gain = found["gain"]
    if rule.input_gain is InputGain.COMPLEMENT:
        gain = leak * gain
    elif rule.form is Form.DERIVATIVE and rule.input_gain is InputGain.TIME_STEP:
        gain = found["leak"] * gain  # the form multiplies by dt itself
    return leak, gain, leak * found["rest"] + found["constant"]


def _relaxed(scheme: Any, fraction: Array) -> Array:
    """Return how much of its way to rest a state goes in one step of ``fraction = dt / tau``."""
    if scheme is not Scheme.RUNGE_KUTTA_4:
        return fraction
    k = fraction
    return k - k**2 / 2 + k**3 / 6 - k**4 / 24


def _at_once(rule: NeuronRule, amount: Array, beta: Array) -> tuple[ResetTiming, Array]:
    """Return a reset that acts later as one that acts in the step of the spike, if there is one."""
    timing = rule.reset_timing
    if rule.spiking is not True or rule.reset is Reset.NONE:
        return ResetTiming.NOW, amount
    if timing is ResetTiming.NEXT_BEFORE_LEAK:
        return ResetTiming.NOW, amount
    delayed = timing is ResetTiming.NEXT_AFTER_LEAK and rule.reset is Reset.SUBTRACT
    if delayed and bool((beta > 0).all()):
        return ResetTiming.NOW, amount / beta
    assert isinstance(timing, ResetTiming)
    return timing, amount


def current_of(synapse: Synapse, dt: TimeStep) -> Current:
    """Return the step of a synapse.

    Raises
    ------
    UnknownValue
        If its rule or a parameter is not known.
    Inexpressible
        If it is no exponential filter whose new state is used.
    """
    rule = synapse.rule
    if rule.kind is not SynapseKind.EXPONENTIAL or synapse.receptors != 1:
        raise Inexpressible
    found = {k: np.asarray(v, np.float64) for k, v in coefficients(synapse, dt).items()}
    if rule.form is Form.AFFINE:
        alpha = found["leak"]
    elif rule.form in (Form.DIFFERENCE, Form.EXPONENTIAL_EULER):
        alpha = 1.0 - found["leak"]
    elif rule.form is Form.QUOTIENT:
        alpha = 1.0 - 1.0 / found["leak"]
    elif rule.form is Form.DERIVATIVE:
        alpha = 1.0 - _relaxed(rule.scheme, found["leak"] / found["tau"])
    else:
        raise Inexpressible
    gain = found["gain"] * found["output_gain"]
    if rule.order is SynapseOrder.ADD_DECAY_USE:  # alpha*(i + x) is alpha times what i + x makes
        gain = gain * alpha
    elif rule.order is SynapseOrder.DECAY_USE_ADD:
        raise Inexpressible
    return Current(alpha, gain)
