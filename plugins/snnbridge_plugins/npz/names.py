"""Making the names of old files legal."""

from __future__ import annotations

from snnbridge.model import Names


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
