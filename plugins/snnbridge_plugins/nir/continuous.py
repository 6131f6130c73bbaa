"""The node of NIR that a neuron and the synapse before it are: equations in continuous time."""

from __future__ import annotations

import numpy as np

from snnbridge import UNKNOWN, CheckpointError, Neuron, Synapse, UnknownValue
from snnbridge.express import Current, Inexpressible, Step, current_of, step_of
from snnbridge.express.demands import tau_of
from snnbridge.model import (
    Array,
    InputGain,
    Quantity,
    Reset,
    Scheme,
    Shape,
    SynapseKind,
    TimeStep,
)
from snnbridge_plugins.nir.graph import Node, Value
from snnbridge_plugins.nir.nodes import check_count, foreign, seconds, spread, stated

#: The time step in seconds that a network in steps is written with: the importers' own.
STEP = 1e-4


def step_seconds(dt: TimeStep) -> float:
    """Return a time step in seconds; :data:`STEP` where it has no duration."""
    if isinstance(dt, Quantity):
        try:
            return dt.seconds
        except CheckpointError:  # no unit of time
            return STEP
    return STEP


def neuron_node(neuron: Neuron, synapse: Synapse | None, shape: Shape | None, dt: TimeStep) -> Node:
    """Return the node of a neuron.

    Parameters
    ----------
    neuron : Neuron
    synapse : Synapse, optional
        What alone feeds it.
    shape : tuple of int, optional
        Of its input, where it states no shape.
    dt : Quantity or PER_STEP or UNKNOWN
        Of the network.
    """
    try:
        return _Equations(neuron, synapse, shape, dt).node()
    except Inexpressible:
        return foreign(neuron)


def synapse_node(synapse: Synapse, shape: Shape | None, dt: TimeStep) -> Node:
    """Return the node of a synapse that stands alone: a leaky integrator."""
    known = synapse.shape if synapse.shape is not UNKNOWN else shape
    if known is None:
        return foreign(synapse)
    try:
        tau, gain = _filter(synapse, dt)
        fields: dict[str, Value] = {"tau": spread(tau, known), "r": spread(gain, known)}
        fields["v_leak"] = np.zeros(known, np.float32)
        return Node("LI", fields)
    except Inexpressible:
        return foreign(synapse)


def _filter(synapse: Synapse, dt: TimeStep) -> tuple[Array, Array]:
    """Return the time constant and the factor on the input of a synapse."""
    own = synapse.dt if synapse.dt is not None else dt
    step = step_seconds(own)
    if synapse.rule.kind not in (SynapseKind.EXPONENTIAL, UNKNOWN) or synapse.receptors != 1:
        raise Inexpressible
    if "tau" in synapse.parameters:
        tau = seconds(synapse.parameters["tau"], step) if _known(synapse, "tau") else None
    else:
        numbers = _current_numbers(synapse, own)
        tau = None if numbers is None else tau_of(numbers.alpha, step)
    if tau is None:
        raise Inexpressible
    if "input_gain" in synapse.parameters:
        return tau, stated(synapse, "input_gain")
    if synapse.rule.input_gain is InputGain.ONE:  # the whole spike arrives within one step
        return tau, np.asarray(tau, np.float64) / step
    return tau, np.ones((), np.float32)


def _known(layer: Neuron | Synapse, name: str) -> bool:
    return name in layer.parameters and layer.parameters[name].value is not UNKNOWN


class _Equations:
    """What the equations of one neuron need."""

    def __init__(
        self, neuron: Neuron, synapse: Synapse | None, shape: Shape | None, dt: TimeStep
    ) -> None:
        own = neuron.dt if neuron.dt is not None else dt
        known = neuron.shape if neuron.shape is not UNKNOWN else shape
        if neuron.model != "lif" or known is None:
            raise Inexpressible
        held = (p.value for p in neuron.parameters.values() if p.value is not UNKNOWN)
        check_count(known, max((value.size for value in held), default=1))
        self.neuron, self.synapse, self.shape, self.dt = neuron, synapse, known, dt
        self.step = step_seconds(own)
        self.spiking = neuron.rule.spiking is not False and "threshold" in neuron.parameters
        self.numbers = _numbers(neuron, own)

    def node(self) -> Node:
        rule = self.neuron.rule
        if self.spiking and rule.scheme is Scheme.STATED and self._forgets():
            return Node("Threshold", {"threshold": self._spread("threshold")})
        if rule.scheme is Scheme.INTEGRATE and self.synapse is None:
            fields: dict[str, Value] = {"r": spread(self._ramp(), self.shape)}
            return Node("IF" if self.spiking else "I", fields | self._fire())
        fields = self._membrane()
        kind = "LIF" if self.spiking else "LI"
        if self.synapse is not None:
            fields["tau_mem"] = fields.pop("tau")
            tau, gain = _filter(self.synapse, self.dt)
            fields |= {"tau_syn": spread(tau, self.shape), "w_in": spread(gain, self.shape)}
            kind = f"Cuba{kind}"
        return Node(kind, fields | self._fire())

    def _forgets(self) -> bool:
        decay = self.neuron.parameters.get("decay")
        zero = decay is not None and decay.value is not UNKNOWN and not decay.value.any()
        return zero and self.neuron.rule.reset is Reset.NONE and self.synapse is None

    def _membrane(self) -> dict[str, Value]:
        tau = self._tau()
        fields = {"tau": tau, "r": self._resistance(tau), "v_leak": self._rest(tau)}
        return {name: spread(value, self.shape) for name, value in fields.items()}

    def _tau(self) -> Array:
        if _known(self.neuron, "tau"):
            return seconds(self.neuron.parameters["tau"], self.step)
        return tau_of(self._stepped().beta, self.step)

    def _stepped(self) -> Step:
        if self.numbers is None:
            raise Inexpressible
        return self.numbers

    def _resistance(self, tau: Array) -> Array:
        """Return r so that r*step/tau is the factor on the input."""
        if self.neuron.rule.input_gain in (InputGain.COMPLEMENT, UNKNOWN):
            held = "resistance" in self.neuron.parameters
            return stated(self.neuron, "resistance") if held else np.ones((), np.float32)
        if _known(self.neuron, "tau"):
            return self._stepped().gain / self._stepped().leak
        return self._stepped().gain * tau / self.step

    def _ramp(self) -> Array:
        if "resistance" in self.neuron.parameters:
            return stated(self.neuron, "resistance")
        if self.neuron.rule.input_gain is InputGain.ONE:
            return np.asarray(1.0 / self.step)
        return np.ones((), np.float32)

    def _rest(self, tau: Array) -> Array:
        if "bias" in self.neuron.parameters and self.numbers is not None:
            return self.numbers.constant * tau / self.step
        held = "v_rest" in self.neuron.parameters
        return stated(self.neuron, "v_rest") if held else np.zeros((), np.float32)

    def _fire(self) -> dict[str, Value]:
        if not self.spiking:
            return {}
        found: dict[str, Value] = {"v_threshold": self._spread("threshold")}
        if self.neuron.rule.reset is Reset.SET:
            value = stated(self.neuron, "v_reset")
            if value.any():  # nir before 1.0.6 refuses the field, and takes zero without it
                found["v_reset"] = spread(value, self.shape)
        return found

    def _spread(self, name: str) -> Array:
        return spread(stated(self.neuron, name), self.shape)


def _numbers(neuron: Neuron, dt: TimeStep) -> Step | None:
    try:
        return step_of(neuron, None, dt)
    except (UnknownValue, CheckpointError, Inexpressible):
        return None


def _current_numbers(synapse: Synapse, dt: TimeStep) -> Current | None:
    try:
        return current_of(synapse, dt)
    except (UnknownValue, CheckpointError, Inexpressible):
        return None
