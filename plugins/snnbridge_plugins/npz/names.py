"""Making the names of old files legal, and naming what has no name there."""

from __future__ import annotations

from collections.abc import Iterable


class Names:
    """Gives out names that are all different.

    Parameters
    ----------
    taken : iterable of str
        Names that are not given out.
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


def legal(name: str) -> str:
    """Return a text that the model takes as a name: NUL becomes U+FFFD."""
    return name.replace("\0", "\ufffd")


def legal_names(originals: list[str]) -> list[str]:
    """Make names legal and different; the first layer of each name keeps it.

    Examples
    --------
    >>> legal_names(["fc", "fc", "fc.2"])
    ['fc', 'fc.3', 'fc.2']
    """
    cleaned = [legal(name) for name in originals]
    others, first = Names(cleaned), set()
    result = []
    for name in cleaned:
        result.append(others.unique(name) if name in first else name)
        first.add(name)
    return result


def neuron_names(layers: list[str]) -> list[str]:
    """Return the generated name of the neurons behind each layer: ``<layer>.neuron``."""
    names = Names(layers)
    return [names.unique(f"{name}.neuron") for name in layers]
