"""Which known class a module is of; a class of the user's own counts as one it derives from."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Any

#: The packages whose modules are known by name.
PACKAGES = frozenset(
    {"torch", "norse", "rockpool", "sinabs", "snntorch", "spikingjelly", "snnbridge"}
)
#: What a class may have of its own without computing anything else.
_HARMLESS = frozenset({"extra_repr", "reset_parameters", "train", "eval"})


@dataclass(frozen=True, slots=True)
class Known:
    """The class by whose name a module is read.

    Parameters
    ----------
    kind : str
        Its name; empty if the module is of no known class.
    changed : tuple of str
        What the module's own class does in another way than it.
    """

    kind: str = ""
    changed: tuple[str, ...] = ()


def known_as(module: Any, names: Container[str]) -> Known:
    """Find the class among `names` that a module is of, or derives from.

    A class of that name counts only where it is its package's: one of the user's own that happens
    to be called ``Leaky`` is another one.
    """
    above: list[type] = []
    for kind in type(module).__mro__:
        if kind.__name__ in names and _is_known(kind):
            return Known(kind.__name__, tuple(dict.fromkeys(_changed(above, kind))))
        above.append(kind)
    return Known()


def _is_known(kind: type) -> bool:
    package = kind.__module__
    if package.startswith("torch."):  # quantised and fused modules bear the same names elsewhere
        return package.startswith("torch.nn.modules.")
    return package.partition(".")[0] in PACKAGES


def _changed(above: list[type], kind: type) -> Iterator[str]:
    for own in above:
        for name, value in vars(own).items():
            private = name.startswith("__") and name != "__call__"
            if not private and name not in _HARMLESS and callable(value) and hasattr(kind, name):
                yield name
