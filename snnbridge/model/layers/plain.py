"""Layers without windows and without a state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from snnbridge.model.checks import whole
from snnbridge.model.layers.base import Layer, Weight
from snnbridge.model.values import UNKNOWN, Parameter, Shape, Unknown, describe


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Input(Layer):
    """Where a stimulus enters.

    Parameters
    ----------
    shape : tuple of int or UNKNOWN
        Without batch and time.

    Raises
    ------
    CheckpointError
        If the shape is none.

    Examples
    --------
    >>> Input("pixels", (1, 28, 28))
    Input('pixels', shape=(1, 28, 28))
    """

    shape: Shape | Unknown = UNKNOWN

    def __post_init__(self) -> None:
        Layer.__post_init__(self)
        self._set("shape", self._shape("shape"))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Output(Input):
    """Where a result leaves; its fields are those of :class:`Input`."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Linear(Layer):
    """``y = weight @ x + bias``; on a cycle it is a recurrent connection.

    Parameters
    ----------
    weight : array or Parameter or UNKNOWN, shape (out, in)
        Any dtype; a matrix stored as (in, out) is handed in transposed.
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
class Flatten(Layer):
    """All axes from `start` to `end` as one.

    Parameters
    ----------
    start, end : int or UNKNOWN
        The first and the last axis, counted without batch and time.
    order : ``"channels first"`` or ``"channels last"`` or UNKNOWN
        The order in which the source runs over the elements.
    input_shape : tuple of int or UNKNOWN

    Raises
    ------
    CheckpointError
        For an axis that is no number, or an order that is none of these.

    Examples
    --------
    >>> Flatten("flat", order="channels first", input_shape=(2, 4, 4))
    Flatten('flat', start=0, end=-1, order=channels first, input_shape=(2, 4, 4))
    """

    start: int | Unknown = 0
    end: int | Unknown = -1
    order: Literal["channels first", "channels last"] | Unknown = UNKNOWN
    input_shape: Shape | Unknown = UNKNOWN

    def __post_init__(self) -> None:
        Layer.__post_init__(self)
        for name in ("start", "end"):
            value = getattr(self, name)
            if value is not UNKNOWN:
                if whole(value) is None:
                    self._refuse(f"{name} must be the number of an axis or UNKNOWN, not {value!r}")
                self._set(name, whole(value))
        if self.order not in ("channels first", "channels last", UNKNOWN):
            self._refuse(f"order must be 'channels first' or 'channels last', not {self.order!r}")
        self._set("input_shape", self._shape("input_shape"))
        self._check_axes()

    def _check_axes(self) -> None:
        start, end, shape = self.start, self.end, self.input_shape
        if start is UNKNOWN or end is UNKNOWN or shape is UNKNOWN:
            return
        first, last = (n + len(shape) if n < 0 else n for n in (start, end))
        if not 0 <= first <= last < len(shape):
            self._refuse(f"axes {start} to {end} are none of the input_shape {shape}")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Scale(Layer):
    """``y = factor * x``.

    Parameters
    ----------
    factor : array or Parameter or UNKNOWN
        Any shape that broadcasts to the input's.

    Raises
    ------
    CheckpointError
        If the factor is no array.

    Examples
    --------
    >>> Scale("gain", 0.5)
    Scale('gain', factor=0.5)
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

    Raises
    ------
    CheckpointError
        If the arrays differ in shape, or epsilon is more than one number.

    Examples
    --------
    >>> import numpy as np
    >>> BatchNorm("bn", np.zeros(3), np.ones(3), epsilon=1e-5)
    BatchNorm('bn', mean=float64[3], variance=float64[3], epsilon=1e-05)
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
        epsilon = self.parameters["epsilon"].value
        if epsilon is not UNKNOWN and epsilon.size != 1:
            self._refuse(f"epsilon must be one number, found shape {epsilon.shape}")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Delay(Layer):
    """``y[t] = x[t - delay]``.

    Parameters
    ----------
    delay : array or Parameter or UNKNOWN
        Its unit is ``"step"`` or a unit of time; one value, or one for each element.

    Raises
    ------
    CheckpointError
        For a delay that is no number of at least 0.

    Examples
    --------
    >>> Delay("late", Parameter(2, "step"))
    Delay('late', delay=2)
    """

    delay: Weight = UNKNOWN

    def __post_init__(self) -> None:
        Layer.__post_init__(self)
        self._wrap("delay")
        value = self.parameters["delay"].value
        if value is not UNKNOWN and (value.dtype.kind not in "biuf" or (value < 0).any()):
            self._refuse(f"delay must be numbers of at least 0, found {describe(value)}")
