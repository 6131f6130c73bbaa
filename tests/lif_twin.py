"""The step of a neuron in plain Python: the definition that the simulator is held against.

Every number is a scalar of the network's width (``numpy.float32`` or ``numpy.float64``), whose
operators round once each; `p` holds one neuron's coefficients by name.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from snnbridge.model import (
    Clock,
    Compare,
    Floor,
    Form,
    InputGain,
    Refractory,
    Reset,
    ResetTiming,
    Scheme,
    SpikeSource,
    SynapseKind,
    SynapseOrder,
    Trace,
)


def neuron(rule, p, v, x, clock, now):
    """Return (v, z, shown, clock) after one step; x holds one input, or several to add in turn."""
    late = rule.reset is not Reset.NONE and rule.reset_timing is not ResetTiming.NOW
    if rule.spiking is False:
        h = update(rule, p, v, x)
        v = bounded(rule, p, h)
        return v, p["output_gain"] * v, h if rule.trace is Trace.RAW else v, clock
    r = count(rule, p, v)
    if late and rule.reset_timing is ResetTiming.NEXT_BEFORE_LEAK:
        v = reset(rule, p, v, r)
    h = update(rule, p, v, x)
    if late and rule.reset_timing is not ResetTiming.NEXT_BEFORE_LEAK:
        h = reset(rule, p, h, r)
    held, clock = holds(rule, p, clock, now)
    if held:
        h = p["rest"] if rule.refractory is Refractory.CLAMP else v
    s = r if rule.spike_from is SpikeSource.OLD else count(rule, p, h)
    if held and rule.refractory is not Refractory.HOLD_TESTED:
        s = s * 0
    if late:
        v = h - (s - r) * p["amount"] if rule.reset_timing is ResetTiming.RESIDUAL else h
    else:
        v = reset(rule, p, h, s)
    v = bounded(rule, p, v)
    if s > 0 and rule.refractory is not Refractory.NONE:
        clock = now if rule.clock is Clock.FLOAT32_TIME else p["hold"]
    return v, p["output_gain"] * s, h if rule.trace is Trace.RAW else v, clock


def update(rule, p, v, inputs):
    """Return h, the membrane potential before threshold and reset."""
    h = updated(rule, p, v, inputs[0])
    for x in inputs[1:]:
        h = h + p["gain"] * x
    return h


def bounded(rule, p, v):
    """Return a membrane potential that keeps its lower bound."""
    if rule.floor is Floor.SHIFTED and np.isfinite(p["floor"]):
        return max(v - p["floor"], type(v)(0)) + p["floor"]
    return max(v, p["floor"])


def updated(rule, p, v, x):
    k, g, rest, c, tau = p["leak"], p["gain"], p["rest"], p["constant"], p["tau"]
    inside = rule.input_gain is InputGain.COMPLEMENT
    match rule.form:
        case Form.AFFINE:
            return (k * v + g * x) + c
        case Form.DIFFERENCE | Form.BOX if not inside:
            return ((v + k * (rest - v)) + g * x) + c
        case Form.DIFFERENCE:
            return (v + k * ((rest - v) + g * x)) + c
        case Form.BOX:
            return (v + k * ((g * x + rest) - v)) + c
        case Form.QUOTIENT if inside:
            return (v + ((rest - v) + g * x) / k) + c
        case Form.QUOTIENT:
            return ((v + (rest - v) / k) + g * x) + c
        case Form.DERIVATIVE if rule.scheme is Scheme.RUNGE_KUTTA_4:
            two, six, half = type(v)(2), type(v)(6), k * type(v)(0.5)
            f1 = ((rest - v) + g * x) / tau
            f2 = ((rest - (v + half * f1)) + g * x) / tau
            f3 = ((rest - (v + half * f2)) + g * x) / tau
            f4 = ((rest - (v + k * f3)) + g * x) / tau
            return (v + (k * (((f1 + two * f2) + two * f3) + f4)) / six) + c
        case Form.DERIVATIVE if rule.input_gain is InputGain.TIME_STEP:
            return (v + ((rest - v) * tau + (g * x) * k)) + c  # tau holds dt / tau
        case Form.DERIVATIVE if inside:
            return (v + k * (((rest - v) + g * x) / tau)) + c
        case Form.DERIVATIVE:
            return ((v + k * ((rest - v) / tau)) + g * x) + c
        case Form.EXPONENTIAL_EULER if inside:
            return fma(k, (rest - v) + g * x, v) + c
        case Form.EXPONENTIAL_EULER:
            return (fma(k, rest - v, v) + g * x) + c
        case Form.INTEGER_SHIFT_12:
            word = shift_12(v, k) + int(g * x * 4096) + int(c * 4096)
            return type(v)(word / 4096)
        case Form.FIXED_Q8_8:
            old, resting = int(v * 256), int(rest * 256)
            word = old + ((resting - old) * int(k) >> 8) + (words(x) * words(g) >> 8) + words(c)
            return type(v)(((word + 32768) % 65536 - 32768) / 256)


def fma(a, b, c):
    """Return a*b + c, rounded once: the nearest number to the exact one, of two the even."""
    exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    near = type(a)(float(exact))
    around = (np.nextafter(near, type(a)(-np.inf)), near, np.nextafter(near, type(a)(np.inf)))
    return min(around, key=lambda x: (abs(Fraction(float(x)) - exact), _odd(x)))


def _odd(x):
    return int(x.view(np.int32 if x.dtype == np.float32 else np.int64)) & 1


def words(x):
    return math.floor(x * 256)


def shift_12(x, word):
    """Return (x * word) >> 12 towards zero, x in units of 2**-12."""
    product = int(x * 4096) * int(word)
    return product // 4096 if product >= 0 else -(-product // 4096)


def count(rule, p, h):
    """Return how many spikes a membrane potential makes."""
    one = type(h)(1)
    if rule.max_spikes == 1:
        above = h > p["threshold"] if rule.compare is Compare.GREATER else h >= p["threshold"]
        return one if above else one * 0
    times = type(h)(math.floor(h / p["threshold"])) if h > 0 else one * 0
    return times if rule.max_spikes is None else min(times, type(h)(rule.max_spikes))


def reset(rule, p, h, s):
    """Return what a membrane potential is after s spikes."""
    if rule.reset is Reset.SUBTRACT:
        return h - s * p["amount"]
    return p["reset"] if rule.reset is Reset.SET and s > 0 else h


def holds(rule, p, clock, now):
    """Return whether a neuron is refractory, and its clock."""
    if rule.refractory is Refractory.NONE:
        return False, clock
    if rule.clock is Clock.FLOAT32_TIME:
        return np.float32(now) - np.float32(clock) <= p["hold"], clock
    return clock > 0, max(clock - 1, 0)


def synapse(rule, p, i, rise, x):
    """Return (i, rise, output) of one synapse after one step; x holds its inputs."""
    x = [p["gain"] * one for one in x]
    if rule.form is Form.INTEGER_SHIFT_12:
        x = [type(i)(int(one * 4096) / 4096) for one in x]
    if rule.kind is SynapseKind.EXPONENTIAL:
        i, out = filtered(rule, i, x, p["leak"], p["tau"])
    elif rule.kind is SynapseKind.EXPONENTIAL_DIFFERENCE:
        i, slow = filtered(rule, i, x, p["leak"], p["tau"])
        rise, fast = filtered(rule, rise, x, p["leak_rise"], p["tau_rise"])
        out = slow - fast
    else:
        drive = rise / p["tau"] if rule.kind is SynapseKind.ALPHA else rise
        if rule.form is Form.DERIVATIVE:
            i = i + p["leak"] * (-i / p["tau"] + drive)
        elif rule.form is Form.EXPONENTIAL_EULER:
            towards = rise if rule.kind is SynapseKind.ALPHA else p["tau"] * rise
            i = fma(p["leak"], towards - i, i)
        else:
            i = decayed(rule, i, p["leak"], p["tau"]) + drive
        rise = sum(x, decayed(rule, rise, p["leak_rise"], p["tau_rise"]))
        out = i
    return i, rise, p["output_gain"] * out


def filtered(rule, i, x, k, tau):
    """Return an exponential filter's state and output; sum adds one input after the other."""
    match rule.order:
        case SynapseOrder.DECAY_ADD_USE:
            i = sum(x, decayed(rule, i, k, tau))
            return i, i
        case SynapseOrder.ADD_DECAY_USE:
            i = decayed(rule, sum(x, i), k, tau)
            return i, i
        case SynapseOrder.ADD_USE_DECAY:
            out = sum(x, i)
            return decayed(rule, out, k, tau), out
        case SynapseOrder.DECAY_USE_ADD:
            i = decayed(rule, i, k, tau)
            return sum(x, i), i


def decayed(rule, i, k, tau):
    match rule.form:
        case Form.AFFINE:
            return k * i
        case Form.DIFFERENCE | Form.BOX:
            return i - k * i
        case Form.QUOTIENT:
            return i - i / k
        case Form.DERIVATIVE:
            return i + k * (-i / tau)
        case Form.EXPONENTIAL_EULER:
            return fma(k, -i, i)
        case Form.INTEGER_SHIFT_12:
            return type(i)(shift_12(i, k) / 4096)


def summed(width, weights, x, bias=0.0):
    """Sum one output: ascending index in float64, the bias last, rounded once."""
    total = 0.0
    for w, value in zip(weights, x, strict=True):
        total += float(w) * float(value)
    return width(total + float(bias))
