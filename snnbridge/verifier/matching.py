"""Which layers of two networks belong together."""

from __future__ import annotations

import numpy as np

from snnbridge.errors import CheckpointError
from snnbridge.model import Neuron
from snnbridge.simulator.network import Network


def matched(left: Network, right: Network) -> tuple[list[tuple[str, str]], str]:
    """Match the neuron layers: by name, and what is left over by order and size."""
    a, b = (
        [name for name, layer in n.layers.items() if isinstance(layer, Neuron)]
        for n in (left, right)
    )
    common = [name for name in a if name in b]
    rest = [[name for name in names if name not in common] for names in (a, b)]
    sizes = [
        [int(np.prod(n.shapes_out[name])) for name in names]
        for n, names in zip((left, right), rest, strict=True)
    ]
    if sizes[0] != sizes[1]:
        raise CheckpointError(
            f"the neuron layers cannot be matched: {rest[0]} of sizes {sizes[0]} on the left, "
            f"{rest[1]} of sizes {sizes[1]} on the right"
        )
    partner = {**{name: name for name in common}, **dict(zip(rest[0], rest[1], strict=True))}
    return [(name, partner[name]) for name in a], "structure" if rest[0] else "name"


def matched_inputs(left: Network, right: Network) -> dict[str, tuple[str, str]]:
    """Match the input layers: by name, or by order where the names differ."""
    if len(left.inputs) != len(right.inputs):
        raise CheckpointError(
            f"the networks differ in their inputs: {left.inputs} on the left, {right.inputs} on "
            "the right"
        )
    same = set(left.inputs) == set(right.inputs)
    partners = left.inputs if same else right.inputs
    for a, b in zip(left.inputs, partners, strict=True):
        if left.shapes_in[a] != right.shapes_in[b]:
            raise CheckpointError(
                f"input {a!r} takes shape {left.shapes_in[a]}, input {b!r} of the other network "
                f"{right.shapes_in[b]}"
            )
    return {a: (a, b) for a, b in zip(left.inputs, partners, strict=True)}
