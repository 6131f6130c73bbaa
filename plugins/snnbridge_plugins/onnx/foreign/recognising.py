"""The layers of neurons in a graph of another tool, and the arithmetic that is none of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from snnbridge.model import InputGain
from snnbridge_plugins.onnx.file.schema import Message
from snnbridge_plugins.onnx.foreign.cuts import Cut
from snnbridge_plugins.onnx.foreign.evaluation import Part
from snnbridge_plugins.onnx.foreign.parts import Cutter
from snnbridge_plugins.onnx.foreign.probing import REASONS, Found, gain_of, recognised
from snnbridge_plugins.onnx.foreign.titles import module_of

COMPARING = frozenset({"Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Sign"})


@dataclass(frozen=True)
class Told:
    """Arithmetic that is a neuron.

    Attributes
    ----------
    part : Part
    found : Found
    rounded : bool
        Whether its constants come from functions that engines do not round alike.
    among : tuple of str
        The inputs of the graph that it has its states of, where another of them would do, too.
    """

    part: Part
    found: Found
    rounded: bool = False
    among: tuple[str, ...] = ()

    @property
    def is_scaled(self) -> bool:
        """Whether its input comes in by a factor of its own."""
        return self.found.guess.rule.input_gain is InputGain.STATED

    @property
    def name(self) -> str:
        """The module that it comes from, or its state."""
        return module_of(self.part.nodes) or self.found.roles.v


@dataclass(frozen=True)
class Missed:
    """Arithmetic with a state that is no neuron of the family, and why."""

    nodes: tuple[Message, ...]
    states: tuple[str, ...]
    reason: str

    @property
    def spikes(self) -> bool:
        """Whether there are comparisons in it."""
        return any(node.get("op_type") in COMPARING for node in self.nodes)


def neurons_in(cutter: Cutter) -> tuple[list[Told], list[Missed]]:
    """Return the neurons of a graph in their order, and what was looked at in vain.

    Parameters
    ----------
    cutter : Cutter
        Takes out of it what is told.
    """
    told: list[Told] = []
    missed: list[Missed] = []
    for cut in cutter.cuts():
        found = _told(cutter, cut)
        if isinstance(found, Told):
            told.append(found)
            cutter.take(found.found.roles.spikes, found.part.nodes)
        else:
            missed.append(Missed(cut.nodes, cut.states, found))
    told.sort(key=lambda item: cutter.place(item.part.nodes[0]))
    return told, _widest(missed, told)


def _widest(missed: list[Missed], told: list[Told]) -> list[Missed]:
    """Keep what is left of the parts that were looked at in vain, none inside another."""
    gone = {id(node) for item in told for node in item.part.nodes}
    kept: list[Missed] = []
    for item in sorted(missed, key=lambda item: -len(item.nodes)):
        inside = {id(node) for node in item.nodes}
        if not inside <= gone:
            kept.append(item)
            gone |= inside
    return kept


def _told(cutter: Cutter, cut: Cut) -> Told | str:
    """Return the neuron that a cut is, or what it lacks."""
    furthest = (0, REASONS[0])
    for whole in (True, False):
        fitting: list[Told] = []
        for states in _choices(cut.states):
            if not whole and len(states) < len(cut.states):
                continue  # what another input goes through before may be what makes it a state
            part = _trimmed(cutter, cut if whole else cutter.stateful(cut, states), states)
            found = (1, part) if isinstance(part, str) else _probed(cutter, part)
            if isinstance(found, Told):
                fitting.append(found)
            else:
                furthest = max(furthest, found)
        # Where an input comes from outside as a state does, the one that leaks is the state.
        plain = [item for item in fitting if not item.is_scaled]
        if len(fitting) == 1:
            return fitting[0]
        if len(plain) == 1:
            return replace(plain[0], among=cut.states)
        if fitting:
            return "any of its inputs may be the state"
    return furthest[1]


def _choices(states: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for count in (1, 2):
        yield from itertools.combinations(states, count)


def _probed(cutter: Cutter, part: Part) -> Told | tuple[int, str]:
    cutter.neurons_left -= math.prod(part.shape)
    if cutter.neurons_left < 0:
        return 0, "too many neurons with numbers of their own were probed before it"
    found = recognised(part, cutter.outputs)
    if not isinstance(found, Found):
        return found, REASONS[found]
    if not cutter.in_order(part.drives, found.roles.spikes):
        return len(REASONS), "an input comes only after its spikes"
    return Told(part, found, any(map(cutter.constants.is_rounded_here, part.constants)))


def _trimmed(cutter: Cutter, cut: Cut, states: Sequence[str]) -> Part | str:
    """Leave out what is neither spikes nor a state at the end; return what remains as a part."""
    while True:
        part = cutter.part(cut, states)
        if part is None:
            return REASONS[0]
        inner = list(_odd(part))
        odd = [name for name in inner if name not in cutter.outputs]
        cut = cutter.without(cut, odd)
        read = [n for n in odd if cutter.depends(n, states) and _is_read(n, cut.nodes)]
        read += [n for n in inner if n not in odd and cutter.is_read_beside(n, part.nodes)]
        if read:
            reader = cutter.reader(read[0], part.nodes)
            return f"its value {read[0]!r}, which is no spike, is read by {reader!r} too"
        if not odd:
            return cutter.unfit(part) or part
        if not cut.nodes:
            return REASONS[1]


def _is_read(name: str, nodes: Sequence[Message]) -> bool:
    return any(name in node.get("input", []) for node in nodes)


def _odd(part: Part) -> Iterator[str]:
    """Yield the ends that do not look like spikes."""
    try:
        made = part.run(part.random(256))
    except (TypeError, ValueError, KeyError, IndexError, OverflowError):
        return
    for name, x in made.items():
        if not gain_of(x):
            yield name
