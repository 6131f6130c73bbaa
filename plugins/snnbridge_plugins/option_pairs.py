"""Options that are pairs of names: ``NAME=NAME,NAME=NAME``, or a mapping in Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snnbridge import OptionError

#: How one pair of the option ``map`` reads, in every format: NAME is one of the template's.
MAP = "LAYER=NAME"


def pairs_of(option: str, value: Any, form: str) -> dict[str, str]:
    """Read an option of pairs.

    A name may hold ``=``, but the last one of its pair; a name with a comma takes a mapping.

    Parameters
    ----------
    option : str
        The option's name.
    value : str or mapping of str to str
    form : str
        How one pair reads, for the message: ``NODE=CLASS``.

    Raises
    ------
    OptionError
        If it is neither, or names something twice.

    Examples
    --------
    >>> pairs_of("classes", "fc1=Dense, lif=Lif", "NODE=CLASS")
    {'fc1': 'Dense', 'lif': 'Lif'}
    """
    if isinstance(value, Mapping):
        return dict(value)
    found = [pair.rpartition("=") for pair in value.split(",")] if value else []
    pairs = {left.strip(): right.strip() for left, _, right in found}
    if not all(pairs) or not all(pairs.values()):
        raise OptionError(f"{option} must be {form},{form},..., not {value!r}")
    if len(pairs) < len(found):
        names = [left.strip() for left, _, _ in found]
        twice = next(name for name in names if names.count(name) > 1)
        what = form.partition("=")[0].lower()
        raise OptionError(f"{option} gives a {what} twice: {twice!r} in {value!r}")
    return pairs
