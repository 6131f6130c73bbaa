"""The values that a checkpoint is made of: unknowns, quantities, parameters, trees."""

from __future__ import annotations

import enum
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np

from snnbridge.errors import CheckpointError
from snnbridge.model.checks import array_problem, check_name, name_problem, whole

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
#: JSON values, bytes, complex numbers, numpy scalars and arrays, and mappings of them.
Tree: TypeAlias = Any
Path: TypeAlias = tuple[str, ...]
Shape: TypeAlias = tuple[int, ...]


class Unknown(enum.Enum):
    """The type of :data:`UNKNOWN`."""

    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __bool__(self) -> bool:
        msg = "UNKNOWN is neither true nor false; compare with 'is UNKNOWN'"
        raise TypeError(msg)


#: What the source does not state. Legal for every parameter, switch, shape and connection.
UNKNOWN: Final = Unknown.UNKNOWN


class PerStep(enum.Enum):
    """The type of :data:`PER_STEP`."""

    PER_STEP = "per step"

    def __repr__(self) -> str:
        return "PER_STEP"


#: A time step without a duration: time constants are counted in steps.
PER_STEP: Final = PerStep.PER_STEP

#: Seconds in one of each unit of time that the model converts between.
#: The units of time, in seconds.
SECONDS: Final[Mapping[str, float]] = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_NUMBERS = (int, float, np.integer, np.floating)
_GREATEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A time and its unit.

    Parameters
    ----------
    value : float
        The number as the source states it: above 0 and finite; a whole one is kept as a float.
    unit : str
        One of ``s``, ``ms``, ``us``, ``ns``.

    Raises
    ------
    CheckpointError
        If the number is no time, or the unit no unit of time.

    Examples
    --------
    >>> Quantity(0.1, "ms").seconds
    0.0001
    """

    value: float
    unit: str

    def __post_init__(self) -> None:
        if not isinstance(self.unit, str) or self.unit not in SECONDS:
            raise CheckpointError(
                f"{self.unit!r} is not a unit of time; expected one of {', '.join(SECONDS)}"
            )
        number = isinstance(self.value, _NUMBERS) and not isinstance(self.value, bool)
        if not number or not 0 < self.value <= _GREATEST:
            raise CheckpointError(
                f"a time must be a finite number above 0, found {self.value!r} {self.unit}"
            )
        object.__setattr__(self, "value", float(self.value))

    @property
    def seconds(self) -> float:
        """The time in seconds."""
        return self.value * SECONDS[self.unit]

    def __str__(self) -> str:
        return f"{self.value} {self.unit}"


#: A time step: its duration, :data:`PER_STEP`, or :data:`UNKNOWN`.
TimeStep: TypeAlias = Quantity | PerStep | Unknown


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Parameter:
    """A learned or fixed array of a layer, with its unit and whether training changes it.

    Parameters
    ----------
    value : numpy.ndarray or number or UNKNOWN
        Any shape that broadcasts to what the layer asks for, any dtype; kept as it is, neither
        copied nor cast. A Python number becomes a 0-d array of float64, int64 or bool.
    unit : str, optional
        The unit of the numbers, as the source states it (``"ms"``, ``"mV"``, ``"step"``);
        ``None`` where it states none.
    trainable : bool or UNKNOWN
        Whether the source declares the array as trained.

    Raises
    ------
    CheckpointError
        For objects and records, a unit that is no text, a `trainable` that is no truth value.

    Examples
    --------
    >>> Parameter(10.0, unit="ms")
    Parameter(10.0 ms)
    """

    value: Array | Unknown
    unit: str | None
    trainable: bool | Unknown

    def __init__(
        self,
        value: Array | float | Unknown,
        unit: str | None = None,
        trainable: bool | Unknown = UNKNOWN,
    ) -> None:
        if not isinstance(value, np.ndarray) and value is not UNKNOWN:
            value = _as_array(value)
        if value is not UNKNOWN and (problem := array_problem(value)):
            raise CheckpointError(f"a parameter's array {problem}")
        if unit is not None and (problem := name_problem(unit)):
            raise CheckpointError(f"a parameter's unit {problem}")
        if trainable is not UNKNOWN and not isinstance(trainable, bool | np.bool_):
            raise CheckpointError(f"trainable must be True, False or UNKNOWN, not {trainable!r}")
        object.__setattr__(self, "value", value)
        object.__setattr__(self, "unit", unit)
        object.__setattr__(self, "trainable", UNKNOWN if trainable is UNKNOWN else bool(trainable))

    def __repr__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        return f"Parameter({describe(self.value)}{unit})"


def _as_array(value: object) -> Array:
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"a parameter must be a number or an array, not {value!r}") from error
    if array.dtype.kind in "OUS":
        raise CheckpointError(f"a parameter must be a number or an array, not {value!r}")
    return array


def same_scalar(a: Any, b: Any) -> bool:
    """Whether two values of one type are the same; numbers are compared by their bits.

    Examples
    --------
    >>> same_scalar(0.0, -0.0), same_scalar(float("nan"), float("nan"))
    (False, True)
    """
    if isinstance(a, float):
        return struct.pack("<d", a) == struct.pack("<d", b)
    if isinstance(a, complex):
        return same_scalar(a.real, b.real) and same_scalar(a.imag, b.imag)
    return bool(a == b)


def some_of(names: Sequence[str], most: int = 8) -> str:
    """Return names for a message, not too many.

    Examples
    --------
    >>> some_of(["fc1", "fc2", "fc3"], 2)
    "'fc1', 'fc2' and 1 more"
    """
    return listed([repr(name) for name in names], most)


def listed(words: Sequence[str], most: int = 8, between: str = ", ") -> str:
    """Return phrases for a message, not too many.

    Examples
    --------
    >>> listed(["'fc1' is float64", "'fc2' is int8", "'fc3' is int8"], 1, "; ")
    "'fc1' is float64 and 2 more"
    """
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return between.join(words[:most]) + more


def parameter(value: Parameter | Array | float | Unknown) -> Parameter:
    """Wrap a number or an array as a :class:`Parameter`; a parameter passes through.

    Raises
    ------
    CheckpointError
        If it is neither.

    Examples
    --------
    >>> parameter(0.5)
    Parameter(0.5)
    """
    return value if isinstance(value, Parameter) else Parameter(value)


def describe(value: object) -> str:
    """One short piece of text for a value: ``float32[10,100]``, ``0.5``, ``UNKNOWN``."""
    if isinstance(value, np.ndarray):
        if value.ndim == 0:
            return str(value)
        return f"{value.dtype}[{','.join(map(str, value.shape))}]"
    if isinstance(value, enum.Enum):
        return value.name if isinstance(value, Unknown | PerStep) else str(value.value)
    return str(value)


@dataclass(frozen=True, slots=True, eq=False)
class StateVariable:
    """One array of a network's state: a membrane potential, a filter, a delay line, a counter.

    Parameters
    ----------
    value : numpy.ndarray
        Any dtype; the shape of the layer, plus an axis for the batch where there is one.
    batch_axis : int or None or UNKNOWN
        The axis that runs over the batch, counted from 0; ``None`` where there is none.

    Raises
    ------
    CheckpointError
        If the value is no array, or has no such axis.

    Examples
    --------
    >>> import numpy as np
    >>> StateVariable(np.zeros((8, 10), np.float32), batch_axis=0)
    StateVariable(float32[8,10], batch_axis=0)
    """

    value: Array
    batch_axis: int | Unknown | None = UNKNOWN

    def __post_init__(self) -> None:
        if problem := array_problem(self.value):
            raise CheckpointError(f"the value of a state {problem}")
        if self.batch_axis is None or self.batch_axis is UNKNOWN:
            return
        axis = whole(self.batch_axis)
        if axis is None or not 0 <= axis < self.value.ndim:
            raise CheckpointError(
                f"batch_axis must be one of the {self.value.ndim} axes of a state of shape "
                f"{self.value.shape}, counted from 0, or None or UNKNOWN; found {self.batch_axis!r}"
            )
        object.__setattr__(self, "batch_axis", axis)

    def __repr__(self) -> str:
        return f"StateVariable({describe(self.value)}, batch_axis={self.batch_axis})"


@dataclass(frozen=True, slots=True)
class Origin:
    """What the source framework calls a thing.

    Parameters
    ----------
    framework : str
        Its package name, ``"brainpy"``.
    kind : str
        The name of its class there, ``"Lif"``.
    version : str or UNKNOWN
        The framework's version; rules change between releases.

    Raises
    ------
    CheckpointError
        If one of them is no text.
    """

    framework: str
    kind: str
    version: str | Literal[Unknown.UNKNOWN] = UNKNOWN

    def __post_init__(self) -> None:
        check_name(self.framework, "the framework of an origin")
        check_name(self.kind, "the kind of an origin")
        if self.version is not UNKNOWN:
            check_name(self.version, "the version of an origin")
