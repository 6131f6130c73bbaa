"""The states that a run of a model starts from, and the types of what holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from snnbridge import CheckpointError, SNNCheckpoint, UnknownValue
from snnbridge.model import Array, Path, StateVariable
from snnbridge.simulator.engines import counting, initial_value
from snnbridge_plugins.onnx.recipes.recipe import State

#: Defaults of more bytes are stored as one number, if all are the same.
_LARGE = 1 << 20


@dataclass(frozen=True)
class Kept:
    """The states of a checkpoint that a run starts from by default.

    Attributes
    ----------
    variables : mapping of (layer, variable) to StateVariable
        What is not in it starts at rest.
    step : int
        The index of the first step.
    """

    variables: Mapping[Path, StateVariable] = field(default_factory=dict)
    step: int = 0

    @classmethod
    def of(cls, checkpoint: SNNCheckpoint) -> Kept:
        """Take a checkpoint's states.

        Raises
        ------
        UnknownValue
            If a neuron's clock is among them and the checkpoint's step is not known.
        CheckpointError
            If they are of different numbers of samples.
        """
        step, layer = checkpoint.step, counting(checkpoint.state)
        if layer and not isinstance(step, int):
            raise UnknownValue(
                f"the state of {layer!r} holds the time of its last spike, and the checkpoint "
                "does not state its step: state `step`, or write with state=rest",
                (("", "step"),),
            )
        sizes = {samples(x): path for path, x in checkpoint.state.items() if samples(x) != 1}
        if len(sizes) > 1:
            (one, first), (other, second) = list(sizes.items())[:2]
            raise CheckpointError(
                f"the state {first!r} is of {one} samples, and {second!r} of {other}; a run "
                "starts from states of one number of samples"
            )
        return cls(checkpoint.state, step if isinstance(step, int) else 0)

    def value(self, layer: str, state: State, steps: int = 0) -> Array | None:
        """Return a state, the batch first; or a past, its steps first. None for one at rest.

        Raises
        ------
        CheckpointError
            If it does not fit the network: in its shape, or in the width that it steps in.
        """
        path = (layer, state.variable)
        if path not in self.variables:
            return None
        shape = (samples(self.variables[path]), *((steps,) if steps else ()), *state.shape)
        made = initial_value(self.variables, path, shape, state.default.dtype, None)
        return np.swapaxes(made, 0, 1) if steps else made


def samples(held: StateVariable) -> int:
    """Return of how many samples a state is; 1 where it has no axis for them."""
    if isinstance(held.batch_axis, int):
        return int(np.shape(held.value)[held.batch_axis])
    return 1


def at_rest(state: State, steps: int = 0) -> Array:
    """Return a state at rest, of a batch of one; with its steps first if it is a past.

    A large one is a single number with the same axes, unless its elements differ.
    """
    axes = len(state.shape)
    value = state.default
    value = value if value.ndim == axes else value.reshape(value.shape or (1,) * axes)
    lead = (steps, 1) if steps else (1,)
    same = bool((value == value.flat[0]).all())
    size = int(np.prod((*lead, *state.shape), dtype=np.int64)) * value.itemsize
    if same and size > _LARGE:
        return np.full((1,) * (len(lead) + axes), value.flat[0])
    if same:
        return np.full((*lead, *state.shape), value.flat[0])
    return np.broadcast_to(value, (*lead, *state.shape))


def brief(value: Array) -> Array:
    """Return a state as a single number with the same axes, if all its elements are alike."""
    return value[(slice(1),) * value.ndim] if (value == value.flat[0]).all() else value


def dims_of(state: State, batch: str | None, steps: int = 0) -> list[int | str | None]:
    """Return the dimensions of a state, with a name for the batch or none."""
    return [*((steps,) if steps else ()), batch, *state.shape]


def stated_dims(value: Array, dims: Sequence[int | str | None]) -> list[int | str | None]:
    """Return dimensions that fit a default as well: none where that is a single number."""
    fits = all(d is None or isinstance(d, str) or n == d
               for n, d in zip(value.shape, dims, strict=True))  # fmt: skip
    return list(dims) if fits else [None] * value.ndim
