"""From a time constant to the numbers of a step's decay.

Everything is derived in float64 with the standard library's exponential; ``numpy.exp`` differs from
it, and from itself between machines.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from snnbridge.model import Array, Form, Scheme
from snnbridge.simulator.numbers import Numbers


def leak_numbers(
    n: Numbers, scheme: Scheme, form: Any, name: str = "tau"
) -> tuple[Array, Array, Array]:
    """Return the decay, its complement, and the number that a form multiplies or divides by.

    Forms that are made of the time constant itself have that number in all three places.
    """
    if form is Form.EXPONENTIAL_EULER:
        leak = exponential_euler(n, name)
        return leak, leak, leak
    if form is Form.DERIVATIVE:
        n.positive(name)
        dt = np.full(n.shape, n.time_step(name))
        return dt, dt, dt
    if form is Form.QUOTIENT:
        steps = n.steps(name)
        return steps, steps, steps
    beta, complement = decay(n, scheme, name)
    if form in (Form.DIFFERENCE, Form.BOX):
        return beta, complement, complement
    if form in _WORDS:
        return beta, complement, _word(n, beta, complement, form)
    return beta, complement, beta


def _word(n: Numbers, beta: Array, complement: Array, form: Form) -> Array:
    one = _WORDS[form]
    word = one * (beta if form is Form.INTEGER_SHIFT_12 else complement)
    if not (word == np.rint(word)).all():
        raise n.refuse(f"the decay is no multiple of 1/{one}, which {form.value!r} needs")
    return word


def decay(n: Numbers, scheme: Scheme, name: str = "tau") -> tuple[Array, Array]:
    """Return beta, and its complement from the number that the scheme starts from."""
    if scheme in _COMPLEMENTS:
        complement = _COMPLEMENTS[scheme](n, name)
        return 1.0 - complement, complement
    beta = n.once(_DECAYS[scheme](n, name)).astype(np.float64)
    return beta, 1.0 - beta


def exponential_euler(n: Numbers, name: str) -> Array:
    """Return (dt * exprel(-dt / tau)) * (1 / tau), each operation in the network's width."""
    tau, dt = n.once(n.positive(name)), n.width.type(n.time_step(name))
    z = dt * (n.width.type(-1.0) / tau)
    exponential = n.once(_each(math.exp, z.astype(np.float64)))
    one, half = n.width.type(1.0), n.width.type(0.5)
    small = np.abs(z) <= n.width.type(1e-5 if n.width == np.float32 else 1e-8)
    series = one + z * half + z * z / n.width.type(6.0)
    phi = np.where(small, series, (exponential - one) / z)
    scaled = (dt * phi).astype(n.width) * (one / tau)
    return n.once(scaled)


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


def _runge_kutta(n: Numbers, name: str) -> Array:
    k: Array = n.fraction(name)
    return 1 - k + k**2 / 2 - k**3 / 6 + k**4 / 24


_COMPLEMENTS: dict[Scheme, Callable[[Numbers, str], Array]] = {
    Scheme.EULER: lambda n, name: n.fraction(name),
    Scheme.EULER_INVERSE: lambda n, name: n.rate("tau_inv"),
    Scheme.EULER_LOGIT: lambda n, name: _each(_sigmoid, n.get("logit")),
    Scheme.BIT_SHIFT: lambda n, name: _each(lambda x: 2.0**-x, n.get("dash")),
    Scheme.RC: lambda n, name: (
        n.time_step(None) / (n.positive("resistance") * n.positive("capacitance"))
    ),
    Scheme.INTEGRATE: lambda n, name: np.zeros(n.shape),
}
_DECAYS: dict[Scheme, Callable[[Numbers, str], Array]] = {
    Scheme.STATED: lambda n, name: n.get("decay"),
    Scheme.CLAMPED: lambda n, name: np.clip(n.get("decay"), 0.0, 1.0),
    Scheme.EXACT: lambda n, name: _each(lambda x: math.exp(-x), n.fraction(name)),
    Scheme.LOGIT: lambda n, name: _each(_sigmoid, n.get("logit")),
    Scheme.RUNGE_KUTTA_4: _runge_kutta,
}
_WORDS = {Form.INTEGER_SHIFT_12: 4096, Form.FIXED_Q8_8: 256}
