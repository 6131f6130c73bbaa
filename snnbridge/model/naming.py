"""Names for what has none of its own, and the neurons of which a file states the type alone."""

from __future__ import annotations

from collections.abc import Iterable

from snnbridge.model.layers import Neuron
from snnbridge.model.values import Origin

#: Types of neurons that the model's own family covers; any other keeps its name as its model.
_FAMILY = frozenset(("LIF", "IF", "LI"))


class Names:
    """Gives out names that are all different.

    Parameters
    ----------
    taken : iterable of str
        Names that are not given out.

    Examples
    --------
    >>> names = Names(["fc"])
    >>> names.unique("fc"), names.unique("fc"), names.unique("out")
    ('fc.2', 'fc.3', 'out')
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._next: dict[str, int] = {}

    def unique(self, wanted: str) -> str:
        """Return the name that is wanted, or else with ``.2``, ``.3``, ... behind it."""
        name, count = wanted, self._next.get(wanted, 2)
        while name in self._taken:
            name = f"{wanted}.{count}"
            count += 1
        self._next[wanted] = count
        self._taken.add(name)
        return name


def neuron_names(layers: Iterable[str]) -> list[str]:
    """Return the generated name of the neurons behind each layer: ``<layer>.neuron``."""
    layers = list(layers)
    names = Names(layers)
    return [names.unique(f"{name}.neuron") for name in layers]


def typed_neuron(name: str, framework: str, kind: str) -> Neuron:
    """Return neurons of which the type is known and nothing else.

    Examples
    --------
    >>> typed_neuron("fc1.neuron", "sc-neurocore", "LIF").model
    'lif'
    """
    model = "lif" if kind.upper() in _FAMILY else kind
    return Neuron(name, origin=Origin(framework, kind), model=model)
