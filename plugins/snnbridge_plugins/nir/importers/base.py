"""What the importers of the frameworks have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from snnbridge import (
    PER_STEP,
    UNKNOWN,
    Conv1d,
    Conv2d,
    Flatten,
    Layer,
    Linear,
    Neuron,
    ReadError,
    Synapse,
    WriteError,
    rules,
)
from snnbridge.express import Inexpressible, Loop, Made, Step, step_of
from snnbridge.express.demands import Refused, from_rest, once
from snnbridge.model import (
    Array,
    Quantity,
    Shape,
    TimeStep,
)
from snnbridge_plugins.nir.fields import Fields
from snnbridge_plugins.nir.graph import Graph, Node
from snnbridge_plugins.nir.importers.flattening import Joins, from_behind, joining
from snnbridge_plugins.nir.importers.running import Edge, Runs, stepwise
from snnbridge_plugins.nir.layers import to_layers
from snnbridge_plugins.nir.nodes import FOREIGN, check_count, spread, to_node
from snnbridge_plugins.nir.releases import is_misjudged, is_soft

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
    nir : str
        The release of NIR's package that it was measured with; the last that it takes, if it is
        before 1.0.6.
    call : str
        How it is called: ``{file}`` is the file's name, ``{dt}`` the time step in seconds.
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
    runs : function
        From a graph to the steps that its edges take there.
    flattens : str
        What it counts as axes of a Flatten: those of a sample, as NIR does (``"sample"``), the
        batch too (``"batch"``), or nothing, since it joins all (``"all"``).
    output_delay : int
        In which step after its cause a spike leaves a neuron.
    """

    name: str
    version: str
    call: str
    neurons: Mapping[str, Reads]
    writes: Writes
    plain: frozenset[str]
    nir: str = "1.0.8"
    dt: float = 1e-4
    default: float | None = None
    takes_dt: bool = False
    in_steps: bool = False
    biased: bool = False
    order: str = "channels first"
    runs: Runs = stepwise
    flattens: Joins = "sample"
    output_delay: int = 0

    def seconds(self, dt: TimeStep) -> float:
        """Return the time step in the unit in which the importer reads time constants."""
        if self.in_steps:
            return 1.0
        known = isinstance(dt, Quantity) and self.takes_dt
        return dt.seconds if known else self.dt  # type: ignore[union-attr]

    def called(self, dt: TimeStep, file: str) -> str:
        """Return the call that loads a file in a time step."""
        return self.call.format(dt=self.seconds(dt), file=repr(file))

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
            self._check_fields(name, node)
            fields = Fields(name, node)
            found = fields.parameters(*(k for k in node.fields if k not in ("input_type",)))
            try:
                return self.neurons[node.kind](name, _same_shape(found), self.seconds(dt))
            except Refused as refusal:
                raise ReadError(
                    f"node {name!r} ({node.kind}): {self.label} {self.version} does not take "
                    f"it: {refusal}"
                ) from refusal
        if node.kind not in (*self.plain, "Input", "Output"):
            raise ReadError(f"node {name!r}: {self.label} {self.version} knows no {node.kind}")
        try:
            _check_window(node)
            layers = to_layers(name, node, UNKNOWN, soft=False)
            return tuple(joining(layer, self.flattens, self.order) for layer in layers)
        except Refused as refusal:
            reason = f"node {name!r} ({node.kind}), {self.label} {self.version}: {refusal}"
            raise ReadError(reason) from refusal

    def delays(self, graph: Graph) -> dict[Edge, int]:
        """Return the steps that each edge of a graph takes there: 0, or 1 for what comes late.

        Raises
        ------
        ReadError
            If it would leave something out, or run it otherwise than as a graph.
        """
        try:
            return self.runs(graph)
        except Refused as refusal:
            raise ReadError(f"{self.label} {self.version} {refusal}") from refusal

    def _check_fields(self, name: str, node: Node) -> None:
        if "v_reset" in node.fields and is_soft(self.nir):
            raise ReadError(
                f"node {name!r} ({node.kind}): {self.label} {self.version} needs NIR {self.nir}, "
                "which refuses the field v_reset"
            )

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
    ) -> Made:
        """Return what it builds of the node that a neuron is written as."""
        node = self.node(layer, synapse, shape, dt)
        called = f"the {node.kind} that {self.label} runs"
        try:
            return Made(self.layers(layer.name, node, dt), called)
        except ReadError as error:
            raise WriteError(str(error)) from error

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
            f"layer {layer.name!r} ({layer.kind}) cannot be written for {self.name} "
            f"{self.version}: {reason}"
        )

    def _neuron(
        self, layer: Neuron, synapse: Layer | None, shape: Shape | None, dt: TimeStep
    ) -> Node:
        known = layer.shape if layer.shape is not UNKNOWN else shape
        assert synapse is None or isinstance(synapse, Synapse)
        if known is None:
            raise Refused("its shape is not known")
        held = (p.value for p in layer.parameters.values() if p.value is not UNKNOWN)
        check_count(known, max((value.size for value in held), default=1))
        seconds, step = self.seconds(dt), step_of(replace(layer, shape=known), synapse, dt)
        kind, fields = from_rest(lambda step: self.writes(step, seconds), step)
        return Node(kind, {key: spread(np.asarray(v), known) for key, v in fields.items()})

    def _plain(self, layer: Layer, shape: Shape | None) -> Node:
        if self.biased and isinstance(layer, Linear) and layer.bias is None and layer.size[1]:
            layer = replace(layer, bias=np.zeros(layer.size[1], np.float32))
        if isinstance(layer, Flatten):
            layer = from_behind(layer, shape, self.flattens, self.order)
        if isinstance(layer, Conv1d | Conv2d) and is_misjudged(layer) and not is_soft(self.nir):
            raise Refused(f"NIR {self.nir}, through which it is read, takes kernels for squares")
        node = to_node(layer, shape, self.dt)
        if node.kind not in (*self.plain, "Input", "Output"):
            kind = node.kind.removeprefix(FOREIGN)
            unknown = [name for name in layer.unknown() if name != "input_shape"]
            if unknown and any(known.startswith(kind) for known in self.plain):
                raise Refused(f"not known of it: {', '.join(unknown)}; state that in a spec")
            raise Refused(f"its importer knows no such {kind}")
        _check_window(node)
        return node


def _same_shape(fields: Mapping[str, Array]) -> dict[str, Array]:
    shape = np.broadcast_shapes(*(value.shape for value in fields.values()))
    return {name: np.broadcast_to(value, shape) for name, value in fields.items()}


def _check_window(node: Node) -> None:
    groups, padding = node.fields.get("groups"), node.fields.get("padding")
    if groups is not None and groups != 1:
        raise Refused("importers build convolutions in groups from the wrong number of channels")
    if (
        isinstance(padding, str)
        and padding == "same"
        and np.any(np.asarray(node.fields["stride"]) != 1)
    ):
        raise Refused(
            "NIR's package expects what pads 'same' to keep its size, whatever the stride"
        )
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
