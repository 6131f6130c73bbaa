"""What a simulation gives back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snnbridge.errors import CheckpointError
from snnbridge.model import UNKNOWN, Array, Path, Shape, StateVariable

#: The state of a clock that counts from the last spike, and when a neuron spiked that never did.
CLOCK, NEVER = "t_last_spike", -1e7


class State(dict[Path, StateVariable]):
    """The state after a simulation: by (layer, variable), each of shape (batch, ...).

    Handed in as `initial`, it lets the next simulation go on where this one ended, to the bit.

    Attributes
    ----------
    step : int
        The index of the next step, which a refractory clock needs.
    """

    def __init__(self, variables: Mapping[Path, StateVariable], step: int) -> None:
        super().__init__(variables)
        self.step = step


@dataclass(frozen=True, slots=True)
class Block:
    """Some steps of a simulation, as its `on_block` gets them.

    Attributes
    ----------
    start, stop : int
        The first step, and the one after the last.
    traces : dict of (layer, variable) to numpy.ndarray
        Shape ``(stop - start, batch, *layer shape)``.
    """

    start: int
    stop: int
    traces: dict[tuple[str, str], Array]


@dataclass(frozen=True, slots=True)
class Simulation:
    """What a network did.

    Attributes
    ----------
    steps, batch : int
    traces : dict of (layer, variable) to numpy.ndarray
        What was asked for, shape ``(steps, batch, *layer shape)``. ``"spikes"`` are uint8, or int32
        where a neuron can spike more than 255 times in a step; ``"v"`` (membrane potential),
        ``"i"`` (synaptic current; one more axis for several receptors) and ``"output"`` (what
        the layer hands on) are in the network's width. Empty where blocks were streamed.
    counts : dict of str to numpy.ndarray
        By spiking layer: the spikes delivered in all steps, int64, shape ``(batch, *layer shape)``.
    state : State
        After the last step.
    """

    steps: int
    batch: int
    traces: dict[tuple[str, str], Array]
    counts: dict[str, Array]
    state: State = field(repr=False)

    @property
    def spikes(self) -> dict[str, Array]:
        """The recorded spikes by layer, shape ``(steps, batch, *layer shape)``."""
        return {name: x for (name, variable), x in self.traces.items() if variable == "spikes"}

    @property
    def outputs(self) -> dict[str, Array]:
        """The recorded outputs by layer, shape ``(steps, batch, *layer shape)``."""
        return {name: x for (name, variable), x in self.traces.items() if variable == "output"}

    def rates(self) -> dict[str, float]:
        """Return the mean number of spikes per neuron and step of each spiking layer."""
        return {name: float(x.mean()) / self.steps for name, x in self.counts.items()}


def wanted_traces(
    record: Any, possible: Mapping[str, tuple[str, ...]], default: Iterable[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Return the pairs (layer, variable) that a user asks for.

    Raises
    ------
    CheckpointError
        For a layer that is not there, or a variable that it does not have.
    """
    if record is None:
        return list(default)
    if isinstance(record, str):
        record = [record]
    if not isinstance(record, Mapping):
        record = dict.fromkeys(record)
    found: list[tuple[str, str]] = []
    for name, variables in record.items():
        if name not in possible:
            raise CheckpointError(f"record names {name!r}, which is no layer of the network")
        if isinstance(variables, str):
            variables = (variables,)
        for variable in possible[name] if variables is None else variables:
            if variable not in possible[name]:
                raise CheckpointError(
                    f"layer {name!r} has no {variable!r} to record; it has "
                    f"{', '.join(possible[name])}"
                )
            found.append((name, variable))
    return list(dict.fromkeys(found))


def refuse_strangers(initial: Mapping[Path, Any], known: Collection[str]) -> None:
    """Refuse an initial state of layers that are not there.

    Raises
    ------
    CheckpointError
        Naming the first of them.
    """
    for path in initial:
        if not isinstance(path, tuple) or len(path) != 2 or path[0] not in known:
            raise CheckpointError(
                f"the initial state {path!r} belongs to no layer of the network; expected "
                "(layer, variable)"
            )


def counting(state: Mapping[Path, StateVariable]) -> str:
    """Name a layer with a neuron that counts from its last spike, for which the step matters."""
    return next(
        (
            path[0]
            for path, held in state.items()
            if path[1] == CLOCK and (np.asarray(held.value) != NEVER).any()
        ),
        "",
    )


def initial_value(
    initial: Mapping[Path, Any], path: Path, shape: Shape, dtype: np.dtype[Any], default: Any
) -> Array:
    """Return a fresh array (batch, ...) of a state variable, from `initial` where it is there.

    Raises
    ------
    CheckpointError
        If its shape does not fit.
    """
    held = initial.get(path)
    value = default if held is None else _batch_first(held, path, shape)
    made = np.empty(shape, dtype)
    if np.asarray(value).dtype.kind == "c":
        raise CheckpointError(
            f"the initial state {path!r} holds complex numbers; expected real ones"
        )
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            made[...] = value
    except ValueError:
        raise CheckpointError(
            f"the initial state {path!r} has shape {np.shape(value)}; expected {shape}, the batch "
            "first"
        ) from None
    if made.dtype.kind == "f" and not np.isfinite(made).all():
        raise CheckpointError(f"the initial state {path!r} holds {made[~np.isfinite(made)][0]}")
    if made.dtype.kind == "i" and (made != value).any():
        raise CheckpointError(
            f"the initial state {path!r} holds {np.broadcast_to(value, shape)[made != value][0]}; "
            "expected whole numbers of steps"
        )
    return made


def _batch_first(held: Any, path: Path, shape: Shape) -> Array:
    if not isinstance(held, StateVariable):
        return np.asarray(held)
    value = np.asarray(held.value)
    if held.batch_axis is UNKNOWN and value.ndim == len(shape):
        raise CheckpointError(f"the initial state {path!r} does not say which axis is the batch")
    if isinstance(held.batch_axis, int):
        value = np.moveaxis(value, held.batch_axis, 0)
        if value.shape[0] not in (1, shape[0]):
            raise CheckpointError(
                f"the initial state {path!r} is of {value.shape[0]} samples, but the input of "
                f"{shape[0]}"
            )
    return value
