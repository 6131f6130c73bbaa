"""How a potential and a current go from one step to the next, told by what probes become.

Numbers are measured with probes that are powers of two, so that they come out as they are; where
rounding hides their last bits, the neighbours are tried, and what the graph itself holds first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from snnbridge import NeuronRule, SynapseRule
from snnbridge.model import (
    Array,
    Clock,
    Compare,
    Floor,
    Form,
    InputGain,
    Inputs,
    Parameter,
    Refractory,
    Reset,
    ResetTiming,
    Scheme,
    SpikeSource,
    SynapseKind,
    SynapseOrder,
    Trace,
    Width,
)
from snnbridge_plugins.onnx.foreign.neurons.bench import Bench, Guess
from snnbridge_plugins.onnx.foreign.neurons.numbers import Pool, parameter, pool_of

#: So far below that nothing else counts beside it, in the bits of each width.
_BIG = {4: -(2.0**40), 8: -(2.0**90)}
_RULE = NeuronRule(
    compare=Compare.GREATER,
    reset=Reset.NONE,
    reset_timing=ResetTiming.NOW,
    spike_from=SpikeSource.NEW,
    inputs=Inputs.SUMMED,
    floor=Floor.MAXIMUM,
    refractory=Refractory.NONE,
    clock=Clock.COUNTER,
    spiking=False,
    max_spikes=1,
    output_delay=0,
    width=Width.FLOAT32,
    trace=Trace.RAW,
)
_MANY = 4096


def updates(bench: Bench) -> Iterator[Guess]:
    """Yield the readouts that do to all silent probes what a part does, bit for bit."""
    pool = pool_of(bench.part)
    given = bench.random(max(64, _MANY // bench.neurons))
    given[bench.roles.v] = -np.abs(given[bench.roles.v])
    truth = bench.truth(given)
    silent = truth["spikes"] == 0
    if silent.mean() < 1 / 16:
        return
    for synapse in _synapses(bench, pool):
        measured = _measured(bench, synapse)
        if measured is None:
            continue
        for ordered in _in_order(bench, synapse):
            u = bench.guessed(ordered, given).get("u", _summed(bench, given))
            if not measured.roughly(u, given[bench.roles.v], truth["v"], silent):
                break
            for guess in _guesses(measured, ordered, pool):
                ours = bench.guessed(guess, given)
                currents = not bench.roles.i or (ours["i"] == truth["i"]).all()
                if currents and (ours["v"] == truth["v"])[silent].all():
                    yield guess


def _summed(bench: Bench, given: dict[str, Array]) -> Array:
    total: Array = np.sum([given[name] for name in bench.roles.drives], axis=0)
    return total


def _in_order(bench: Bench, guess: Guess) -> Iterator[Guess]:
    """Yield the ways in which several inputs may be added."""
    several = len(bench.roles.drives) > 1
    for way in (Inputs.SUMMED, Inputs.IN_TURN)[: 1 + several]:
        if guess.synapse_rule is None:
            yield guess.but({}, inputs=way)
        else:
            rule = replace(guess.synapse_rule, inputs=way)
            yield replace(guess.but({}, inputs=Inputs.SUMMED), synapse_rule=rule)


# Currents


def _synapses(bench: Bench, pool: Pool) -> Iterator[Guess]:
    """Yield what may be the synapse, each with a neuron that is still to be told."""
    width, big = Width(bench.dtype.name), _BIG[bench.dtype.itemsize]
    plain = Guess(
        {}, replace(_RULE, width=width, **_switches(Scheme.INTEGRATE, Form.AFFINE, InputGain.ONE))
    )
    if not bench.roles.i:
        yield plain
        return
    alpha = (bench.truth(bench.probe(0, 0, big))["i"] / bench.dtype.type(big))[0]
    gain = (bench.truth(bench.probe(big, 0, 0))["i"] / bench.dtype.type(big))[0]
    if (alpha < 0).any() or (alpha > 1).any():
        return
    if (gain == 1).all():
        orders = [SynapseOrder.DECAY_ADD_USE, SynapseOrder.DECAY_USE_ADD]
    elif (gain == alpha).all():
        orders = [SynapseOrder.ADD_DECAY_USE, SynapseOrder.ADD_USE_DECAY]
    else:
        return
    for order in orders:
        for parameters, scheme, form in _decays(alpha, pool):
            rule = SynapseRule(
                kind=SynapseKind.EXPONENTIAL, order=order, scheme=scheme, form=form,
                input_gain=InputGain.ONE, inputs=Inputs.SUMMED, width=width,
            )  # fmt: skip
            yield replace(plain, synapse=parameters, synapse_rule=rule)


def _decays(alpha: Array, pool: Pool) -> Iterator[tuple[dict[str, Parameter], Scheme, Form]]:
    yield {"decay": parameter(alpha)}, Scheme.STATED, Form.AFFINE
    for k in pool.near(1 - alpha.astype(np.float64), 2):
        yield {"tau_inv": parameter(k, "1/step")}, Scheme.EULER_INVERSE, Form.DIFFERENCE


# Potentials


@dataclass(frozen=True)
class _Measured:
    """What one unit of the potential, of the current, and of nothing becomes."""

    beta: Array
    gain: Array
    constant: Array
    floor: Array | None

    def roughly(self, u: Array, v: Array, ends: Array, where: Array) -> bool:
        """Whether the ends follow from it, but for rounding."""
        terms = [self.beta * v.astype(np.float64), self.gain * u.astype(np.float64)]
        h = terms[0] + terms[1] + self.constant
        scale = np.abs(terms[0]) + np.abs(terms[1]) + np.abs(v) + np.abs(self.constant)
        if self.floor is not None:
            h, scale = np.maximum(h, self.floor), scale + np.abs(self.floor)
        return bool((np.abs(h - ends) <= 1e-5 * scale + 1e-30)[where].all())


def _measured(bench: Bench, synapse: Guess) -> _Measured | None:
    def step(x: Any, v: Any, i: Any = 0.0) -> tuple[Array, Array]:
        given = bench.probe(x, v, i)
        u = bench.guessed(synapse, given).get("u", given[bench.roles.drives[0]])
        return bench.truth(given)["v"][0].astype(np.float64), u[0].astype(np.float64)

    constant, big = step(0, 0)[0], _BIG[bench.dtype.itemsize]
    late = synapse.synapse_rule is not None and (
        synapse.synapse_rule.order is SynapseOrder.DECAY_USE_ADD
    )
    low, lower = (step(*((0, 0, n) if late else (n, 0)))[0] for n in (big, 2 * big))
    floor = low if (low == lower).all() else None
    unit = big if floor is None else (-0.25 if (floor < 0).all() else 2.0**-10)
    if floor is not None and (floor < 0).all():
        unit = float(bench.dtype.type(0.25 * floor.max()))
    leaked, (driven, u) = step(0, unit)[0], step(*((0, 0, unit) if late else (unit, 0)))
    if not u.all():
        return None
    beta, gain = (leaked - constant) / unit, (driven - constant) / u
    sound = all(np.isfinite(x).all() for x in (beta, gain, constant))
    if not sound or not (gain > 0).all() or (beta < 0).any() or (beta > 1.5).any():
        return None
    return _Measured(beta, gain, constant, floor)


def _guesses(measured: _Measured, base: Guess, pool: Pool) -> Iterator[Guess]:
    """Yield what may be the update; first that whose numbers stand in the graph."""
    found = list(_leaks(measured, pool))
    ranked = sorted(found, key=lambda item: item[0] not in pool)
    bounds: list[dict[str, Any]] = [{}]
    if measured.floor is not None:
        bounds = [{"floor": Floor.MAXIMUM}, {"floor": Floor.SHIFTED}]
    for _, parameters, switches in ranked:
        for bound in bounds:
            held = dict(parameters)
            if measured.floor is not None:
                held["v_min"] = parameter(measured.floor.astype(pool.dtype))
            yield base.but(held, **switches, **bound)


def _leaks(
    at: _Measured, pool: Pool
) -> Iterator[tuple[Array, dict[str, Parameter], dict[str, Any]]]:
    """Yield a number that an update turns on, its parameters, and its switches."""
    slack = 0 if at.floor is None else 2
    bias = {} if not at.constant.any() else {"bias": parameter(at.constant.astype(pool.dtype))}
    if (at.gain == 1).all() and (at.beta == 1).all():
        yield at.beta, bias, _switches(Scheme.INTEGRATE, Form.AFFINE, InputGain.ONE)
    for beta in pool.near(at.beta, slack):
        for gain, more in _gains(at, beta, pool.dtype):
            yield beta, {"decay": parameter(beta), **bias, **more}, _switches(
                Scheme.STATED, Form.AFFINE, gain
            )  # fmt: skip
    unscaled = np.abs(at.gain - 1).max() < 1e-6
    complement, gain = (1 - at.beta, InputGain.ONE) if unscaled else (at.gain, InputGain.COMPLEMENT)
    if not (complement > 0).all():
        return
    slack = 2 if unscaled or slack else 0
    for name, unit, scheme, measured, form in (
        ("tau_inv", "1/step", Scheme.EULER_INVERSE, complement, Form.DIFFERENCE),
        ("tau", "step", Scheme.EULER, 1 / complement, Form.QUOTIENT),
        ("tau_inv", "1/step", Scheme.EULER_INVERSE, complement, Form.BOX),
    ):
        for number in pool.near(measured, max(slack, int(form is Form.QUOTIENT))):
            for rest in _rests(at, complement, pool):
                held = {name: parameter(number, unit), **rest}
                yield number, held, _switches(scheme, form, gain)


def _gains(
    at: _Measured, beta: Array, dtype: np.dtype[Any]
) -> Iterator[tuple[InputGain, dict[str, Parameter]]]:
    complement = (1 - beta.astype(np.float64)).astype(dtype)
    if np.abs(at.gain - 1).max() < 1e-6:
        yield InputGain.ONE, {}
    elif np.abs(at.gain - complement).max() < 1e-6:
        yield InputGain.COMPLEMENT, {}
    yield InputGain.STATED, {"gain": parameter(at.gain.astype(dtype))}


def _rests(at: _Measured, complement: Array, pool: Pool) -> Iterator[dict[str, Parameter]]:
    if not at.constant.any():
        yield {}
        return
    for rest in pool.near(at.constant / complement, 2):
        yield {"v_rest": parameter(rest)}


def _switches(scheme: Scheme, form: Form, gain: InputGain) -> dict[str, Any]:
    return {"scheme": scheme, "form": form, "input_gain": gain}
