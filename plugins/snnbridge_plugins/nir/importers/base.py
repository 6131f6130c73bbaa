"""What the importers of the frameworks have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from snnbridge import (
    PER_STEP,
    UNKNOWN,
    Flatten,
    Layer,
    Linear,
    Neuron,
    ReadError,
    Synapse,
    WriteError,
    rules,
)
from snnbridge.express import Inexpressible
from snnbridge.express.classes import once
from snnbridge.express.demands import Refused, from_rest
from snnbridge.express.graph import Loop
from snnbridge.express.step import Step, step_of
from snnbridge.model import (
    Array,
    Quantity,
    Shape,
    TimeStep,
)
from snnbridge_plugins.nir.fields import Fields
from snnbridge_plugins.nir.graph import Node
from snnbridge_plugins.nir.layers import to_layers
from snnbridge_plugins.nir.nodes import FOREIGN, spread, to_node

#: From a node's name, its arrays of one shape, and dt in seconds, to the layers that an importer
#: builds.
Reads: TypeAlias = Callable[[str, Mapping[str, Array], float], tuple[Layer, ...]]
#: From a step and dt in seconds to the node that an importer reads as this step.
Writes: TypeAlias = Callable[[Step, float], tuple[str, dict[str, Array]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Importer:
    """One framework's importer of NIR graphs.

    Parameters
    ----------
    name : str
        The framework.
    version : str
        The version that was read and measured.
    call : str
        How it is called on a file ``net.nir``; ``{dt}`` is the time step in seconds.
    neurons : mapping of str to function
        By the type of a node, what it builds.
    writes : function
        The inverse.
    plain : set of str
        The other types of nodes that it takes.
    dt : float
        The time step in seconds that a network in steps is written with.
    default : float
        The time step of a call that states none, if it is another one.
    takes_dt : bool
        Whether it can be told.
    in_steps : bool
        Whether it reads time constants as numbers of steps.
    biased : bool
        Whether it knows no matrix without a bias.
    order : str
        Of the axes that it flattens.
    recurrent : bool
        Whether it runs cycles.
    """

    name: str
    version: str
    call: str
    neurons: Mapping[str, Reads]
    writes: Writes
    plain: frozenset[str]
    dt: float = 1e-4
    default: float | None = None
    takes_dt: bool = False
    in_steps: bool = False
    biased: bool = False
    order: str = "channels first"
    recurrent: bool = False

    def seconds(self, dt: TimeStep) -> float:
        """Return the time step in the unit in which the importer reads time constants."""
        if self.in_steps:
            return 1.0
        known = isinstance(dt, Quantity) and self.takes_dt
        return dt.seconds if known else self.dt  # type: ignore[union-attr]

    def called(self, dt: TimeStep) -> str:
        """Return the call that loads a file in a time step."""
        return self.call.format(dt=self.seconds(dt))

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"the importer of {self.name}"

    def time_step(self, dt: TimeStep) -> TimeStep:
        """Return the time step that a network has behind the importer."""
        if self.in_steps:
            return PER_STEP if dt is UNKNOWN else dt
        return dt if isinstance(dt, Quantity) and self.takes_dt else Quantity(self.dt, "s")

    def read_step(self, dt: TimeStep) -> TimeStep:
        """Return the time step in which a graph runs that somebody else wrote."""
        if dt is UNKNOWN and self.default is not None:
            return Quantity(self.default, "s")
        return self.time_step(dt)

    def layers(self, name: str, node: Node, dt: TimeStep) -> tuple[Layer, ...]:
        """Return the layers that the importer builds of a node.

        Raises
        ------
        ReadError
            If it refuses the node, or leaves it out.
        """
        if node.kind in self.neurons:
            fields = Fields(name, node)
            found = fields.parameters(*(k for k in node.fields if k not in ("input_type",)))
            try:
                return self.neurons[node.kind](name, _same_shape(found), self.seconds(dt))
            except Refused as refusal:
                raise ReadError(
                    f"node {name!r} ({node.kind}): the importer of {self.name} takes it only if "
                    f"{refusal}"
                ) from refusal
        if node.kind not in (*self.plain, "Input", "Output"):
            raise ReadError(
                f"node {name!r}: the importer of {self.name} {self.version} knows no {node.kind}"
            )
        layers = to_layers(name, node, UNKNOWN, soft=False)
        return tuple(self._ordered(layer) for layer in layers)

    def _ordered(self, layer: Layer) -> Layer:
        return replace(layer, order=self.order) if isinstance(layer, Flatten) else layer  # type: ignore[arg-type]

    def check(self, layer: Layer, shape: Shape | None, dt: TimeStep) -> None:
        """Refuse a layer without a state that it does not take."""
        self.node(layer, None, shape, dt)

    def chain(
        self,
        layer: Neuron,
        synapse: Synapse | None,
        loop: Loop | None,
        shape: Shape | None,
        dt: TimeStep,
    ) -> tuple[tuple[Layer, ...], str]:
        """Return what it builds of the node that a neuron is written as."""
        node = self.node(layer, synapse, shape, dt)
        called = f"the {node.kind} that the importer of {self.name} runs"
        return self.layers(layer.name, node, dt), called

    def node(self, layer: Layer, synapse: Layer | None, shape: Shape | None, dt: TimeStep) -> Node:
        """Return the node that the importer reads as a layer.

        Raises
        ------
        WriteError
            If there is none.
        """
        try:
            if isinstance(layer, Neuron):
                return self._neuron(layer, synapse, shape, dt)
            return self._plain(layer, shape)
        except Inexpressible:
            reason = "its rule is no linear step"
        except Refused as refusal:
            reason = str(refusal)
        raise WriteError(
            f"layer {layer.name!r} ({layer.kind}) cannot be written for {self.name}: {reason}"
        )

    def _neuron(
        self, layer: Neuron, synapse: Layer | None, shape: Shape | None, dt: TimeStep
    ) -> Node:
        known = layer.shape if layer.shape is not UNKNOWN else shape
        assert synapse is None or isinstance(synapse, Synapse)
        if known is None:
            raise Refused("its shape is not known")
        seconds, step = self.seconds(dt), step_of(layer, synapse, dt)
        kind, fields = from_rest(lambda step: self.writes(step, seconds), step)
        return Node(kind, {key: spread(np.asarray(v), known) for key, v in fields.items()})

    def _plain(self, layer: Layer, shape: Shape | None) -> Node:
        if self.biased and isinstance(layer, Linear) and layer.bias is None and layer.size[1]:
            layer = replace(layer, bias=np.zeros(layer.size[1], np.float32))
        if isinstance(layer, Flatten):
            layer = _from_behind(layer, shape, self.order)
        node = to_node(layer, shape, self.dt)
        if node.kind not in (*self.plain, "Input", "Output"):
            kind = node.kind.removeprefix(FOREIGN)
            raise Refused(f"its importer (of version {self.version}) knows no such {kind}")
        _check_window(node)
        return node


def _same_shape(fields: Mapping[str, Array]) -> dict[str, Array]:
    shape = np.broadcast_shapes(*(value.shape for value in fields.values()))
    return {name: np.broadcast_to(value, shape) for name, value in fields.items()}


def _from_behind(layer: Flatten, shape: Shape | None, order: str) -> Flatten:
    """State the axes from the last one: importers differ in whether the batch counts."""
    known = layer.input_shape if layer.input_shape is not UNKNOWN else shape
    if known is None or layer.start is UNKNOWN or layer.end is UNKNOWN:
        raise Refused("the shape of its input is not known")
    if layer.order not in (order, UNKNOWN) and len(known) > 1:
        raise Refused(f"the importer runs {order}")
    start, end = (n - len(known) if n >= 0 else n for n in (layer.start, layer.end))
    return replace(layer, start=start, end=end, order="channels first")


def _check_window(node: Node) -> None:
    groups, padding = node.fields.get("groups"), node.fields.get("padding")
    if groups is not None and groups != 1:
        raise Refused("importers build convolutions in groups from the wrong number of channels")
    if node.kind == "SumPool2d" and np.any(np.asarray(padding)):
        raise Refused("the importer leaves the padding of a SumPool2d out")


def framework(
    name: str, kind: str, layer: str, shape: Shape, **arguments: Any
) -> tuple[Layer, ...]:
    """Return the layers of a framework's class, numbers rounded to float32 as it does."""
    rounded: dict[str, Any] = {
        k: once(v) if isinstance(v, np.ndarray) else v for k, v in arguments.items()
    }
    return rules.get(name, kind).chain(layer, shape=shape, **rounded)
