"""Names that are the same behind a prefix: what wraps a net puts one before all its keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

#: Wrappers are not nested deeper: of Lightning, of several devices, of an average.
_DEEPEST = 8


def matched_behind_prefix(ours: Collection[str], theirs: Collection[str]) -> dict[str, str]:
    """Match names that are equal once a prefix is taken off one side, or one off each.

    Parameters
    ----------
    ours, theirs : collection of str
        Names of modules, ``"model.conv1"``.

    Returns
    -------
    dict of str to str
        Theirs by ours, of the prefixes that match most names; nothing where two ways are as good.

    Examples
    --------
    >>> matched_behind_prefix(["fc1", "lif1"], ["model.fc1", "model.lif1", "loss.fc1"])
    {'fc1': 'model.fc1', 'lif1': 'model.lif1'}
    """
    known = set(theirs)
    most: dict[str, str] = {}
    tied = False
    for before in _prefixes(ours):
        for other in _prefixes(theirs):
            found = {
                name: other + name.removeprefix(before)
                for name in ours
                if name.startswith(before) and other + name.removeprefix(before) in known
            }
            if len(found) > len(most):
                most, tied = found, False
            elif found != most and len(found) == len(most):
                tied = True
    return {} if tied else most


def _prefixes(names: Collection[str]) -> list[str]:
    """Return the prefixes of more than half of the names, and none."""
    found: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")[:-1][:_DEEPEST]
        found.update(".".join(parts[: i + 1]) + "." for i in range(len(parts)))
    return ["", *(prefix for prefix, count in found.items() if 2 * count > len(names))]
