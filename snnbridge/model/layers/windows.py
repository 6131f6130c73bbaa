"""Convolutions and pools."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from snnbridge.model.checks import sizes, whole
from snnbridge.model.layers.base import Layer, Weight
from snnbridge.model.values import UNKNOWN, Shape, Unknown

#: Padding of a window: per axis the zeros before and after, ``"same"`` (the output has
#: ceil(size / stride) places and the odd zero comes after, as in XLA), or UNKNOWN.
Padding: TypeAlias = tuple[tuple[int, int], ...] | Literal["same"] | Unknown


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Conv(Layer):
    """What convolutions over any number of axes have in common."""

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
            self._set(name, _window(self, name, self.axes))
        self._set("padding", _padding(self, self.axes))
        shape = self._shape("input_shape")
        if shape is not UNKNOWN and len(shape) != self.axes:
            self._refuse(f"input_shape must have {self.axes} axes (no channels), found {shape}")
        self._set("input_shape", shape)
        self._check_groups()

    def _check_groups(self) -> None:
        if self.groups is UNKNOWN:
            return
        groups, outputs = whole(self.groups), self.size[1]
        if groups is None or groups < 1:
            self._refuse(f"groups must be a whole number of at least 1, found {self.groups!r}")
        if outputs is not None and outputs % groups:
            self._refuse(f"{outputs} output channels do not divide into {groups} groups")
        self._set("groups", groups)

    @property
    def size(self) -> tuple[int | None, int | None]:
        """Channels in and out; ``None`` where the weight or the groups are unknown."""
        weight = self.parameters["weight"].value
        if weight is UNKNOWN:
            return None, None
        groups = None if self.groups is UNKNOWN else self.groups
        return (None if groups is None else weight.shape[1] * groups), weight.shape[0]


def _window(layer: Layer, name: str, axes: int) -> Shape | Unknown:
    value: object = getattr(layer, name)
    if value is UNKNOWN:
        return UNKNOWN
    number = whole(value)
    shape = sizes(value) if number is None else sizes((number,) * axes)
    if shape is None or len(shape) != axes or min(shape, default=1) < 1:
        layer._refuse(f"{name} must be {axes} numbers of at least 1, found {value!r}")
    return shape


def _padding(layer: Layer, axes: int) -> Padding:
    value: object = getattr(layer, "padding")  # noqa: B009  # windows declare it, Layer does not
    if value is UNKNOWN:
        return UNKNOWN
    if isinstance(value, str) and value == "same":
        return "same"
    number = whole(value)
    sides = value if number is None else (number,) * axes
    pairs = tuple(map(_sides, sides)) if isinstance(sides, tuple | list) else ()
    found = tuple(pair for pair in pairs if pair is not None)
    if len(found) != axes or len(pairs) != axes:
        layer._refuse(
            f"padding must be 'same' or {axes} numbers or pairs (before, after), found {value!r}"
        )
    return found


def _sides(value: object) -> tuple[int, int] | None:
    number = whole(value)
    found = sizes(value) if number is None else sizes((number, number))
    return (found[0], found[1]) if found is not None and len(found) == 2 else None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Conv1d(Conv):
    """A convolution (cross-correlation) over one axis.

    Parameters
    ----------
    weight : array or Parameter or UNKNOWN, shape (out, in/groups, width)
    bias : array or Parameter or UNKNOWN, shape (out,), optional
    stride, dilation : int or tuple of 1 int or UNKNOWN
    padding : ``"same"``, int, or ((before, after),), or UNKNOWN
    groups : int or UNKNOWN
    input_shape : (width,) or UNKNOWN

    Raises
    ------
    CheckpointError
        If the shapes do not fit each other or the number of axes.

    Examples
    --------
    >>> import numpy as np
    >>> Conv1d("conv", np.zeros((4, 2, 3)), stride=1, padding=1, groups=1).size
    (2, 4)
    """

    axes: ClassVar[int] = 1


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Conv2d(Conv):
    """A convolution (cross-correlation) over two axes.

    Parameters
    ----------
    weight : array or Parameter or UNKNOWN, shape (out, in/groups, height, width)
    bias : array or Parameter or UNKNOWN, shape (out,), optional
    stride, dilation : int or tuple of 2 ints or UNKNOWN
    padding : ``"same"``, int, 2 ints, or ((top, bottom), (left, right)), or UNKNOWN
    groups : int or UNKNOWN
    input_shape : (height, width) or UNKNOWN

    Raises
    ------
    CheckpointError
        If the shapes do not fit each other or the number of axes.

    Examples
    --------
    >>> import numpy as np
    >>> Conv2d("conv", np.zeros((4, 2, 3, 3)), stride=1, padding=1, groups=1).size
    (2, 4)
    """

    axes: ClassVar[int] = 2


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Pool(Layer):
    """What pools have in common."""

    window: Shape | Unknown = UNKNOWN
    stride: Shape | Unknown = UNKNOWN
    padding: Padding = UNKNOWN

    def __post_init__(self) -> None:
        Layer.__post_init__(self)
        stated = (self.window, self.stride, self.padding)
        axes = next((len(v) for v in stated if isinstance(v, tuple | list)), None)
        if axes is None:
            self._refuse_without_axes()
            return
        for name in ("window", "stride"):
            self._set(name, _window(self, name, axes))
        self._set("padding", _padding(self, axes))

    def _refuse_without_axes(self) -> None:
        """Refuse numbers that do not tell how many axes they are for."""
        for name in ("window", "stride", "padding"):
            value: object = getattr(self, name)
            if value is not UNKNOWN and not (name == "padding" and value == "same"):
                self._refuse(
                    f"{name} must be one number for each axis, like (2, 2), found {value!r}"
                )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SumPool(Pool):
    """The sum over windows.

    Parameters
    ----------
    window, stride : tuple of int or UNKNOWN
        One number for each axis (one or two). Where one of the three is a tuple, one number may
        stand for all axes in the others.
    padding : ``"same"``, ints or pairs (before, after), or UNKNOWN

    Raises
    ------
    CheckpointError
        If they speak of different numbers of axes.

    Examples
    --------
    >>> SumPool("pool", window=(2, 2), stride=2, padding=0)
    SumPool('pool', window=(2, 2), stride=(2, 2), padding=((0, 0), (0, 0)))
    """


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AvgPool(Pool):
    """The mean over windows; see :class:`SumPool`.

    Parameters
    ----------
    count_padding : bool or UNKNOWN
        Whether zeros of the padding count in the mean.
    """

    count_padding: bool | Unknown = UNKNOWN

    def __post_init__(self) -> None:
        Pool.__post_init__(self)
        if not isinstance(self.count_padding, bool | Unknown):
            self._refuse(
                f"count_padding must be True, False or UNKNOWN, not {self.count_padding!r}"
            )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MaxPool(Pool):
    """The largest value of each window; see :class:`SumPool`."""
