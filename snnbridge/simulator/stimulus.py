"""What a user hands in as input, made ready for the kernel block by block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from snnbridge.errors import CheckpointError
from snnbridge.model import Array, Shape

#: Currents or spikes, shape ``(steps, batch, *layer shape)``; or a list of spikes as
#: (times, indices) or (times, indices, samples), each a vector of integers.
Stimulus: TypeAlias = Array | tuple[Any, ...]

_KINDS = {"float32": 0, "float64": 1, "uint8": 2, "bool": 2}
#: Numbers that are looked at together, so that a mapped input stays on disk.
_LOOK = 1 << 22


@dataclass(frozen=True, slots=True)
class Dense:
    """Numbers for each step, sample and element; shape (steps, batch, *shape)."""

    values: Array

    def block(self, first: int, steps: int) -> tuple[Array, int]:
        """Return an array with the steps in it, and the row at which they start."""
        if self.values.dtype.name in _KINDS and self.values.flags.c_contiguous:
            return self.values, first
        part = self.values[first : first + steps]
        known = part.dtype if part.dtype.name in _KINDS else np.dtype(np.float64)
        return np.ascontiguousarray(part, known), 0

    def refuse_odd(self, name: str, width: np.dtype[Any]) -> None:
        """Refuse a number that is not finite once it is rounded to the network's width.

        Raises
        ------
        CheckpointError
            Naming the layer, the number and its place.
        """
        if self.values.dtype.kind in "iub":
            return
        steps = max(1, _LOOK // self.values[0].size)
        for first in range(0, len(self.values), steps):
            part = self.values[first : first + steps]
            with np.errstate(over="ignore"):
                finite = np.isfinite(part.astype(width, copy=False))
            if not finite.all():
                place = np.argwhere(~finite)[0].tolist()
                raise CheckpointError(
                    f"the input of {name!r} holds {part[tuple(place)]} at step {first + place[0]}, "
                    f"sample {place[1]}, element {place[2:]}; expected numbers that are finite in "
                    f"{width}"
                )


@dataclass(frozen=True, slots=True)
class Events:
    """Spikes by time, element and sample, sorted by time; laid out block by block."""

    times: Array
    places: Array
    shape: tuple[int, int]

    @property
    def row_size(self) -> int:
        """How many numbers one step of all samples is."""
        return self.shape[0] * self.shape[1]

    def block(self, first: int, steps: int) -> tuple[Array, int]:
        """Return the counts of spikes of some steps, uint8 where they fit, and 0."""
        start, end = np.searchsorted(self.times, (first, first + steps))
        size = self.row_size
        places = (self.times[start:end] - first) * size + self.places[start:end]
        counts = np.bincount(places, minlength=steps * size).reshape(steps, *self.shape)
        return np.ascontiguousarray(counts, np.uint8 if counts.max(initial=0) < 256 else float), 0


def stimuli_of(
    inputs: Stimulus | Mapping[str, Stimulus], shapes: Mapping[str, Shape], steps: int | None
) -> tuple[dict[str, Dense | Events], int, int]:
    """Check the inputs against the layers that take them.

    Parameters
    ----------
    inputs : array, spike list, or mapping of them by layer
    shapes : mapping of str to tuple
        The shape that each input layer takes.
    steps : int or None

    Returns
    -------
    stimuli : dict
        By layer.
    steps, batch : int

    Raises
    ------
    CheckpointError
        Naming the layer and what does not fit.
    """
    named = _named(inputs, shapes)
    lists = {name: x for name, x in named.items() if isinstance(x, tuple)}
    dense = {name: _dense(name, x, shapes[name]) for name, x in named.items() if name not in lists}
    steps = _common("steps", {n: len(x) for n, x in dense.items()}, steps, lists)
    batch = _common("samples", {n: x.shape[1] for n, x in dense.items()}, None, lists)
    if not 0 < steps < 1 << 40:
        raise CheckpointError(
            f"a simulation takes at least 1 step, fewer than 2**40, and not {steps} steps"
        )
    if not 0 < batch < 1 << 31:
        raise CheckpointError(f"a simulation takes at least 1 sample, not {batch}")
    found: dict[str, Dense | Events] = {name: Dense(x) for name, x in dense.items()}
    found |= {name: _events(name, x, shapes[name], steps, batch) for name, x in lists.items()}
    return found, steps, batch


def refuse_odd(stimuli: Mapping[str, Dense | Events], width: np.dtype[Any]) -> None:
    """Refuse a number that is not finite; spike lists hold none.

    Raises
    ------
    CheckpointError
        Naming the layer, the number and its place.
    """
    for name, stimulus in stimuli.items():
        if isinstance(stimulus, Dense):
            stimulus.refuse_odd(name, width)


def _named(inputs: Any, shapes: Mapping[str, Shape]) -> dict[str, Any]:
    if isinstance(inputs, Mapping):
        if set(inputs) != set(shapes):
            raise CheckpointError(
                f"the network takes input at {_some(shapes)}, but was handed {_some(inputs)}"
            )
        return dict(inputs)
    if len(shapes) != 1:
        raise CheckpointError(
            f"the network takes input at {_some(shapes)}; hand in a mapping by these names"
        )
    return {next(iter(shapes)): inputs}


def _some(names: Mapping[str, Any]) -> str:
    return ", ".join(repr(name) for name in list(names)[:8]) or "no layer"


def _dense(name: str, values: Any, shape: Shape) -> Array:
    array = _as_array(name, values)
    if array.dtype.kind not in "fiub" and array.dtype.name not in ("bfloat16",):
        raise CheckpointError(f"the input of {name!r} must be numbers, not {array.dtype}")
    if array.ndim >= 2 and array.shape[2:] == shape:
        return array
    if array.ndim >= 2 and array.shape[2:] == (int(np.prod(shape)),):
        return array.reshape(*array.shape[:2], *shape)
    expected = ("steps", "batch", *shape)
    raise CheckpointError(
        f"the input of {name!r} must have shape ({', '.join(map(str, expected))}), found "
        f"{array.shape}"
    )


def _as_array(name: str, values: Any) -> Array:
    try:
        return np.asarray(values)
    except ValueError:  # nested lists of different lengths
        raise CheckpointError(
            f"the input of {name!r} is no array: its rows differ in length"
        ) from None


def _common(
    what: str, found: Mapping[str, int], stated: int | None, lists: Mapping[str, Any]
) -> int:
    """Return the number that all inputs agree on."""
    numbers = dict(found)
    if stated is not None:
        numbers["steps="] = stated
    if len(set(numbers.values())) > 1:
        shown = ", ".join(f"{name!r}: {n}" for name, n in numbers.items())
        raise CheckpointError(f"the inputs have different numbers of {what}: {shown}")
    if numbers:
        return next(iter(numbers.values()))
    column = 0 if what == "steps" else 2
    held = [_vector(name, x[column]) for name, x in lists.items() if len(x) > column]
    return max((int(x.max(initial=-1)) + 1 for x in held), default=1)


def _vector(name: str, values: Any) -> Array:
    array = _as_array(name, values)
    if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        raise CheckpointError(f"the spike list of {name!r} must hold vectors of integers")
    return array.astype(np.int64)


def _events(name: str, given: Sequence[Any], shape: Shape, steps: int, batch: int) -> Events:
    if len(given) not in (2, 3):
        raise CheckpointError(
            f"the spike list of {name!r} must be (times, indices) or (times, indices, samples)"
        )
    columns = [_vector(name, x) for x in given]
    if len(given) == 2:
        columns.append(np.zeros_like(columns[0]))
    if len({x.size for x in columns}) != 1:
        raise CheckpointError(f"the vectors of the spike list of {name!r} differ in length")
    size = int(np.prod(shape))
    for what, values, limit in zip(
        ("time", "index", "sample"), columns, (steps, size, batch), strict=True
    ):
        if values.size and (values.min() < 0 or values.max() >= limit):
            odd = values[(values < 0) | (values >= limit)][0]
            raise CheckpointError(
                f"the spike list of {name!r} holds the {what} {odd}; expected 0 to {limit - 1}"
            )
    times, indices, samples = columns
    order = np.argsort(times, kind="stable")
    return Events(times[order], (samples * size + indices)[order], (batch, size))


def kind_of(array: Array) -> int:
    """Return the kernel's number of an array's type."""
    return _KINDS[array.dtype.name]
