"""The modules of a net that stand for layers, and the order of those in a chain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from snnbridge.frameworks.reading.classes import known_as
from snnbridge.frameworks.reading.pieces import Piece
from snnbridge.model import Layer

#: Containers that run what they hold in turn, and of which children; none names all of them.
_IN_TURN: Mapping[str, tuple[str, ...]] = {
    "Sequential": (),
    "SequentialState": (),
    "SeqToANNContainer": (),
    "MultiStepContainer": (),
    "StepModeContainer": (),
    "TorchSequential": (),
    "Network": ("spiking_model",),
    "Repeat": ("module",),
    "Lift": ("lifted_module",),
}


@dataclass(slots=True)
class Walk:
    """The modules of a net that stand for layers.

    Parameters
    ----------
    piece : function of a name and a module, returning a Piece
        None for a container.
    """

    piece: Callable[[str, Any], Piece | None]
    modules: dict[str, Any] = field(default_factory=dict)
    pieces: dict[str, Piece] = field(default_factory=dict)

    def into(self, module: Any, name: str = "net", prefix: str = "") -> list[str] | None:
        """Add a module and what it holds; return its modules as a chain, None if it is none.

        A module that stands at several places is found at each of them.
        """
        piece = self.piece(name, module)
        if piece is not None:
            self.modules[name], self.pieces[name] = module, piece
            return [name]
        known = known_as(module, _IN_TURN)
        runs = _IN_TURN.get(known.kind, ()) or tuple(module._modules)
        inner = {own: self.into(x, f"{prefix}{own}", f"{prefix}{own}.") for own, x in _held(module)}
        if not known.kind or "forward" in known.changed:
            return None
        chains = [inner[own] for own in runs if own in inner]
        if any(chain is None for chain in chains):
            return None
        return [name for chain in chains for name in chain or ()]

    def names(self) -> dict[str, list[str]]:
        """Return, by the first name of each module, all names under which it stands."""
        first: dict[int, str] = {}
        found: dict[str, list[str]] = {}
        for name, module in self.modules.items():
            found.setdefault(first.setdefault(id(module), name), []).append(name)
        return found

    def holding(self, *kinds: type[Layer]) -> set[str]:
        """Return the modules that stand for layers of some kinds."""
        return {
            name
            for name, piece in self.pieces.items()
            if any(isinstance(layer, kinds) for layer in piece.layers)
        }


def _held(module: Any) -> Iterator[tuple[str, Any]]:
    return ((own, child) for own, child in module._modules.items() if child is not None)
