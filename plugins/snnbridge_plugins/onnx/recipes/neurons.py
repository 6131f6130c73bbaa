"""The step of a neuron in standard operators, one node for each rounding of the definition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from snnbridge.model import (
    Clock,
    Compare,
    Floor,
    Form,
    InputGain,
    NeuronRule,
    Refractory,
    Reset,
    ResetTiming,
    Scheme,
    SpikeSource,
    Trace,
)
from snnbridge_plugins.onnx.recipes.arithmetic import fma, shift_12, truncated, wrapped_16
from snnbridge_plugins.onnx.recipes.terms import Term

#: A layer's coefficients by name; those that change nothing (a gain of 1) are left out.
Coefficients = Mapping[str, Term]


@dataclass(frozen=True)
class Stepped:
    """What one step of a neuron gives.

    Attributes
    ----------
    v : Term
        The membrane potential.
    spikes : Term or None
        How many spikes; None for a readout.
    shown : Term
        The potential that a recording shows.
    clock : Term or None
        Of the refractory period.
    """

    v: Term
    spikes: Term | None
    shown: Term
    clock: Term | None = None


def neuron_step(
    rule: NeuronRule,
    p: Coefficients,
    v: Term,
    inputs: Sequence[Term],
    clock: Term | None = None,
    time: Term | None = None,
) -> Stepped:
    """Add one step of a neuron to the scope of its terms.

    Parameters
    ----------
    rule : NeuronRule
    p : mapping of str to Term
        As :func:`snnbridge.simulator.coefficients` names them, and ``tick``, the time step in
        float32.
    v : Term
    inputs : sequence of Term
        One, or several to be added in turn.
    clock : Term, optional
        Steps left (int64), or the time of the last spike (float32).
    time : Term, optional
        The index of the step in float32.
    """
    if rule.spiking is False:
        h = _update(rule, p, v, inputs)
        bounded = _bounded(rule, p, h)
        return Stepped(bounded, None, h if rule.trace is Trace.RAW else bounded)
    if rule.reset is not Reset.NONE and rule.reset_timing is not ResetTiming.NOW:
        return _late(rule, p, v, inputs)
    return _immediate(rule, p, v, inputs, clock, time)


def _immediate(
    rule: NeuronRule,
    p: Coefficients,
    v: Term,
    inputs: Sequence[Term],
    clock: Term | None,
    time: Term | None,
) -> Stepped:
    """Reset in the step of the spike, where there is a reset."""
    old = rule.spike_from is SpikeSource.OLD
    before = _count(rule, p, v) if old else None
    h = _update(rule, p, v, inputs)
    held = None
    if clock is not None:
        held, clock, now = _held(rule, p, clock, time)
        kept = p["rest"] if rule.refractory is Refractory.CLAMP else v
        h = h.scope.where(held, kept, h)
    s = _count(rule, p, h) if before is None else before
    if held is not None and rule.refractory is not Refractory.HOLD_TESTED:
        s = s.scope.where(held, s.scope.constant(0, s.dtype), s)
    if clock is not None:
        clock = s.scope.where(s > 0.0, now, clock)
    after = _bounded(rule, p, _reset(rule, p, h, s))
    return Stepped(after, s, h if rule.trace is Trace.RAW else after, clock)


def _late(rule: NeuronRule, p: Coefficients, v: Term, inputs: Sequence[Term]) -> Stepped:
    """Reset in the step after the spike."""
    due = _count(rule, p, v)
    if rule.reset_timing is ResetTiming.NEXT_BEFORE_LEAK:
        h = _update(rule, p, _reset(rule, p, v, due), inputs)
    else:
        h = _reset(rule, p, _update(rule, p, v, inputs), due)
    s = due if rule.spike_from is SpikeSource.OLD else _count(rule, p, h)
    after = h
    if rule.reset_timing is ResetTiming.RESIDUAL:
        after = h - _times(p.get("amount"), s - due)
    after = _bounded(rule, p, after)
    return Stepped(after, s, h if rule.trace is Trace.RAW else after)


def _held(
    rule: NeuronRule, p: Coefficients, clock: Term, time: Term | None
) -> tuple[Term, Term, Term]:
    """Return whether a neuron is refractory, its clock, and what a spike sets the clock to."""
    if rule.clock is Clock.FLOAT32_TIME:
        assert time is not None
        now = time * p["tick"]
        return (now - clock) <= p["hold"], clock, now
    return clock > 0, (clock - 1).maximum(0), p["hold"]


def _count(rule: NeuronRule, p: Coefficients, h: Term) -> Term:
    """Return how many spikes a membrane potential makes."""
    threshold = p["threshold"]
    if rule.max_spikes == 1:
        above = h > threshold if rule.compare is Compare.GREATER else h >= threshold
        return above.cast(h.dtype)
    times = h.scope.where(h > 0.0, (h / threshold).floor(), h.scope.constant(0, h.dtype))
    return times if rule.max_spikes is None else times.minimum(float(rule.max_spikes))  # type: ignore[arg-type]


def _reset(rule: NeuronRule, p: Coefficients, h: Term, s: Term) -> Term:
    if rule.reset is Reset.SUBTRACT:
        return h - _times(p.get("amount"), s)
    return h.scope.where(s > 0.0, p["reset"], h) if rule.reset is Reset.SET else h


def _bounded(rule: NeuronRule, p: Coefficients, v: Term) -> Term:
    floor = p.get("floor")
    if floor is None:
        return v
    if rule.floor is Floor.SHIFTED:
        return (v - floor).maximum(0.0) + floor
    return v.maximum(floor)


def _times(factor: Term | None, x: Term) -> Term:
    return x if factor is None else factor * x


def _plus(x: Term, summand: Term | None) -> Term:
    return x if summand is None else x + summand


def _update(rule: NeuronRule, p: Coefficients, v: Term, inputs: Sequence[Term]) -> Term:
    """Return h, the membrane potential before threshold and reset."""
    h = _updated(rule, p, v, inputs[0])
    for x in inputs[1:]:
        h = h + _times(p.get("gain"), x)
    return h


def _updated(rule: NeuronRule, p: Coefficients, v: Term, x: Term) -> Term:
    if rule.form is Form.INTEGER_SHIFT_12:
        return _shifted(p, v, x)
    if rule.form is Form.FIXED_Q8_8:
        return _words(p, v, x)
    drive = _times(p.get("gain"), x)
    if rule.form is Form.AFFINE:
        return _plus(_times(p.get("leak"), v) + drive, p.get("constant"))
    if rule.form is Form.DERIVATIVE and rule.scheme is Scheme.RUNGE_KUTTA_4:
        return _plus(_runge_kutta(p, v, drive), p.get("constant"))
    if rule.form is Form.DERIVATIVE and rule.input_gain is InputGain.TIME_STEP:
        leak = (p["rest"] - v) * p["tau"]  # which holds dt / tau
        return _plus(v + (leak + drive * p["leak"]), p.get("constant"))
    inside = rule.input_gain is InputGain.COMPLEMENT
    if rule.form is Form.BOX and inside:
        pull = (drive + p["rest"]) - v
    else:
        pull = p["rest"] - v
        pull = pull + drive if inside else pull
    h = _pulled(rule.form, p, v, pull)
    return _plus(h if inside else h + drive, p.get("constant"))


def _pulled(form: object, p: Coefficients, v: Term, pull: Term) -> Term:
    """Return v after a pull towards rest and input, in the form's order of operations."""
    if form is Form.QUOTIENT:
        return v + pull / p["leak"]
    if form is Form.DERIVATIVE:
        return v + p["leak"] * (pull / p["tau"])
    if form is Form.EXPONENTIAL_EULER:
        return fma(p["leak"], pull, v)
    return v + p["leak"] * pull


def _runge_kutta(p: Coefficients, v: Term, drive: Term) -> Term:
    k, tau, rest = p["leak"], p["tau"], p["rest"]
    half = k * 0.5
    f1 = ((rest - v) + drive) / tau
    f2 = ((rest - (v + half * f1)) + drive) / tau
    f3 = ((rest - (v + half * f2)) + drive) / tau
    f4 = ((rest - (v + k * f3)) + drive) / tau
    return v + (k * (((f1 + f2 * 2.0) + f3 * 2.0) + f4)) / 6.0


def _shifted(p: Coefficients, v: Term, x: Term) -> Term:
    """Step in whole units of 2**-12."""
    added = truncated(_times(p.get("gain"), x), 4096.0)
    if "constant" in p:
        added = added + truncated(p["constant"], 4096.0)
    return shift_12(v, p["leak"]) + added / 4096.0


def _words(p: Coefficients, v: Term, x: Term) -> Term:
    """Step in words of 16 bits, 8 of them after the point."""
    old = (v * 256.0).cast("int64").cast(v.dtype)
    resting = (p["rest"] * 256.0).cast("int64").cast(v.dtype)
    word = old + ((resting - old) * p["leak"] / 256.0).floor()
    gain = (p["gain"] * 256.0).floor() if "gain" in p else 256.0
    word = word + ((x * 256.0).floor() * gain / 256.0).floor()
    if "constant" in p:
        word = word + (p["constant"] * 256.0).floor()
    return wrapped_16(word) / 256.0
