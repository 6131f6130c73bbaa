"""From what a source states to the numbers of the discrete step.

Everything is derived in float64 with the standard library's exponential and rounded once to the
width of the network; ``numpy.exp`` differs from it, and from itself between machines.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from snnbridge.errors import CheckpointError
from snnbridge.model import (
    Array,
    Form,
    InputGain,
    Layer,
    Neuron,
    PerStep,
    Refractory,
    Reset,
    Scheme,
    Synapse,
    SynapseKind,
    TimeStep,
    describe,
)
from snnbridge.model.values import SECONDS
from snnbridge.simulator.decays import leak_numbers
from snnbridge.simulator.numbers import Numbers, width_of
from snnbridge.simulator.unknowns import refuse_unknown, unknown_of

#: Steps of a refractory period that a counter holds.
_LONGEST = 1 << 62

__all__ = ["clock_step", "coefficients", "refuse_durations", "width_of"]


def coefficients(layer: Neuron | Synapse, dt: TimeStep) -> dict[str, Array]:
    """Derive the numbers that a layer's step computes with.

    Parameters
    ----------
    layer : Neuron or Synapse
        With a known shape and rule.
    dt : Quantity or PER_STEP or UNKNOWN
        The checkpoint's time step; the layer's own goes before it.

    Returns
    -------
    dict of str to numpy.ndarray
        Each of the layer's shape (a synapse with several receptors has them as one more axis),
        in float32 or float64 as the rule's width says. ``leak`` is the number that the form
        multiplies or divides by (the page on the dynamics lists it for each form), ``tau`` the
        time constant of a form that is made of it, or dt / tau where the form multiplies by that;
        ``gain``, ``rest`` and ``constant`` belong to the update; ``threshold``, ``amount``,
        ``reset``, ``floor``, ``output_gain`` and ``initial`` are a neuron's; ``hold`` is its
        refractory period, in steps (int64) or in the source's unit.

    Raises
    ------
    UnknownValue
        Listing everything that is not stated.
    CheckpointError
        For a value that no step can be made of, such as a time constant of zero.

    Examples
    --------
    >>> from snnbridge import Parameter, Quantity, rules
    >>> lif = rules.nir.LIF("lif", shape=(1,), tau=0.02, v_threshold=1.0, method="euler")
    >>> float(coefficients(lif, Quantity(1e-3, "s"))["leak"][0])
    0.05000000074505806
    """
    own = layer.dt if layer.dt is not None else dt
    refuse_unknown((layer.name, name) for name in unknown_of(layer, own))
    refuse_durations(layer, own)
    numbers = _Coefficients(layer, own)
    with np.errstate(all="ignore"):  # what leaves the width's range is refused where it is rounded
        return numbers.synapse(layer) if isinstance(layer, Synapse) else numbers.neuron(layer)


def refuse_durations(layer: Layer, dt: TimeStep) -> None:
    """Refuse times in seconds beside a time step that has no duration.

    Raises
    ------
    CheckpointError
        Naming the layer, the parameter and its value.
    """
    if not isinstance(dt, PerStep):
        return
    for name, held in layer.parameters.items():
        if held.unit is not None and held.unit.removeprefix("1/") in SECONDS:
            raise CheckpointError(
                f"layer {layer.name!r}: {name} is {describe(held.value)} {held.unit}, but the "
                f"time step is {dt.value!r} and has no duration; state dt in seconds, or {name} in "
                "steps"
            )


class _Coefficients(Numbers):
    """The numbers of one layer's step."""

    def neuron(self, layer: Neuron) -> dict[str, Array]:
        rule = layer.rule
        found = {
            **self._update(layer),
            "initial": self.once(self.get("v_init", 0.0)),
            "output_gain": self.once(self.get("output_gain", 1.0)),
            "floor": self._floor(),
        }
        if rule.spiking is True:
            threshold = self.get("threshold")
            if rule.max_spikes != 1 and not (threshold > 0).all():
                raise self.refuse("several spikes a step need a threshold above 0")
            found |= {"threshold": self.once(threshold), **self._reset(rule.reset)}
            found["hold"] = self._hold(rule.refractory, rule.clock.value)
        return found

    def _floor(self) -> Array:
        """Return the least potential; without end where there is no bound."""
        bound = self.get("v_min", -math.inf)
        finite = self.once(np.where(np.isinf(bound), 0.0, bound))
        return np.where(np.isinf(bound), bound.astype(self.width), finite)

    def _update(self, layer: Neuron) -> dict[str, Array]:
        rule = layer.rule
        assert isinstance(rule.scheme, Scheme)
        rest, bias = self.get("v_rest", 0.0), self.get("bias", 0.0)
        _, complement, leak = leak_numbers(self, rule.scheme, rule.form)
        inside = rule.input_gain is InputGain.COMPLEMENT
        if rule.form is Form.AFFINE:
            gain = self.get("resistance", 1.0) * complement if inside else self._outer_gain(rule)
            constant = complement * rest + bias
        else:
            gain = self.get("resistance", 1.0) if inside else self._outer_gain(rule)
            constant = bias
        found = {"leak": leak, "gain": gain, "rest": rest, "constant": constant}
        return {"tau": self._tau(rule), **{k: self.once(v) for k, v in found.items()}}

    def _tau(self, rule: Any) -> Array:
        """Return the time constant, or dt / tau where a form multiplies by that."""
        if rule.form not in (Form.DERIVATIVE, Form.EXPONENTIAL_EULER):
            return self.once(np.ones(self.shape))
        tau = self.positive("tau")
        outside = rule.form is Form.DERIVATIVE and rule.input_gain is InputGain.TIME_STEP
        if outside and rule.scheme is not Scheme.RUNGE_KUTTA_4:
            tau = self.time_step("tau") / tau
        return self.once(tau)

    def _outer_gain(self, rule: Any) -> Array:
        if rule.input_gain is InputGain.STATED:
            return self.get("gain")
        if rule.input_gain is InputGain.TIME_STEP:
            if rule.form is Form.DERIVATIVE:
                return self.get("resistance", 1.0)  # its equation multiplies by dt itself
            return self.get("resistance", 1.0) * self.time_step(
                "tau" if "tau" in self.layer.parameters else None
            )
        return np.ones(self.shape)

    def _reset(self, reset: Any) -> dict[str, Array]:
        threshold = self.once(self.get("threshold"))
        if "reset_amount" in self.layer.parameters:
            amount = self.once(self.get("reset_amount"))
        else:
            amount = threshold - self.once(self.get("v_reset", 0.0))
        value = self.get("v_reset") if reset is Reset.SET else np.zeros(self.shape)
        return {"amount": amount, "reset": self.once(value)}

    def _hold(self, refractory: Any, clock: str) -> Array:
        if refractory is Refractory.NONE:
            return np.zeros(self.shape, np.int64)
        period = self.get("tau_ref")
        if (period < 0).any():
            raise self.refuse(f"tau_ref must be at least 0, found {period.min()}")
        unit = self.layer.parameters["tau_ref"].unit
        if clock == "float32 time":
            if (period > np.finfo(np.float32).max).any():
                raise self.refuse(f"tau_ref of {period.max():.3g} {unit} is too long")
            return np.ascontiguousarray(period.astype(np.float32))
        if unit != "step" and not isinstance(self.dt, PerStep):
            dt, scale = self._same_unit(unit)
            # A whole number of steps survives the rounding of its own division.
            period = np.floor(period * scale / dt + 1e-9)
        if (period > _LONGEST).any():
            raise self.refuse(f"tau_ref of {period.max():.3g} steps is too long")
        return np.ascontiguousarray(np.floor(period).astype(np.int64))

    def clock_step(self) -> np.float32:
        """Return dt in float32, in the unit of the refractory period."""
        return np.float32(self.time_step("tau_ref"))

    def synapse(self, layer: Synapse) -> dict[str, Array]:
        rule = layer.rule
        assert isinstance(rule.scheme, Scheme)
        _, complement, leak = leak_numbers(self, rule.scheme, rule.form)
        found = {"leak": self.once(leak), "tau": self._tau(rule)}
        gain = self.get("input_gain", 1.0)
        if rule.input_gain is InputGain.COMPLEMENT:
            gain = gain * complement
        found |= {"gain": self.once(gain), "output_gain": self.once(self.get("gain", 1.0))}
        if rule.kind is not SynapseKind.EXPONENTIAL:
            found |= self._second(layer)
        return found

    def _second(self, layer: Synapse) -> dict[str, Array]:
        rule = layer.rule
        assert isinstance(rule.scheme, Scheme)
        name = "tau" if rule.kind is SynapseKind.ALPHA else "tau_rise"
        _, _, leak = leak_numbers(self, rule.scheme, rule.form, name)
        derivative = rule.form in (Form.DERIVATIVE, Form.EXPONENTIAL_EULER)
        tau = self.positive(name) if derivative else np.ones(self.shape)
        found = {"leak_rise": self.once(leak), "tau_rise": self.once(tau)}
        if rule.kind is SynapseKind.ALPHA or rule.input_gain is InputGain.STATED:
            return found
        amplitude = self._amplitude(rule.kind is SynapseKind.DUAL_EXPONENTIAL)
        where = "gain" if rule.kind is SynapseKind.DUAL_EXPONENTIAL else "output_gain"
        return {**found, where: self.once(amplitude)}

    def _amplitude(self, dual: bool) -> Array:
        """Scale a double exponential; a single input peaks at 1 where no amplitude is stated."""
        decay, rise = self.positive("tau"), self.positive("tau_rise")
        name = "input_gain" if dual else "gain"
        if name in self.layer.parameters:
            stated = self.get(name)
            return stated * (decay - rise) / rise / decay if dual else stated
        if (decay == rise).any():
            raise self.refuse("tau and tau_rise are equal; use the kind 'alpha'")
        peak = np.reshape(
            [(r / d) ** (r / (r - d)) for r, d in zip(rise.flat, decay.flat, strict=True)],
            self.shape,
        )
        normal: Array = decay / (decay - rise) * peak
        return normal * (decay - rise) / rise / decay if dual else normal


def clock_step(layer: Neuron, dt: TimeStep) -> np.float32:
    """Return dt in float32, in the unit of the layer's refractory period."""
    return _Coefficients(layer, layer.dt if layer.dt is not None else dt).clock_step()
