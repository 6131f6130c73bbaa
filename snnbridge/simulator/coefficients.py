"""From what a source states to the numbers of the discrete step.

Everything is derived in float64 with the standard library's exponential and rounded once to the
width of the network; ``numpy.exp`` differs from it, and from itself between machines.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from snnbridge.errors import CheckpointError
from snnbridge.model import (
    UNKNOWN,
    Array,
    Form,
    InputGain,
    Layer,
    Neuron,
    Parameter,
    PerStep,
    Quantity,
    Refractory,
    Reset,
    Scheme,
    Synapse,
    SynapseKind,
    TimeStep,
    Width,
    describe,
)
from snnbridge.model.values import SECONDS
from snnbridge.simulator.unknowns import refuse_unknown, unknown_of

_FLOAT32_MAX = float(np.finfo(np.float32).max)


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
        multiplies or divides by (the page on the dynamics lists it for each form), ``gain``,
        ``rest`` and ``constant`` belong to the update; ``threshold``, ``amount``, ``reset``,
        ``floor``, ``output_gain`` and ``initial`` are a neuron's; ``hold`` is its refractory
        period, in steps (int64) or in the source's unit.

    Raises
    ------
    UnknownValue
        Listing everything that is not stated.
    CheckpointError
        For a value that no step can be made of, such as a time constant of zero.

    Examples
    --------
    >>> from snnbridge import Parameter, Quantity, rules
    >>> lif = rules.get("nir", "LIF").build("lif", shape=(1,), tau=0.02, v_threshold=1.0)
    >>> float(coefficients(lif, Quantity(1e-3, "s"))["leak"][0])
    0.05000000074505806
    """
    own = layer.dt if layer.dt is not None else dt
    refuse_unknown((layer.name, name) for name in unknown_of(layer, own))
    refuse_durations(layer, own)
    numbers = _Numbers(layer, own)
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


def width_of(layer: Neuron | Synapse) -> np.dtype[Any]:
    """Return float32 or float64; integer rules are carried exactly in float64."""
    return np.dtype(np.float32 if layer.rule.width is Width.FLOAT32 else np.float64)


class _Numbers:
    """One layer's parameters as float64 arrays of its shape."""

    def __init__(self, layer: Neuron | Synapse, dt: TimeStep) -> None:
        self.layer = layer
        self.dt = dt
        self.width = width_of(layer)
        shape = () if layer.shape is UNKNOWN else layer.shape
        receptors = layer.receptors if isinstance(layer, Synapse) else 1
        self.shape = shape if receptors == 1 else (*shape, receptors)

    def refuse(self, reason: str) -> CheckpointError:
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
        if not np.isfinite(value).all() and name != "v_min":
            raise self.refuse(f"{name} holds {_first_odd(value)}; expected finite numbers")
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
        if self.width == np.float32 and (np.abs(value) > _FLOAT32_MAX)[np.isfinite(value)].any():
            raise self.refuse("a coefficient is too large for float32")
        return np.ascontiguousarray(value.astype(self.width))

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
            return 1.0 / self._rate("tau_inv")
        value = self.positive(name)
        unit = self.layer.parameters[name].unit
        if unit == "step" or isinstance(self.dt, PerStep):
            return value
        dt, scale = self._same_unit(unit)
        return value * scale / dt

    def _rate(self, name: str) -> Array:
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
            return self._rate("tau_inv")
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

    # The decay

    def decay(self, scheme: Scheme, name: str = "tau") -> tuple[Array, Array]:
        """Return beta, and its complement from the number that the scheme starts from."""
        if scheme in _COMPLEMENTS:
            complement = _COMPLEMENTS[scheme](self, name)
            return 1.0 - complement, complement
        beta = self.once(_DECAYS[scheme](self, name)).astype(np.float64)
        return beta, 1.0 - beta

    def exponential_euler(self, name: str) -> Array:
        """Return (dt * exprel(-dt / tau)) * (1 / tau), each operation in the network's width."""
        tau, dt = self.once(self.positive(name)), self.width.type(self.time_step(name))
        z = dt * (self.width.type(-1.0) / tau)
        exponential = self.once(_each(math.exp, z.astype(np.float64)))
        one, half = self.width.type(1.0), self.width.type(0.5)
        small = np.abs(z) <= self.width.type(1e-5 if self.width == np.float32 else 1e-8)
        series = one + z * half + z * z / self.width.type(6.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            phi = np.where(small, series, (exponential - one) / z)
        scaled = (dt * phi).astype(self.width) * (one / tau)
        return np.ascontiguousarray(scaled.astype(self.width))

    # Layers

    def neuron(self, layer: Neuron) -> dict[str, Array]:
        rule = layer.rule
        found = {
            **self._update(layer),
            "initial": self.once(self.get("v_init", 0.0)),
            "output_gain": self.once(self.get("output_gain", 1.0)),
            "floor": self.once(self.get("v_min", -math.inf)),
        }
        if rule.spiking is True:
            threshold = self.get("threshold")
            if rule.max_spikes != 1 and not (threshold > 0).all():
                raise self.refuse("several spikes a step need a threshold above 0")
            found |= {"threshold": self.once(threshold), **self._reset(rule.reset)}
            found["hold"] = self._hold(rule.refractory, rule.clock.value)
        return found

    def _update(self, layer: Neuron) -> dict[str, Array]:
        rule = layer.rule
        assert isinstance(rule.scheme, Scheme)
        rest, bias = self.get("v_rest", 0.0), self.get("bias", 0.0)
        _, complement, leak = self._leak(rule.scheme, rule.form)
        inside = rule.input_gain is InputGain.COMPLEMENT
        if rule.form is Form.AFFINE:
            gain = self.get("resistance", 1.0) * complement if inside else self._outer_gain(rule)
            constant = complement * rest + bias
        else:
            gain = self.get("resistance", 1.0) if inside else self._outer_gain(rule)
            constant = bias
        found = {"leak": leak, "gain": gain, "rest": rest, "constant": constant}
        return {"tau": self._tau(rule.form), **{k: self.once(v) for k, v in found.items()}}

    def _leak(self, scheme: Scheme, form: Any, name: str = "tau") -> tuple[Array, Array, Array]:
        if form is Form.EXPONENTIAL_EULER:
            leak = self.exponential_euler(name)
            return leak, leak, leak
        if form is Form.DERIVATIVE:
            self.positive(name)
            dt = np.full(self.shape, self.time_step(name))
            return dt, dt, dt
        if form is Form.QUOTIENT:
            steps = self.steps(name)
            return steps, steps, steps
        beta, complement = self.decay(scheme, name)
        if form in (Form.DIFFERENCE, Form.BOX):
            return beta, complement, complement
        if form in _WORDS:
            return beta, complement, self._word(beta, complement, form)
        return beta, complement, beta

    def _word(self, beta: Array, complement: Array, form: Form) -> Array:
        one = _WORDS[form]
        word = one * (beta if form is Form.INTEGER_SHIFT_12 else complement)
        if not (word == np.rint(word)).all():
            raise self.refuse(f"the decay is no multiple of 1/{one}, which {form.value!r} needs")
        return word

    def _tau(self, form: Any) -> Array:
        derivative = form in (Form.DERIVATIVE, Form.EXPONENTIAL_EULER)
        return self.once(self.positive("tau") if derivative else np.ones(self.shape))

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
            return np.ascontiguousarray(period.astype(np.float32))
        if unit != "step" and not isinstance(self.dt, PerStep):
            dt, scale = self._same_unit(unit)
            # A whole number of steps survives the rounding of its own division.
            period = np.floor(period * scale / dt + 1e-9)
        return np.ascontiguousarray(np.floor(period).astype(np.int64))

    def clock_step(self) -> np.float32:
        """Return dt in float32, in the unit of the refractory period."""
        return np.float32(self.time_step("tau_ref"))

    def synapse(self, layer: Synapse) -> dict[str, Array]:
        rule = layer.rule
        assert isinstance(rule.scheme, Scheme)
        _, complement, leak = self._leak(rule.scheme, rule.form)
        found = {"leak": self.once(leak), "tau": self._tau(rule.form)}
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
        _, _, leak = self._leak(rule.scheme, rule.form, name)
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


def _each(function: Callable[[float], float], values: Array) -> Array:
    """Apply a function of the standard library to each number, once to each distinct one."""
    distinct, places = np.unique(values, return_inverse=True)
    made = np.array([_bounded(function, x) for x in distinct.tolist()])
    return made[places].reshape(values.shape)


def _bounded(function: Callable[[float], float], x: float) -> float:
    try:
        return function(x)
    except OverflowError:
        return math.inf


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))


def _runge_kutta(n: _Numbers, name: str) -> Array:
    k: Array = n.fraction(name)
    return 1 - k + k**2 / 2 - k**3 / 6 + k**4 / 24


_COMPLEMENTS: dict[Scheme, Callable[[_Numbers, str], Array]] = {
    Scheme.EULER: lambda n, name: n.fraction(name),
    Scheme.EULER_INVERSE: lambda n, name: n._rate("tau_inv"),
    Scheme.EULER_LOGIT: lambda n, name: _each(_sigmoid, n.get("logit")),
    Scheme.BIT_SHIFT: lambda n, name: _each(lambda x: 2.0**-x, n.get("dash")),
    Scheme.RC: lambda n, name: (
        n.time_step(None) / (n.positive("resistance") * n.positive("capacitance"))
    ),
    Scheme.INTEGRATE: lambda n, name: np.zeros(n.shape),
}
_DECAYS: dict[Scheme, Callable[[_Numbers, str], Array]] = {
    Scheme.STATED: lambda n, name: n.get("decay"),
    Scheme.CLAMPED: lambda n, name: np.clip(n.get("decay"), 0.0, 1.0),
    Scheme.EXACT: lambda n, name: _each(lambda x: math.exp(-x), n.fraction(name)),
    Scheme.LOGIT: lambda n, name: _each(_sigmoid, n.get("logit")),
    Scheme.RUNGE_KUTTA_4: _runge_kutta,
}
_WORDS = {Form.INTEGER_SHIFT_12: 4096, Form.FIXED_Q8_8: 256}


def _first_odd(value: Array) -> float:
    return float(value[~np.isfinite(value)].flat[0])


def clock_step(layer: Neuron, dt: TimeStep) -> np.float32:
    """Return dt in float32, in the unit of the layer's refractory period."""
    return _Numbers(layer, layer.dt if layer.dt is not None else dt).clock_step()


__all__ = ["Parameter", "clock_step", "coefficients", "width_of"]
