"""A rule that was told of some neurons of a layer, for all of them.

The arithmetic is the same for each neuron, with numbers of its own. Where a rule's parameter is
one of these for the neurons that were looked at, it is for the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from snnbridge.model import Array, Compare, Parameter
from snnbridge_plugins.onnx.foreign.neurons.aiming import QUICK
from snnbridge_plugins.onnx.foreign.neurons.bench import Bench, Guess, Parameters, Roles
from snnbridge_plugins.onnx.foreign.neurons.computing import Part
from snnbridge_plugins.onnx.foreign.neurons.holding import (
    LEAST_REACH,
    Check,
    covered,
    probes,
    reachable,
)
from snnbridge_plugins.onnx.foreign.neurons.numbers import pool_of
from snnbridge_plugins.onnx.foreign.neurons.ranges import reach

_CHUNK = 1 << 13


def widened(part: Part, guess: Guess) -> Guess | None:
    """Return a rule of the neurons that stand for all as one of all; None where none follows."""
    if part.is_few:
        return guess
    neuron, synapse = _whole(part, guess.neuron), _whole(part, guess.synapse)
    if neuron is None or synapse is None:
        return None
    return replace(guess, neuron=neuron, synapse=synapse)


def _whole(part: Part, held: Mapping[str, Any]) -> Parameters | None:
    found: dict[str, Parameter] = {}
    for name, p in held.items():
        if p.value.ndim:
            number = _number(part, p.value)
            if number is None:
                return None
            p = Parameter(number, p.unit)
        found[name] = p
    return found


def _number(part: Part, few: Array) -> Array | None:
    """Return the numbers of all neurons in a part that are those of some, or beside them."""
    for number in pool_of(part).numbers:
        own = number[part.places]
        for end in (None, np.inf, -np.inf):
            beside = own if end is None else np.nextafter(own, own.dtype.type(end))
            if np.array_equal(beside, few):
                return number if end is None else np.nextafter(number, own.dtype.type(end))
    return None


def holds_for_all(part: Part, roles: Roles, guess: Guess, bounded: bool) -> float:
    """Return up to which size of inputs and states a rule does what each neuron does, or 0.

    Parameters
    ----------
    part : Part
    roles : Roles
    guess : Guess
        Of all its neurons.
    bounded : bool
        Whether it is held against potentials up to the threshold alone.
    """
    if part.is_few:
        return reach(part)
    least = math.inf
    for at in range(0, part.neurons, _CHUNK):
        places = np.arange(at, min(at + _CHUNK, part.neurons))
        least = min(least, _holds(part, roles, guess, bounded, places))
        if not least:
            break
    return least


def _holds(part: Part, roles: Roles, guess: Guess, bounded: bool, places: Array) -> float:
    piece = part.at(places)
    own = replace(guess, neuron=_at(guess.neuron, places), synapse=_at(guess.synapse, places))
    bench, end = Bench(piece, roles), reach(piece)
    limit = reachable(own, _below(own, piece)) if bounded else None
    check = Check(bench, list(probes(bench, QUICK, end))) if end >= LEAST_REACH else None
    holds = check and check.agrees(own, limit) and covered(bench, [check], end, limit)
    return end if holds else 0.0


def _at(held: Mapping[str, Any], places: Array) -> dict[str, Parameter]:
    return {
        name: Parameter(p.value[places], p.unit) if p.value.ndim else p for name, p in held.items()
    }


def _below(guess: Guess, part: Part) -> Array:
    """Return the greatest potential that makes no spike."""
    stated = np.asarray(guess.neuron["threshold"].value)
    theta = np.broadcast_to(stated, part.neurons).astype(part.dtype)
    if guess.rule.compare is Compare.GREATER:
        return theta
    return np.asarray(np.nextafter(theta, part.dtype.type(-np.inf)))
