"""Neuron kinds that a plugin adds: their parameters, their state, and one step in Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from snnbridge.errors import PluginError

if TYPE_CHECKING:
    from snnbridge.model import Array  # numpy is slow to import, and a list of formats needs none

#: Arrays by name: state variables, each ``(batch, *layer shape)``, or parameters that broadcast.
Arrays: TypeAlias = "Mapping[str, Array]"


@dataclass(frozen=True, slots=True, kw_only=True)
class NeuronKind:
    """A kind of neuron beyond the family of :class:`snnbridge.NeuronRule`.

    A layer ``Neuron(name, shape, parameters, model=KIND)`` is of it. The simulator calls `step`
    once a step, which is slower than its own neurons by far.

    Parameters
    ----------
    name : str
        What ``Neuron.model`` says; any but ``"lif"``.
    summary : str
        One line.
    parameters : mapping of str to str
        What each parameter is. All of them are needed; a layer that does not state one cannot
        be simulated.
    state : mapping of str to float
        The state variables and where they start; ``"v"`` is the membrane potential.
    step : function of (input, state, parameters), returning (spikes, state)
        One step of all neurons. The input is what arrives, shape ``(batch, *layer shape)``, in the
        network's width; state variables have that shape, too, and parameters broadcast to it.
        Spikes are 0 or 1, or counts, in the same shape. Nothing handed in may be changed.

    Raises
    ------
    PluginError
        For a record that cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> def step(x, state, parameters):
    ...     v = state["v"] + x
    ...     spikes = v >= parameters["threshold"]
    ...     return spikes, {"v": np.where(spikes, 0, v)}
    >>> NeuronKind(name="counter", summary="Counts its input", step=step, state={"v": 0.0},
    ...            parameters={"threshold": "where it spikes"}).name
    'counter'
    """

    name: str
    summary: str
    step: Callable[[Array, Arrays, Arrays], tuple[Array, Arrays]]
    parameters: Mapping[str, str] = field(default_factory=dict)
    state: Mapping[str, float] = field(default_factory=lambda: {"v": 0.0})

    def __post_init__(self) -> None:
        if not self.name or self.name == "lif" or not self.name.isprintable():
            raise PluginError(f"a neuron kind cannot be called {self.name!r}")
        if not callable(self.step):
            raise PluginError(f"neuron kind {self.name!r}: step must be a function")
        if "v" not in self.state:
            raise PluginError(f"neuron kind {self.name!r} has no membrane potential 'v' as state")
