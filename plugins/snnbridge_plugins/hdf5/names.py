"""Names of links: readable, legal in every HDF5 tool, and unique within their group.

The names that a checkpoint uses stand in the documents; a link's name is for people. So an
ordinary name stays as it is, and what cannot be a link's name is written with ``%``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container

_LONGEST = 120


def link_name(name: str, taken: Container[str] = ()) -> str:
    """Turn any text into the name of a link.

    Parameters
    ----------
    name : str
        Any text that is valid UTF-8.
    taken : container of str
        The names that the group has already.

    Returns
    -------
    str
        ``/``, ``%`` and what cannot be printed become ``%XX`` for each byte of their UTF-8, the
        names ``.`` and ``..`` become ``%2E`` and ``%2E%2E``, the empty name ``%``. A long name
        is cut and ends in ``%~`` and a digest; a name that is taken ends in ``%2``, ``%3``, ...

    Examples
    --------
    >>> link_name("fc1.weight"), link_name("a/b"), link_name(".."), link_name("fc", {"fc"})
    ('fc1.weight', 'a%2Fb', '%2E%2E', 'fc%2')
    """
    if name in ("", ".", ".."):
        shown = "%2E" * len(name) or "%"
    elif name.isprintable() and not ("/" in name or "%" in name):
        shown = name
    else:
        shown = "".join(map(_escaped, name))
    if len(shown) > _LONGEST:
        digest = hashlib.sha256(name.encode()).hexdigest()[:16]
        shown = f"{shown[: _LONGEST - 20]}%~{digest}"
    found, count = shown, 1
    while found in taken:
        count += 1
        found = f"{shown}%{count}"
    return found


def _escaped(character: str) -> str:
    if character.isprintable() and character not in "/%":
        return character
    return "".join(f"%{byte:02X}" for byte in character.encode())
