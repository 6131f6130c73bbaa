"""What a network is expressed for."""

from __future__ import annotations

from typing import Protocol

from snnbridge.express.adapting import Made
from snnbridge.express.graph import Loop
from snnbridge.model import Layer, Neuron, Shape, Synapse, TimeStep


class Runner(Protocol):
    """What runs a network in its own neurons: a framework, or its importer of some files."""

    @property
    def label(self) -> str:
        """Its name in messages."""

    @property
    def order(self) -> str:
        """The order of the axes that it flattens."""

    @property
    def output_delay(self) -> int:
        """The step after its cause in which a spike leaves a neuron."""

    def time_step(self, dt: TimeStep) -> TimeStep:
        """Return the time step that a network has there."""

    def check(self, layer: Layer, shape: Shape | None, dt: TimeStep) -> None:
        """Refuse, with WriteError, a layer without a state that it does not run."""

    def chain(
        self,
        layer: Neuron,
        synapse: Synapse | None,
        loop: Loop | None,
        shape: Shape | None,
        dt: TimeStep,
    ) -> Made:
        """Return a neuron, with the synapse before it, in its own terms.

        Raises
        ------
        WriteError
            If it has none that does the same.
        """
