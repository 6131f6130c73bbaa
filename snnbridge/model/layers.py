"""The kinds of layers that a checkpoint is a graph of.

Shapes never hold the batch or the time. Images are channels first; a framework that keeps the
channels last hands its kernels in as transposed views, and says in :class:`Flatten` in which
order it runs over them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field, fields
from types import MappingProxyType
from typing import Any, ClassVar, Literal, TypeAlias

from snnbridge.errors import CheckpointError
from snnbridge.model.rules import NEURON_PARAMETERS, SYNAPSE_PARAMETERS, NeuronRule, SynapseRule
from snnbridge.model.values import (
    UNKNOWN,
    Array,
    Origin,
    Parameter,
    PerStep,
    Quantity,
    Shape,
    TimeStep,
    Tree,
    Unknown,
    check_name,
    check_tree,
    describe,
    parameter,
)

#: Padding of a window: per axis the zeros before and after, ``"same"`` (the output has
#: ceil(size / stride) places and the odd zero comes after, as in XLA), or UNKNOWN.
Padding: TypeAlias = tuple[tuple[int, int], ...] | Literal["same"] | Unknown
Weight: TypeAlias = Parameter | Array | Unknown


_NAMES: dict[type, tuple[str, ...]] = {}


def _names(kind: type) -> tuple[str, ...]:
    """Return the names of a layer's fields; `dataclasses.fields` is slow for many layers."""
    if kind not in _NAMES:
        _NAMES[kind] = tuple(f.name for f in fields(kind))
    return _NAMES[kind]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Layer:
    """What every layer has: a name, and what its source says of it.

    Parameters
    ----------
    name : str
        Unique within its graph: any UTF-8 text without NUL.
    origin : Origin, optional
        The framework's own class of the layer.
    dt : Quantity or PER_STEP or UNKNOWN, optional
        The layer's own time step; ``None`` for that of the checkpoint.
    """

    name: str
    _: KW_ONLY
    origin: Origin | None = None
    dt: TimeStep | None = None

    def __post_init__(self) -> None:
        check_name(self.name, "a layer")
        if self.dt is not None and not isinstance(self.dt, Quantity | PerStep | Unknown):
            self._refuse(f"dt must be a Quantity, PER_STEP, UNKNOWN or None, not {self.dt!r}")

    @property
    def kind(self) -> str:
        """The name of the layer's class: ``"Linear"``, ``"Neuron"``."""
        return type(self).__name__

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """The layer's parameters by name."""
        found = {}
        for name in _names(type(self)):
            value = getattr(self, name)
            if isinstance(value, Parameter):
                found[name] = value
        return found

    def unknown(self) -> tuple[str, ...]:
        """Return what the source does not state of this layer, as dotted names."""
        names = [name for name in _names(type(self)) if getattr(self, name) is UNKNOWN]
        names += [name for name, p in self.parameters.items() if p.value is UNKNOWN]
        return tuple(names)

    def _refuse(self, reason: str) -> None:
        raise CheckpointError(f"layer {self.name!r} ({self.kind}): {reason}")

    def _wrap(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, parameter(value))

    def _require_shape(self, name: str, *, ndim: int) -> None:
        value = getattr(self, name).value
        if value is not UNKNOWN and value.ndim != ndim:
            self._refuse(f"{name} must have {ndim} axes, found shape {value.shape}")

    def _require_per_output(self, name: str, outputs: int | None) -> None:
        held: Parameter | None = getattr(self, name)
        if held is None or held.value is UNKNOWN or outputs is None:
            return
        if held.value.shape not in ((), (1,), (outputs,)):
            self._refuse(
                f"{name} must have shape ({outputs},), one value for each output, "
                f"found {held.value.shape}"
            )

    def __repr__(self) -> str:
        shown = []
        for f in fields(self)[1:]:
            value = getattr(self, f.name)
            if value is not None and f.repr:
                text = describe(value.value) if isinstance(value, Parameter) else describe(value)
                shown.append(f"{f.name.lstrip('_')}={text}")
        return f"{self.kind}({', '.join([repr(self.name), *shown])})"


def _shape(layer: Layer, value: object, what: str = "shape") -> Shape | Unknown:
    if value is UNKNOWN:
        return UNKNOWN
    try:
        shape = tuple(int(n) for n in value)  # type: ignore[attr-defined]
        exact = all(a == b for a, b in zip(shape, value, strict=True))  # type: ignore[call-overload]
    except (TypeError, ValueError):
        layer._refuse(f"{what} must be whole numbers, found {value!r}")
        raise AssertionError from None
    if not exact or any(n < 0 for n in shape):
        layer._refuse(f"{what} must be whole numbers of at least 0, found {value!r}")
    return shape


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Input(Layer):
    """Where a stimulus enters.

    Parameters
    ----------
    shape : tuple of int or UNKNOWN
        Without batch and time.
    """

    shape: Shape | Unknown = UNKNOWN

    def __post_init__(self) -> None:
        Layer.__post_init__(self)
        object.__setattr__(self, "shape", _shape(self, self.shape))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Output(Input):
    """Where a result leaves."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Linear(Layer):
    """``y = weight @ x + bias``; on a cycle it is a recurrent connection.

    Parameters
    ----------
    weight : array or Parameter or UNKNOWN, shape (out, in)
    bias : array or Parameter or UNKNOWN, shape (out,), optional

    Raises
    ------
    CheckpointError
        If the shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> Linear("fc1", np.zeros((10, 100), np.float32))
    Linear('fc1', weight=float32[10,100])
    """

    weight: Weight = UNKNOWN
    bias: Weight | None = None

    def __post_init__(self) -> None:
        Layer.__post_init__(self)
        self._wrap("weight", "bias")
        self._require_shape("weight", ndim=2)
        self._require_per_output("bias", self.size[1])

    @property
    def size(self) -> tuple[int | None, int | None]:
        """Inputs and outputs; ``None`` where the weight is unknown."""
        weight = self.weight.value  # type: ignore[union-attr]  # wrapped when it was made
        return (None, None) if weight is UNKNOWN else (weight.shape[1], weight.shape[0])


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Conv(Layer):
    axes: ClassVar[int]

    weight: Weight = UNKNOWN
    bias: Weight | None = None
    stride: Shape | Unknown = UNKNOWN
    padding: Padding = UNKNOWN
    dilation: Shape | Unknown = UNKNOWN
    groups: int | Unknown = UNKNOWN
    input_shape: Shape | Unknown = UNKNOWN

    def __post_init__(self) -> None:
        Layer.__post_init__(self)
        self._wrap("weight", "bias")
        self._require_shape("weight", ndim=self.axes + 2)
        self._require_per_output("bias", self.size[1])
        for name in ("stride", "dilation"):
            object.__setattr__(self, name, _window(self, name, self.axes, least=1))
        object.__setattr__(self, "padding", _padding(self, self.axes))
        shape = _shape(self, self.input_shape, "input_shape")
        if shape is not UNKNOWN and len(shape) != self.axes:
            self._refuse(f"input_shape must have {self.axes} axes (no channels), found {shape}")
        object.__setattr__(self, "input_shape", shape)
        self._check_groups()

    def _check_groups(self) -> None:
        outputs = self.size[1]
        if self.groups is UNKNOWN or outputs is None:
            return
        if self.groups < 1 or outputs % self.groups:
            self._refuse(f"{outputs} output channels do not divide into {self.groups!r} groups")

    @property
    def size(self) -> tuple[int | None, int | None]:
        """Channels in and out; ``None`` where the weight or the groups are unknown."""
        weight = self.parameters["weight"].value
        if weight is UNKNOWN:
            return None, None
        groups = None if self.groups is UNKNOWN else self.groups
        return (None if groups is None else weight.shape[1] * groups), weight.shape[0]


def _window(layer: Layer, name: str, axes: int, *, least: int) -> Shape | Unknown:
    value = getattr(layer, name)
    if isinstance(value, int):
        value = (value,) * axes
    shape = _shape(layer, value, name)
    if shape is not UNKNOWN and (len(shape) != axes or min(shape, default=least) < least):
        layer._refuse(f"{name} must be {axes} numbers of at least {least}, found {value!r}")
    return shape


def _padding(layer: Layer, axes: int) -> Padding:
    value: Any = getattr(layer, "padding")  # noqa: B009  # both windows declare it, Layer does not
    if value is UNKNOWN or value == "same":
        return value  # type: ignore[no-any-return]
    if isinstance(value, int):
        value = (value,) * axes
    try:
        sides = tuple((n, n) if isinstance(n, int) else (int(n[0]), int(n[1])) for n in value)
    except (TypeError, ValueError, IndexError):
        sides = ()
    if len(sides) != axes or any(n < 0 for pair in sides for n in pair):
        layer._refuse(
            f"padding must be 'same' or {axes} numbers or pairs (before, after), found {value!r}"
        )
    return sides


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Conv1d(_Conv):
    """A convolution (cross-correlation) over one axis.

    Parameters
    ----------
    weight : array or Parameter or UNKNOWN, shape (out, in/groups, width)
    bias : array or Parameter or UNKNOWN, shape (out,), optional
    stride, dilation : int or tuple of 1 int or UNKNOWN
    padding : ``"same"``, int, or ((before, after),), or UNKNOWN
    groups : int or UNKNOWN
    input_shape : (width,) or UNKNOWN
    """

    axes: ClassVar[int] = 1


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Conv2d(_Conv):
    """A convolution (cross-correlation) over two axes.

    Parameters
    ----------
    weight : array or Parameter or UNKNOWN, shape (out, in/groups, height, width)
    bias : array or Parameter or UNKNOWN, shape (out,), optional
    stride, dilation : int or tuple of 2 ints or UNKNOWN
    padding : ``"same"``, int, 2 ints, or ((top, bottom), (left, right)), or UNKNOWN
    groups : int or UNKNOWN
    input_shape : (height, width) or UNKNOWN
    """

    axes: ClassVar[int] = 2


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Pool(Layer):
    window: Shape | Unknown = UNKNOWN
    stride: Shape | Unknown = UNKNOWN
    padding: Padding = UNKNOWN

    def __post_init__(self) -> None:
        Layer.__post_init__(self)
        axes = next(
            (len(v) for v in (self.window, self.stride) if isinstance(v, tuple | list)), None
        )
        if axes is None:
            return
        for name in ("window", "stride"):
            object.__setattr__(self, name, _window(self, name, axes, least=1))
        object.__setattr__(self, "padding", _padding(self, axes))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SumPool(_Pool):
    """The sum over windows.

    Parameters
    ----------
    window, stride : tuple of int or UNKNOWN
        One number for each axis (one or two).
    padding : ``"same"``, ints or pairs (before, after), or UNKNOWN
    """


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AvgPool(_Pool):
    """The mean over windows; see :class:`SumPool`.

    Parameters
    ----------
    count_padding : bool or UNKNOWN
        Whether zeros of the padding count in the mean.
    """

    count_padding: bool | Unknown = UNKNOWN


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MaxPool(_Pool):
    """The largest value of each window; see :class:`SumPool`."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Flatten(Layer):
    """All axes from `start` to `end` as one.

    Parameters
    ----------
    start, end : int or UNKNOWN
        The first and the last axis, counted without batch and time.
    order : ``"channels first"`` or ``"channels last"`` or UNKNOWN
        The order in which the source runs over the elements.
    input_shape : tuple of int or UNKNOWN
    """

    start: int | Unknown = 0
    end: int | Unknown = -1
    order: Literal["channels first", "channels last"] | Unknown = UNKNOWN
    input_shape: Shape | Unknown = UNKNOWN

    def __post_init__(self) -> None:
        Layer.__post_init__(self)
        if self.order not in ("channels first", "channels last", UNKNOWN):
            self._refuse(f"order must be 'channels first' or 'channels last', not {self.order!r}")
        object.__setattr__(self, "input_shape", _shape(self, self.input_shape, "input_shape"))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Scale(Layer):
    """``y = factor * x``.

    Parameters
    ----------
    factor : array or Parameter or UNKNOWN
        Any shape that broadcasts to the input's.
    """

    factor: Weight = UNKNOWN

    def __post_init__(self) -> None:
        Layer.__post_init__(self)
        self._wrap("factor")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BatchNorm(Layer):
    """``y = (x - mean) / sqrt(variance + epsilon) * weight + bias`` for each channel.

    Parameters
    ----------
    mean, variance : array or Parameter or UNKNOWN, shape (channels,)
        The running statistics.
    weight, bias : array or Parameter or UNKNOWN, shape (channels,), optional
    epsilon : Parameter or float or UNKNOWN
    """

    mean: Weight = UNKNOWN
    variance: Weight = UNKNOWN
    weight: Weight | None = None
    bias: Weight | None = None
    epsilon: Parameter | float | Unknown = UNKNOWN

    def __post_init__(self) -> None:
        Layer.__post_init__(self)
        self._wrap("mean", "variance", "weight", "bias", "epsilon")
        shapes = {
            name: p.value.shape
            for name, p in self.parameters.items()
            if name != "epsilon" and p.value is not UNKNOWN
        }
        if len(set(shapes.values())) > 1:
            self._refuse(f"all arrays must have one shape, found {shapes}")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Delay(Layer):
    """``y[t] = x[t - delay]``.

    Parameters
    ----------
    delay : array or Parameter or UNKNOWN
        Its unit is ``"step"`` or a unit of time; one value, or one for each element.
    """

    delay: Weight = UNKNOWN

    def __post_init__(self) -> None:
        Layer.__post_init__(self)
        self._wrap("delay")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Dynamic(Layer):
    """A layer with a state: its shape, its rule and named parameters."""

    known: ClassVar[Mapping[str, str]]

    shape: Shape | Unknown = UNKNOWN
    parameters: Mapping[str, Parameter] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Layer.__post_init__(self)
        object.__setattr__(self, "shape", _shape(self, self.shape))
        held = {name: parameter(value) for name, value in self.parameters.items()}
        object.__setattr__(self, "parameters", held)
        self._check_parameters()

    def _check_parameters(self) -> None:
        for name, held in self.parameters.items():
            if self.known and name not in self.known:
                self._refuse(f"no parameter {name!r}; expected some of {', '.join(self.known)}")
            if held.value is UNKNOWN or self.shape is UNKNOWN:
                continue
            if not _broadcasts(held.value.shape, self.shape):
                self._refuse(
                    f"{name} of shape {held.value.shape} does not broadcast to the layer's shape "
                    f"{self.shape}"
                )

    def _unknown(self, rule: NeuronRule | SynapseRule) -> tuple[str, ...]:
        return (*Layer.unknown(self), *(f"rule.{name}" for name in rule.unknown()))


def _broadcasts(shape: Shape, to: Shape) -> bool:
    if len(shape) > len(to):
        return all(n == 1 for n in shape[: len(shape) - len(to)]) and _broadcasts(
            shape[len(shape) - len(to) :], to
        )
    return all(n in (1, m) for n, m in zip(reversed(shape), reversed(to), strict=False))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Neuron(_Dynamic):
    """Neurons with a membrane potential, threshold and reset, or a leaky readout.

    Parameters
    ----------
    shape : tuple of int or UNKNOWN
    parameters : mapping of str to Parameter, array or number
        As the source states them; the names are those of
        :data:`snnbridge.model.NEURON_PARAMETERS`, each of any shape that broadcasts to `shape`.
    rule : NeuronRule
        The discrete rule.
    model : str
        ``"lif"`` for the family of :class:`NeuronRule`; any other name is a kind that a plugin
        defines, whose parameters are named by the plugin.

    Raises
    ------
    CheckpointError
        For a parameter that the family does not know, or whose shape does not broadcast.

    Examples
    --------
    >>> Neuron("lif1", (10,), {"tau": Parameter(10.0, "ms"), "threshold": 1.0})
    Neuron('lif1', shape=(10,), tau=10.0 ms, threshold=1.0)
    """

    known: ClassVar[Mapping[str, str]] = NEURON_PARAMETERS

    rule: NeuronRule = field(default_factory=NeuronRule)
    model: str = "lif"

    def __post_init__(self) -> None:
        check_name(self.model, f"the model of layer {self.name!r}")
        _Dynamic.__post_init__(self)

    def _check_parameters(self) -> None:
        if self.model == "lif":
            _Dynamic._check_parameters(self)

    def unknown(self) -> tuple[str, ...]:
        """Return what the source does not state of this layer, as dotted names."""
        return self._unknown(self.rule) if self.model == "lif" else Layer.unknown(self)

    def __repr__(self) -> str:
        return _dynamic_repr(self)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Synapse(_Dynamic):
    """Linear filters between what arrives and the membrane.

    Parameters
    ----------
    shape : tuple of int or UNKNOWN
        Of the output; a parameter with one more axis than the shape states several synapses
        per neuron along its last axis, and so does the input.
    parameters : mapping of str to Parameter, array or number
        The names are those of :data:`snnbridge.model.SYNAPSE_PARAMETERS`.
    rule : SynapseRule
    receptors : int
        Synapses per neuron.
    """

    known: ClassVar[Mapping[str, str]] = SYNAPSE_PARAMETERS

    rule: SynapseRule = field(default_factory=SynapseRule)
    receptors: int = 1

    def _check_parameters(self) -> None:
        if self.receptors == 1:
            _Dynamic._check_parameters(self)

    def unknown(self) -> tuple[str, ...]:
        """Return what the source does not state of this layer, as dotted names."""
        return self._unknown(self.rule)

    def __repr__(self) -> str:
        return _dynamic_repr(self)


def _dynamic_repr(layer: Neuron | Synapse) -> str:
    shown = [f"shape={describe(layer.shape)}"]
    for name, held in layer.parameters.items():
        shown.append(f"{name}={describe(held.value)}{f' {held.unit}' if held.unit else ''}")
    if layer.rule.unknown() != type(layer.rule)().unknown():
        shown.append(f"rule={layer.rule!r}")
    return f"{layer.kind}({', '.join([repr(layer.name), *shown])})"


@dataclass(frozen=True, slots=True)
class Connection:
    """One edge of the graph.

    Parameters
    ----------
    source, target : str
        Names of layers.
    delay : int or UNKNOWN
        Steps between what the source emits and what the target sees.
    source_port, target_port : str, optional
        Ports, where the layer is a :class:`Subgraph` with more than one.
    """

    source: str
    target: str
    delay: int | Unknown = 0
    source_port: str | None = None
    target_port: str | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Subgraph(Layer):
    """A graph inside the graph.

    Parameters
    ----------
    layers : mapping of str to Layer, or iterable of Layer
    connections : tuple of Connection or UNKNOWN
    inputs, outputs : mapping of str to str
        Names of ports and the inner layers behind them.
    """

    layers: Mapping[str, Layer] = field(default_factory=dict)
    connections: tuple[Connection, ...] | Unknown = UNKNOWN
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Layer.__post_init__(self)
        object.__setattr__(self, "layers", by_name(self.layers))
        if self.connections is not UNKNOWN:
            object.__setattr__(self, "connections", tuple(self.connections))
        for ports in (self.inputs, self.outputs):
            for port, layer in ports.items():
                if layer not in self.layers:
                    self._refuse(f"port {port!r} names layer {layer!r}, which is not inside")

    def __repr__(self) -> str:
        return f"Subgraph({self.name!r}, {len(self.layers)} layers)"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Opaque(Layer):
    """A layer of a kind that the model has no word for: kept, not simulated.

    Parameters
    ----------
    parameters : mapping of str to Parameter, array or number
        Its arrays, under the source's names.
    settings : tree
        Whatever else the source states of it; JSON values and arrays.
    """

    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    settings: Mapping[str, Tree] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Layer.__post_init__(self)
        for name in self.parameters:
            check_name(name, f"a parameter of layer {self.name!r}")
        held = {name: parameter(value) for name, value in self.parameters.items()}
        object.__setattr__(self, "parameters", held)
        check_tree(self.settings, f"settings of layer {self.name!r}")

    def __repr__(self) -> str:
        kind = self.origin.kind if self.origin else "?"
        shown = (f"{name}={describe(p.value)}" for name, p in self.parameters.items())
        return f"Opaque({', '.join([repr(self.name), f'kind={kind}', *shown])})"


def by_name(layers: Mapping[str, Layer] | Iterable[Layer]) -> dict[str, Layer]:
    """Return the layers by name, in order.

    Raises
    ------
    CheckpointError
        For two layers of one name, or a key that is not its layer's name.
    """
    if isinstance(layers, Mapping):
        wrong = [(k, v.name) for k, v in layers.items() if k != v.name]
        if wrong:
            raise CheckpointError(f"layer {wrong[0][1]!r} stands under the name {wrong[0][0]!r}")
        return dict(layers)
    found: dict[str, Layer] = {}
    for layer in layers:
        if not isinstance(layer, Layer):
            raise CheckpointError(f"expected a layer, found {layer!r}")
        if layer.name in found:
            raise CheckpointError(f"two layers are named {layer.name!r}; rename one")
        found[layer.name] = layer
    return found


#: Every kind of layer, by name.
KINDS: Mapping[str, type[Layer]] = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (
            Input, Output, Linear, Conv1d, Conv2d, SumPool, AvgPool, MaxPool, Flatten, Scale,
            BatchNorm, Delay, Synapse, Neuron, Subgraph, Opaque,
        )
    }
)  # fmt: skip
