"""The layers of neurons in a graph of another tool, and the arithmetic that is none of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from snnbridge.model import InputGain, Inputs
from snnbridge_plugins.onnx.file.schema import Message
from snnbridge_plugins.onnx.foreign.graph.titles import module_of
from snnbridge_plugins.onnx.foreign.neurons.alike import Alike
from snnbridge_plugins.onnx.foreign.neurons.computing import Part
from snnbridge_plugins.onnx.foreign.neurons.cuts import Cut
from snnbridge_plugins.onnx.foreign.neurons.parts import Cutter
from snnbridge_plugins.onnx.foreign.neurons.probing import REASONS, Found, gain_of, recognised

#: What is left out of a cut: nothing, what depends on no state, the factors of single inputs.
_WAYS = ("nothing", "stateless", "factors")
_WIDTHS = ("float32", "float64")
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
    def adds_first(self) -> bool:
        """Whether its inputs are added before anything else."""
        rule = self.found.guess.synapse_rule or self.found.guess.rule
        return rule.inputs is Inputs.SUMMED

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
    look = Alike(recognised)
    for cut in cutter.cuts():
        found = _told(cutter, cut, look)
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
    inner = frozenset(gone)
    kept: list[Missed] = []
    for item in sorted(missed, key=lambda item: -len(item.nodes)):
        inside = {id(node) for node in item.nodes}
        if not inside <= gone and (item.spikes or inner.isdisjoint(inside)):
            kept.append(item)
            gone |= inside
    return kept


def _told(cutter: Cutter, cut: Cut, look: Alike) -> Told | str:
    """Return the neuron that a cut is, or what it lacks."""
    furthest = (0, REASONS[0])
    for leave in _WAYS:
        fitting: list[Told] = []
        for states in _choices(cut.states):
            if leave == "stateless" and len(states) < len(cut.states):
                continue  # what another input goes through before may be what makes it a state
            part = _trimmed(cutter, _left(cutter, cut, leave, states), states)
            found = (1, part) if isinstance(part, str) else _probed(cutter, part, look)
            if isinstance(found, Told):
                fitting.append(found)
            else:
                furthest = max(furthest, found)
        # Where an input comes from outside as a state does, the one that leaks is the state.
        # Where it meets its inputs in turn, it does so first, before spikes that are fed back.
        plain = [item for item in fitting if not item.is_scaled]
        turning = [item for item in plain if not item.adds_first]
        if len(fitting) == 1:
            return fitting[0]
        for some in (plain, turning):
            if len(some) == 1:
                return replace(some[0], among=cut.states)
        if fitting:
            return "any of its inputs may be the state"
    return furthest[1]


def _left(cutter: Cutter, cut: Cut, leave: str, states: Sequence[str]) -> Cut:
    if leave == "stateless":
        return cutter.stateful(cut, states)
    return cutter.unscaled(cut, states) if leave == "factors" else cut


def _choices(states: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for count in (1, 2):
        yield from itertools.combinations(states, count)


def _probed(cutter: Cutter, part: Part, look: Alike) -> Told | tuple[int, str]:
    found = look(part, cutter.outputs)
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
        if part.dtype.name not in _WIDTHS:
            return (
                f"it computes in {part.dtype.name}; the simulator does in {' and '.join(_WIDTHS)}"
            )
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
        made = part.few.run(part.few.random(256))
    except (TypeError, ValueError, KeyError, IndexError, OverflowError):
        return
    for name, x in made.items():
        if not gain_of(x):
            yield name
