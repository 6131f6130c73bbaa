"""The values that a checkpoint is made of: unknowns, quantities, parameters, trees."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np

from snnbridge.errors import CheckpointError

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
SECONDS: Final[Mapping[str, float]] = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number and its unit.

    Parameters
    ----------
    value : float
        The number as the source states it.
    unit : str
        For times one of ``s``, ``ms``, ``us``, ``ns``.

    Examples
    --------
    >>> Quantity(0.1, "ms").seconds
    0.0001
    """

    value: float
    unit: str

    @property
    def seconds(self) -> float:
        """The time in seconds.

        Raises
        ------
        CheckpointError
            If the unit is no unit of time.
        """
        if self.unit not in SECONDS:
            raise CheckpointError(
                f"{self.unit!r} is not a unit of time; expected one of {', '.join(SECONDS)}"
            )
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
        object.__setattr__(self, "value", value)
        object.__setattr__(self, "unit", unit)
        object.__setattr__(self, "trainable", trainable)

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


def parameter(value: Parameter | Array | float | Unknown) -> Parameter:
    """Wrap a number or an array as a :class:`Parameter`; a parameter passes through."""
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
        The axis that runs over the batch; ``None`` where there is none.
    """

    value: Array
    batch_axis: int | Unknown | None = UNKNOWN

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
    """

    framework: str
    kind: str
    version: str | Literal[Unknown.UNKNOWN] = UNKNOWN


def check_name(name: object, what: str) -> None:
    """Refuse a name that is no UTF-8 text without NUL.

    Raises
    ------
    CheckpointError
        With `what` the name belongs to.
    """
    if not isinstance(name, str):
        raise CheckpointError(f"{what} must be named by text, not by {name!r}")
    if "\0" in name or not _is_utf8(name):
        raise CheckpointError(f"{what} {name!r} holds a NUL or a lone surrogate; rename it")


def _is_utf8(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def check_tree(tree: Tree, what: str, *, json_only: bool = False) -> None:
    """Refuse a tree with anything but JSON values, bytes, numpy scalars and arrays.

    Parameters
    ----------
    tree : mapping, sequence or leaf
    what : str
        What the tree is, for the message.
    json_only : bool
        Refuse all but JSON values.

    Raises
    ------
    CheckpointError
        Naming the path of the leaf.
    """
    pending: list[tuple[Path, Tree]] = [((), tree)]
    leaves: tuple[type, ...] = (str, bool, int, float, type(None))
    if not json_only:
        leaves += (bytes, complex, np.generic, np.ndarray)
    while pending:
        path, node = pending.pop()
        if len(path) > 200:
            raise CheckpointError(f"{what} is nested deeper than 200 levels, at {path[:4]}...")
        if isinstance(node, Mapping):
            for key, value in node.items():
                check_name(key, f"a key of {what} at {'/'.join(path) or 'its top'}")
                pending.append(((*path, key), value))
        elif isinstance(node, list | tuple):
            pending.extend(((*path, str(i)), value) for i, value in enumerate(node))
        elif isinstance(node, np.ndarray) and (node.dtype.hasobject or node.dtype.names):
            raise CheckpointError(f"{what} holds an array of objects at {'/'.join(path)}")
        elif not isinstance(node, leaves):
            raise CheckpointError(
                f"{what} holds {type(node).__name__} at {'/'.join(path) or 'its top'}; "
                f"expected {'JSON values' if json_only else 'JSON values, bytes and arrays'}"
            )
