"""The classes of a framework as a target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from snnbridge import rules
from snnbridge.errors import WriteError
from snnbridge.express.adapting import Adapted, Made, Place, adapted
from snnbridge.express.demands import Refused, from_rest, need, once, whole
from snnbridge.express.graph import Loop
from snnbridge.express.step import Inexpressible, Step, step_of
from snnbridge.model import (
    PER_STEP,
    UNKNOWN,
    Array,
    AvgPool,
    BatchNorm,
    Conv1d,
    Conv2d,
    Flatten,
    Input,
    Layer,
    Linear,
    MaxPool,
    Neuron,
    Output,
    Quantity,
    Shape,
    SumPool,
    Synapse,
    TimeStep,
)

#: From a step, dt in seconds and the weights back to the neuron, to a class and its arguments.
Neurons: TypeAlias = Callable[[Step, float, Loop | None], tuple[str, dict[str, Any]]]

#: What PyTorch itself has modules for.
PLAIN = frozenset({Linear, Conv1d, Conv2d, AvgPool, MaxPool, SumPool, BatchNorm, Flatten})
#: A time step by whose inverse a product is not rounded, for a network that counts in steps.
STEP = Quantity(2.0**-10, "s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Classes:
    """A framework's classes, as a target of :func:`snnbridge.express.expressed`.

    Parameters
    ----------
    name : str
        As in :mod:`snnbridge.rules`.
    label : str
        As people write it.
    neurons : function
        The inverse of the rules: refuses, with Refused, a step that no class computes.
    plain : set of types of Layer
        The layers without a state that it runs.
    loops : set of types of Layer
        The weights that its neurons can have back to themselves.
    in_seconds : bool
        Whether its neurons need a time step in seconds.
    order : str
        Of the axes that it flattens.
    kinds : mapping of type of Layer to str
        Classes of its own for layers without a state.
    loop_names : mapping of type of Layer to str
        What its modules call the weights that feed spikes back, where it is not ``recurrent``.
    contained : bool
        Whether a neuron that such a matrix feeds back to stands as ``sub_module`` in a container,
        whose ``rc`` holds that matrix beside another for the input, and the bias.
    biased_loops : bool
        Whether those always have a bias.
    with_input : set of str
        The classes that hold the weights into their neurons too.
    numbered : str, optional
        How it names the modules of a chain, with ``{place}`` and ``{kind}``.
    identifiers : bool
        Whether its names are identifiers of Python, without dots.
    output_delay : int
        In which step after its cause a spike leaves a neuron.
    per_neuron : mapping of str to set of str
        By class, the arguments of which a new module holds one for each neuron, even where all are
        the same.
    flat : set of str
        The classes that run a layer of one axis alone.
    feedback : function of a Step, optional
        What each spike must feed back to its neuron, in the unit of the input, where the class
        subtracts another amount. It refuses a step with which that does not help.
    """

    name: str
    label: str
    neurons: Neurons
    plain: frozenset[type[Layer]] = PLAIN
    loops: frozenset[type[Layer]] = frozenset({Linear})
    in_seconds: bool = False
    order: str = "channels first"
    kinds: Mapping[type[Layer], str] = field(default_factory=dict)
    loop_names: Mapping[type[Layer], str] = field(default_factory=dict)
    contained: bool = False
    biased_loops: bool = False
    with_input: frozenset[str] = frozenset()
    numbered: str | None = None
    identifiers: bool = False
    output_delay: int = 0
    per_neuron: Mapping[str, frozenset[str]] = field(default_factory=dict)
    flat: frozenset[str] = frozenset()
    feedback: Callable[[Step], Array] | None = None

    def time_step(self, dt: TimeStep) -> TimeStep:
        """Return the time step that a network has there."""
        if self.in_seconds:
            return dt if isinstance(dt, Quantity) else STEP
        return PER_STEP if dt is UNKNOWN else dt

    def check(self, layer: Layer, shape: Shape | None, dt: TimeStep) -> None:
        """Refuse a layer that the framework has no module for."""
        if not self.has(layer) and type(layer) not in self.plain | {Input, Output}:
            raise WriteError(f"layer {layer.name!r}: {self.label} has no module for a {layer.kind}")

    def chain(
        self,
        layer: Neuron,
        synapse: Synapse | None,
        loop: Loop | None,
        shape: Shape | None,
        dt: TimeStep,
    ) -> Made:
        """Return a neuron as the framework's class that computes the same."""
        if self.has(layer) and (synapse is None or self.has(synapse)):
            return Made((layer,))
        try:
            return self._made(layer, synapse, loop, shape, dt)
        except Inexpressible:
            reason = "its rule is no linear step"
        except Refused as refusal:
            reason = str(refusal)
        raise WriteError(f"layer {layer.name!r}: {self.label} cannot run it: {reason}")

    def has(self, layer: Layer) -> bool:
        """Whether a layer is of the framework's classes already."""
        return layer.origin is not None and layer.origin.framework == self.name

    def _made(
        self,
        layer: Neuron,
        synapse: Synapse | None,
        loop: Loop | None,
        shape: Shape | None,
        dt: TimeStep,
    ) -> Made:
        known = layer.shape if layer.shape is not UNKNOWN else shape
        if known is None or layer.model != "lif":
            raise Refused(
                "its shape is not known" if known is None else f"its model is {layer.model!r}"
            )
        seconds = dt.seconds if isinstance(dt, Quantity) else 1.0
        place = Place(layer.name, known, self.loops, self.feedback)
        refusal = Refused("")
        for form in adapted(step_of(layer, synapse, dt), loop, place):
            try:
                return self._of(form, place, seconds)
            except Refused as last:  # of the forms that are tried the last is the most obliging
                refusal = last
        raise refusal

    def _of(self, form: Adapted, place: Place, dt: float) -> Made:
        """Return the class that computes a step as it is, or counted from rest."""
        loop = form.loop
        if loop is not None and type(loop.layer) not in self.loops:
            raise Refused(f"there no neuron feeds its spikes back through a {loop.layer.kind}")
        kind, given = from_rest(lambda step: self.neurons(step, dt, loop), form.step)
        need(
            kind not in self.flat or len(place.shape) == 1,
            f"of the class {kind} lies along one axis",
        )
        each = self.per_neuron.get(kind, frozenset())
        arguments = {
            k: (whole(v, place.shape) if k in each else once(v)) if isinstance(v, np.ndarray) else v
            for k, v in given.items()
        }
        layers = rules.get(self.name, kind).chain(place.name, shape=place.shape, **arguments)
        return Made(layers, f"{kind} of {self.label}", form)
