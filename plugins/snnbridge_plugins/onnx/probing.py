"""Neurons in other tools' graphs: arithmetic between states, told by what it does to probes.

A part of a graph that takes an input and a state, and gives spikes and the next state, is computed
on some thousands of pairs of them; it is a neuron if one rule of the family gives the same bits on
all of them. Names play no part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from snnbridge import Connection, Input, Neuron, NeuronRule, SNNCheckpoint, StateVariable, simulate
from snnbridge.document import dtype_of
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
    Shape,
    SpikeSource,
    Trace,
    Width,
)
from snnbridge_plugins.onnx.operators import attributes
from snnbridge_plugins.onnx.schema import DTYPES, Message

_PROBES = 4096
#: No neuron's step takes more operators.
MOST_NODES = 64
_MOST_NEURONS = 1 << 16
_SMALL = np.float32(2.0**-10)
_TIMINGS = (ResetTiming.NOW, ResetTiming.NEXT_AFTER_LEAK, ResetTiming.NEXT_BEFORE_LEAK)
_BINARY: Mapping[str, Callable[..., Array]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Max": np.maximum,
    "Min": np.minimum,
    "And": np.logical_and,
    "Or": np.logical_or,
    "Where": np.where,
    "Neg": np.negative,
    "Not": np.logical_not,
    "Identity": np.array,
}
ARITHMETIC = frozenset({*_BINARY, "Cast", "Clip"})


@dataclass(frozen=True)
class Part:
    """A part of a graph that may be a neuron.

    Attributes
    ----------
    nodes : tuple of Message
        In order; all of them arithmetic.
    drive, state : str
        The values that it takes.
    outputs : tuple of str
        The values that others take.
    constants : dict of str to numpy.ndarray
    """

    nodes: tuple[Message, ...]
    drive: str
    state: str
    outputs: tuple[str, ...]
    constants: Mapping[str, Array]

    def run(self, x: Array, v: Array) -> dict[str, Array]:
        """Return the outputs for inputs and states of one shape (probes, neurons)."""
        values: dict[str, Any] = {**self.constants, self.drive: x, self.state: v}
        with np.errstate(all="ignore"):
            for node in self.nodes:
                arguments = [values[name] if name else None for name in node.get("input", [])]
                values[node["output"][0]] = _computed(node, arguments)
        return {name: np.broadcast_to(values[name], x.shape) for name in self.outputs}


@dataclass(frozen=True)
class Found:
    """A neuron, and the values that stand for its spikes and its next state."""

    parameters: Mapping[str, Parameter]
    rule: NeuronRule
    spikes: str
    state: str

    def layer(self, name: str, shape: Any) -> Neuron:
        """Return the layer."""
        return Neuron(name, shape, self.parameters, self.rule)


def _computed(node: Message, arguments: Sequence[Any]) -> Array:
    kind = node["op_type"]
    if kind == "Cast":
        return np.asarray(arguments[0], dtype_of(DTYPES[attributes(node)["to"]]))
    if kind == "Clip":
        low, high = (*arguments[1:], None, None)[:2]
        held = attributes(node)
        return np.asarray(np.clip(arguments[0], held.get("min", low), held.get("max", high)))
    return np.asarray(_BINARY[kind](*arguments))


def recognised(part: Part, neurons: int) -> Found | None:
    """Return the neuron that a part is, or None.

    Parameters
    ----------
    part : Part
    neurons : int
        How many there are, if the constants tell them apart; else 1.
    """
    vectors = all(x.size <= max(x.shape[-1:], default=1) for x in part.constants.values())
    if not vectors or neurons > _MOST_NEURONS or len(part.outputs) != 2:
        return None
    try:
        return _Probe(part, neurons).found()
    except (TypeError, ValueError, KeyError, IndexError):  # no arithmetic of one shape
        return None


class _Probe:
    def __init__(self, part: Part, neurons: int) -> None:
        self.part, self.neurons = part, neurons
        count = max(16, _PROBES // neurons)
        rng = np.random.default_rng(0)
        self.x = rng.normal(0, 2, (count, neurons)).astype(np.float32)
        self.v = rng.normal(0, 2, (count, neurons)).astype(np.float32)

    def found(self) -> Found | None:
        """Measure the numbers, then hold each rule against the part."""
        truth = self.part.run(self.x, self.v)
        binary = [n for n, value in truth.items() if set(np.unique(value)) == {0, 1}]
        if len(binary) != 1:
            return None
        self.spikes = binary[0]
        self.state = next(name for name in truth if name != self.spikes)
        zero = np.zeros((1, self.neurons), np.float32)
        beta = self.part.run(zero, zero + _SMALL)[self.state] / _SMALL
        gain = self.part.run(zero + _SMALL, zero)[self.state] / _SMALL
        if not (gain > 0).all() or self.part.run(zero, zero)[self.state].any():
            return None
        self.gain = gain[0]
        for parameters, rule in self._candidates(beta[0]):
            if self._same(parameters, rule, truth):
                return Found(parameters, rule, self.spikes, self.state)
        return None

    def _candidates(self, beta: Array) -> Iterator[tuple[dict[str, Parameter], NeuronRule]]:
        leak, update = _update(beta, self.gain)
        compare, threshold = self._threshold()
        base = {**leak, "threshold": _once(threshold)}
        reset = {"v_reset": Parameter(np.zeros((), np.float32))}
        for timing in _TIMINGS:
            yield base, _rule(compare, Reset.SUBTRACT, timing, **update)
            yield {**base, **reset}, _rule(compare, Reset.SET, timing, **update)
        yield base, _rule(compare, Reset.NONE, ResetTiming.NOW, **update)

    def _threshold(self) -> tuple[Compare, Array]:
        """Find the least potential that makes a neuron spike, by halving the floats.

        An input of gain 1 makes that potential from rest; another keeps it, where it is equal.
        """
        low = np.zeros(self.neurons, np.int64)
        high = np.full(self.neurons, int(np.float32(1e6).view(np.int32)), np.int64)
        zero = np.zeros((1, self.neurons), np.float32)
        while (high - low > 1).any():
            middle = (low + high) // 2
            x = middle.astype(np.int32).view(np.float32)[None]
            v = np.where(self.gain == 1, zero, x)
            fires = self.part.run(x, v)[self.spikes][0] > 0
            low, high = np.where(fires, low, middle), np.where(fires, middle, high)
        least, below = (n.astype(np.int32).view(np.float32) for n in (high, low))
        strict = sum(map(_digits, below)) < sum(map(_digits, least))
        return (Compare.GREATER, below) if strict else (Compare.GREATER_EQUAL, least)

    def _same(
        self, parameters: Mapping[str, Parameter], rule: NeuronRule, truth: Mapping[str, Array]
    ) -> bool:
        shape: Shape = (self.neurons,)
        net = SNNCheckpoint(
            [Input("x", shape), Neuron("n", shape, parameters, rule)],
            connections=[Connection("x", "n")],
        )
        made = simulate(
            net, self.x[None], record=["n"], initial={("n", "v"): StateVariable(self.v, 0)}
        )
        spikes, v = made.spikes["n"][0], made.state["n", "v"].value
        return bool((spikes == truth[self.spikes]).all() and (v == truth[self.state]).all())


def _update(beta: Array, gain: Array) -> tuple[dict[str, Parameter], dict[str, Any]]:
    """Return the leak and the form of the update, told by what a unit of input adds."""
    if (gain == 1).all():
        affine = {"scheme": Scheme.STATED, "form": Form.AFFINE, "input_gain": InputGain.ONE}
        return {"decay": _once(beta)}, affine
    difference = {
        "scheme": Scheme.EULER_INVERSE,
        "form": Form.DIFFERENCE,
        "input_gain": InputGain.COMPLEMENT,
    }
    return {"tau_inv": replace(_once(gain), unit="1/step")}, difference


def _digits(number: np.float32) -> int:
    """Count the digits of a number: people choose the one with fewer as a threshold."""
    return len(str(number))


def _once(numbers: Array) -> Parameter:
    return Parameter(np.asarray(numbers[0]) if (numbers == numbers[0]).all() else numbers)


def _rule(compare: Compare, reset: Reset, timing: ResetTiming, **update: Any) -> NeuronRule:
    return NeuronRule(
        **update,
        inputs=Inputs.SUMMED,
        compare=compare,
        reset=reset,
        reset_timing=timing,
        spike_from=SpikeSource.NEW,
        floor=Floor.MAXIMUM,
        refractory=Refractory.NONE,
        clock=Clock.COUNTER,
        spiking=True,
        max_spikes=1,
        output_delay=0,
        width=Width.FLOAT32,
        trace=Trace.RESET,
    )
