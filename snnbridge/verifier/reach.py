"""Which layers a layer's spikes reach."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from snnbridge.model import Array
from snnbridge.simulator.network import Network


def reached(networks: tuple[Network, Network], pairs: Sequence[tuple[str, str]]) -> Array:
    """Tell for every two matched layers whether what one does bears on the other.

    It does where a path leads from one to the other in either network, whatever its delays; a layer
    bears on itself.

    Parameters
    ----------
    networks : pair of Network
    pairs : sequence of pair of str
        The names of matched layers.

    Returns
    -------
    numpy.ndarray of bool, shape (pairs, pairs)
        From the layer of the row to that of the column.
    """
    found = np.eye(len(pairs), dtype=np.bool_)
    for side, network in enumerate(networks):
        targets: dict[str, list[str]] = {name: [] for name in network.layers}
        for target, sources in network.incoming.items():
            for source, _ in sources:
                targets[source].append(target)
        for i, pair in enumerate(pairs):
            behind = _behind(targets, pair[side])
            found[i] |= [other[side] in behind for other in pairs]
    return found


def _behind(targets: dict[str, list[str]], start: str) -> set[str]:
    """Return the layers to which a path leads."""
    seen: set[str] = set()
    pending = [start]
    while pending:
        new = [name for name in targets[pending.pop()] if name not in seen]
        seen.update(new)
        pending += new
    return seen
