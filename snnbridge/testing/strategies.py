"""Hypothesis strategies for checkpoints that use everything the model can hold.

>>> from hypothesis import given
>>> from snnbridge.testing.strategies import checkpoints
>>> @given(checkpoints())
... def test_round_trip(checkpoint): ...
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from hypothesis import strategies as st

from snnbridge.document import switches
from snnbridge.model import (
    NEURON_PARAMETERS,
    PER_STEP,
    SYNAPSE_PARAMETERS,
    UNKNOWN,
    AvgPool,
    BatchNorm,
    Connection,
    Conv1d,
    Conv2d,
    Delay,
    Flatten,
    Input,
    Layer,
    Linear,
    MaxPool,
    Neuron,
    NeuronRule,
    Opaque,
    Origin,
    Output,
    Parameter,
    Path,
    Quantity,
    Scale,
    SNNCheckpoint,
    StateVariable,
    Subgraph,
    SumPool,
    Synapse,
    SynapseRule,
    TimeStep,
)
from snnbridge.testing.array_samples import DTYPES
from snnbridge.testing.value_strategies import arrays, names, trees

__all__ = ["DTYPES", "arrays", "checkpoints", "layers", "names", "trees"]

_NUMBERS = ("float32", "float64", "float16", "bfloat16")


def _parameters(shape: tuple[int, ...]) -> st.SearchStrategy[Parameter]:
    value = st.one_of(st.just(UNKNOWN), arrays(shape, _NUMBERS), arrays((), _NUMBERS))
    return st.builds(
        Parameter,
        value,
        st.sampled_from([None, "ms", "mV", "step"]),
        st.sampled_from([UNKNOWN, True, False]),
    )


def _weights(*shape: int) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.builds(Parameter, arrays(shape), trainable=st.sampled_from([UNKNOWN, True, False])),
        st.just(UNKNOWN),
    )


def _rules(kind: type[Any]) -> st.SearchStrategy[Any]:
    plain: dict[str, st.SearchStrategy[Any]] = {
        "spiking": st.booleans(),
        "max_spikes": st.sampled_from([None, 1, 4]),
        "output_delay": st.integers(0, 2),
    }
    drawn = {
        f.name: st.one_of(st.just(UNKNOWN), _switch(switches(kind)[f.name], plain.get(f.name)))
        for f in fields(kind)
    }
    return st.builds(kind, **drawn)


def _switch(
    enumeration: type[enum.Enum] | None, plain: st.SearchStrategy[Any] | None
) -> st.SearchStrategy[Any]:
    if enumeration is not None:
        return st.sampled_from(list(enumeration))
    return st.just(UNKNOWN) if plain is None else plain


def _windows(axes: int) -> dict[str, st.SearchStrategy[Any]]:
    sides = st.tuples(st.integers(0, 2), st.integers(0, 2))
    return {
        "stride": st.one_of(st.just(UNKNOWN), st.tuples(*[st.integers(1, 3)] * axes)),
        "padding": st.one_of(st.sampled_from([UNKNOWN, "same"]), st.tuples(*[sides] * axes)),
    }


_origins = st.one_of(
    st.none(),
    st.builds(Origin, names, names, st.one_of(st.just(UNKNOWN), st.just("2.8.2"))),
)
_time_steps: st.SearchStrategy[TimeStep] = st.one_of(
    st.sampled_from([UNKNOWN, PER_STEP]),
    st.builds(Quantity, st.floats(1e-6, 10.0), st.sampled_from(["ms", "s"])),
)


def _named(kind: Callable[..., Layer], **parts: Any) -> Callable[[str], st.SearchStrategy[Layer]]:
    return lambda name: st.builds(
        kind, st.just(name), origin=_origins, dt=st.one_of(st.none(), _time_steps), **parts
    )


def _dynamic(kind: Any, rule: Any, known: Mapping[str, str]) -> Any:
    parameters = st.dictionaries(st.sampled_from(list(known)), _parameters((3,)), max_size=4)
    return _named(kind, shape=st.just((3,)), parameters=parameters, rule=_rules(rule))


_KINDS: dict[str, Callable[[str], st.SearchStrategy[Layer]]] = {
    "linear": _named(Linear, weight=_weights(3, 3), bias=st.one_of(st.none(), _weights(3))),
    "conv1d": _named(Conv1d, weight=_weights(2, 1, 3), **_windows(1)),
    "conv2d": _named(
        Conv2d, weight=_weights(2, 1, 3, 3), groups=st.sampled_from([UNKNOWN, 1, 2]), **_windows(2)
    ),
    "sum pool": _named(SumPool, window=st.just((2, 2)), **_windows(2)),
    "avg pool": _named(AvgPool, window=st.just((2,)), count_padding=st.booleans(), **_windows(1)),
    "max pool": _named(MaxPool, window=st.just((2, 2)), **_windows(2)),
    "flatten": _named(Flatten, order=st.sampled_from([UNKNOWN, "channels first", "channels last"])),
    "scale": _named(Scale, factor=_parameters((3,))),
    "batch norm": _named(
        BatchNorm,
        mean=_weights(3),
        variance=_weights(3),
        bias=st.one_of(st.none(), _weights(3)),
        epsilon=st.sampled_from([UNKNOWN, 1e-5]),
    ),
    "delay": _named(Delay, delay=st.sampled_from([UNKNOWN, Parameter(2, "step")])),
    "synapse": _dynamic(Synapse, SynapseRule, SYNAPSE_PARAMETERS),
    "neuron": _dynamic(Neuron, NeuronRule, NEURON_PARAMETERS),
    "custom neuron": _named(
        Neuron, model=st.just("izhikevich"), parameters=st.dictionaries(names, _parameters((3,)))
    ),
    "input": _named(Input, shape=st.sampled_from([UNKNOWN, (3,)])),
    "output": _named(Output, shape=st.sampled_from([UNKNOWN, (3,)])),
    "opaque": _named(
        Opaque,
        parameters=st.dictionaries(names, st.builds(Parameter, arrays()), max_size=3),
        settings=trees(),
    ),
}


def layers(name: str) -> st.SearchStrategy[Layer]:
    """Draw a layer of any kind, subgraphs among them, with everything that it can state."""
    flat = st.sampled_from(list(_KINDS)).flatmap(lambda kind: _KINDS[kind](name))
    inner = names.flatmap(lambda n: st.sampled_from(list(_KINDS)).flatmap(lambda k: _KINDS[k](n)))
    graph = inner.flatmap(
        lambda layer: st.builds(
            Subgraph,
            st.just(name),
            layers=st.just([layer]),
            connections=st.sampled_from([UNKNOWN, ()]),
            inputs=st.dictionaries(names, st.just(layer.name), max_size=2),
        )
    )
    return st.one_of(flat, flat, flat, graph)


@st.composite
def checkpoints(draw: st.DrawFn, most_layers: int = 5) -> SNNCheckpoint:
    """Draw a valid checkpoint; over many draws, all that the model can hold.

    Parameters
    ----------
    most_layers : int

    Examples
    --------
    >>> checkpoints().example()  # doctest: +SKIP
    SNNCheckpoint: 2 layers, 9 weights
    """
    chosen = draw(st.lists(names, unique=True, max_size=most_layers))
    found = [draw(layers(name)) for name in chosen]
    states = st.sampled_from(chosen).flatmap(_states) if chosen else st.nothing()
    return SNNCheckpoint(
        layers=found,
        connections=draw(_connections(found)),
        dt=draw(_time_steps),
        training=draw(trees()),
        state=dict(draw(st.lists(states, max_size=3))) if chosen else {},
        step=draw(st.sampled_from([None, UNKNOWN, 0, 17])),
        metadata=draw(trees(json_only=True)),
        frozen_layers=draw(st.lists(st.sampled_from(chosen), unique=True)) if chosen else [],
        ties=draw(_ties(found)),
        extras=draw(st.dictionaries(names, trees(), max_size=2)),
    )


def _states(owner: str) -> st.SearchStrategy[tuple[Path, StateVariable]]:
    """Draw a state of a layer: its membrane, or one of a framework's own, of any shape."""
    own = names.filter(lambda name: name not in ("v", "i", "spike"))
    membranes = st.one_of(
        st.builds(StateVariable, arrays((3,)), st.none()),
        st.builds(StateVariable, arrays((2, 3)), st.just(0)),
    )
    return st.one_of(
        st.tuples(st.tuples(st.just(owner), st.just("v")), membranes),
        st.tuples(st.tuples(st.just(owner), own), _variables()),
    )


@st.composite
def _variables(draw: st.DrawFn) -> StateVariable:
    value = draw(arrays())
    return StateVariable(value, draw(st.sampled_from([UNKNOWN, None, *range(value.ndim)])))


def _ties(found: list[Layer]) -> st.SearchStrategy[tuple[frozenset[Path], ...]]:
    """Draw ties of parameters that can be one array: of one shape and dtype, or unknown."""
    alike: dict[Any, list[Path]] = {}
    for layer in found:
        for name, held in layer.parameters.items():
            value = held.value
            key = value if value is UNKNOWN else (value.shape, value.dtype.newbyteorder("="))
            alike.setdefault(key, []).append((layer.name, name))
    pairs = [frozenset(paths[:2]) for paths in alike.values() if len(paths) > 1]
    return st.lists(st.sampled_from(pairs), unique=True).map(tuple) if pairs else st.just(())


def _connections(found: list[Layer]) -> st.SearchStrategy[Any]:
    """Draw edges that fit: delayed ones, between layers whose shapes agree."""
    from snnbridge.errors import CheckpointError

    def fits(a: Layer, b: Layer) -> bool:
        try:
            SNNCheckpoint({x.name: x for x in (a, b)}, [Connection(a.name, b.name, 1)])
        except CheckpointError:
            return False
        return True

    edges = [(a.name, b.name) for a in found for b in found if fits(a, b)]
    if not edges:
        return st.sampled_from([UNKNOWN, ()])
    edge = st.builds(
        lambda ab, delay: Connection(ab[0], ab[1], delay),
        st.sampled_from(edges),
        st.integers(1, 3),
    )
    return st.one_of(st.just(UNKNOWN), st.lists(edge, unique=True, max_size=4).map(tuple))
