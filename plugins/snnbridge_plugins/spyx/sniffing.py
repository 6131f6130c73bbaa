"""Telling a tree of Spyx from other trees of the same wire format, by all of its keys."""

from __future__ import annotations

from itertools import islice

from snnbridge import Probe, ReadError
from snnbridge.storage import Source
from snnbridge.wire import leaves
from snnbridge_plugins.spyx.keys import NEURONS

#: A tree of more arrays is told by its first ones.
_MOST = 4096
_OF_NEURONS = frozenset(frozenset(keys) for keys in NEURONS.values() if keys)


def is_of_spyx(probe: Probe) -> bool:
    """Whether a tree has both matrices as flax keeps them and arrays as Spyx' neurons do.

    Parameters
    ----------
    probe : Probe
        Of a msgpack map; its values are passed over.
    """
    modules: dict[tuple[str, ...], set[str]] = {}
    try:
        with Source(probe.path) as source:
            for path, is_array in islice(leaves(source.data), _MOST):
                if is_array:
                    modules.setdefault(path[:-1], set()).add(path[-1])
    except (ReadError, ValueError, IndexError):
        return False
    keys = [frozenset(own) for own in modules.values()]
    weighted = any("kernel" in own and own <= {"kernel", "bias"} for own in keys)
    return weighted and any(own in _OF_NEURONS for own in keys)
