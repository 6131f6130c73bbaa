"""Telling a tree of Spyx from other trees of the same wire format, by all of its keys.

The format of Spyx reads the one kind, that of BrainPy the other.
"""

from __future__ import annotations

from itertools import islice

from snnbridge import Probe, ReadError
from snnbridge.storage import Source
from snnbridge.wire import leaves

#: The keys of each class; those of a decay alone are LIF's, LI's and PSU_LIF's alike.
NEURONS = {
    "CuBaLIF": ("alpha", "beta"),
    "RIF": ("recurrent_w",),
    "RLIF": ("beta", "recurrent_w"),
    "RCuBaLIF": ("alpha", "beta", "recurrent_w"),
    "IF": (),
    "LIF": ("beta",),
    "LI": ("beta",),
    "PSU_LIF": ("beta",),
}
#: What each class that spikes keeps beside them where it has an array of thresholds: a number is
#: none of flax' arrays.
THRESHOLD = "threshold"
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
    return weighted and any(own - {THRESHOLD} in _OF_NEURONS for own in keys)


def class_of(keys: frozenset[str]) -> str:
    """Return the class that keeps just these arrays; empty if there is none, or no single one.

    Examples
    --------
    >>> class_of(frozenset({"beta", "alpha"})), class_of(frozenset({"beta"}))
    ('CuBaLIF', '')
    """
    own = keys - {THRESHOLD}
    found = [kind for kind, names in NEURONS.items() if frozenset(names) == own]
    return found[0] if len(found) == 1 and keys else ""
