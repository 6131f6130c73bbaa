"""A part of a graph beside the simulator: the same probes into both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from snnbridge import (
    Connection,
    Input,
    Layer,
    Neuron,
    NeuronRule,
    SNNCheckpoint,
    StateVariable,
    Synapse,
    SynapseRule,
    simulate,
)
from snnbridge.model import Array, Parameter, Path
from snnbridge_plugins.onnx.foreign.neurons.computing import Part

Parameters: TypeAlias = Mapping[str, Parameter]


@dataclass(frozen=True)
class Roles:
    """What the values of a part are.

    Attributes
    ----------
    drives : tuple of str
        In the order in which their connections would stand.
    v, v_end : str
        The membrane potential before and after the step.
    i, i_end : str
        The synaptic current, if there is one.
    spikes : tuple of str
        All the values that are the spikes.
    gain : float
        What one spike counts.
    """

    drives: tuple[str, ...]
    v: str
    v_end: str
    spikes: tuple[str, ...]
    gain: float
    i: str = ""
    i_end: str = ""


@dataclass(frozen=True)
class Guess:
    """A synapse, if there is one, and a neuron."""

    neuron: Parameters
    rule: NeuronRule
    synapse: Parameters = field(default_factory=dict)
    synapse_rule: SynapseRule | None = None

    def but(self, more: Parameters, **switches: Any) -> Guess:
        """Return it with more parameters of the neuron, and other switches."""
        return replace(self, neuron={**self.neuron, **more}, rule=replace(self.rule, **switches))

    def layers(self, name: str, shape: Any) -> list[Layer]:
        """Return its layers in their order."""
        neuron = Neuron(name, shape, self.neuron, self.rule)
        if self.synapse_rule is None:
            return [neuron]
        return [Synapse(f"{name}.synapse", shape, self.synapse, self.synapse_rule), neuron]


class Bench:
    """Runs probes, each of shape (probes, neurons) in the width of the part.

    Parameters
    ----------
    part : Part
    roles : Roles

    Attributes
    ----------
    checked : object
        Kept for who holds rules against it.
    """

    def __init__(self, part: Part, roles: Roles) -> None:
        self.part, self.roles = part, roles
        self.neurons, self.dtype = part.neurons, part.dtype
        self.checked: Any = None
        self.rng = np.random.default_rng(0)

    def probe(self, x: Any, v: Any, i: Any = 0.0, others: Any = 0.0) -> dict[str, Array]:
        """Return probes by the names of the part's values; numbers stand for all neurons."""
        given = {self.roles.v: v, self.roles.drives[0]: x}
        given |= dict.fromkeys(self.roles.drives[1:], others)
        if self.roles.i:
            given[self.roles.i] = i
        arrays = {name: np.asarray(value, self.dtype) for name, value in given.items()}
        count = max((len(a) for a in arrays.values() if a.ndim == 2), default=1)
        return {
            name: np.ascontiguousarray(np.broadcast_to(a, (count, self.neurons)))
            for name, a in arrays.items()
        }

    def random(self, count: int, scale: float = 2.0) -> dict[str, Array]:
        """Return random probes of every value."""

        def draw() -> Array:
            spread = scale * 2.0 ** self.rng.integers(-4, 3, (count, 1))
            return (self.rng.normal(0, 1, (count, self.neurons)) * spread).astype(self.dtype)

        return self.probe(draw(), draw(), draw(), draw())

    def truth(self, given: Mapping[str, Array]) -> dict[str, Array]:
        """Return what the part makes: "spikes", "v" and "i"."""
        made, roles = self.part.run(given), self.roles
        found = {"spikes": made[roles.spikes[0]].astype(self.dtype), "v": made[roles.v_end]}
        return {**found, "i": made[roles.i_end]} if roles.i else found

    def guessed(self, guess: Guess, given: Mapping[str, Array]) -> dict[str, Array]:
        """Return what a guess makes: the same, and "u", what its synapse hands on."""
        layers = guess.layers("n", (self.neurons,))
        inputs = [Input(f"x{at}", (self.neurons,)) for at in range(len(self.roles.drives))]
        edges = [Connection(x.name, layers[0].name) for x in inputs]
        if len(layers) > 1:
            edges.append(Connection(layers[0].name, "n"))
        initial: dict[Path, StateVariable] = {("n", "v"): StateVariable(given[self.roles.v], 0)}
        if self.roles.i:
            initial["n.synapse", "i"] = StateVariable(given[self.roles.i], 0)
        stimuli = {
            x.name: given[name][None] for x, name in zip(inputs, self.roles.drives, strict=True)
        }
        made = simulate(
            SNNCheckpoint([*inputs, *layers], connections=edges),
            stimuli, record=[x.name for x in layers], initial=initial, threads=1,
        )  # fmt: skip
        found = {"spikes": made.traces["n", "output"][0], "v": made.state["n", "v"].value}
        if self.roles.i:
            found["i"] = made.state["n.synapse", "i"].value
            found["u"] = made.traces["n.synapse", "output"][0]
        return found


def same(ours: Mapping[str, Array], truth: Mapping[str, Array], names: tuple[str, ...]) -> Array:
    """Return where every bit but the sign of a zero agrees, by probe and neuron."""
    agree = np.ones(truth["v"].shape, bool)
    for name in names:
        agree &= ours[name] == truth[name]
    return agree
