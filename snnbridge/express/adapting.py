"""What is moved to a neuron's weights, so that a class which does less still computes its step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TypeAlias

import numpy as np

from snnbridge.express.demands import Refused, need, once
from snnbridge.express.graph import Loop
from snnbridge.express.step import Step
from snnbridge.model import Array, Layer, Linear, Scale, Shape
from snnbridge.rewrites.folding import with_values
from snnbridge.rewrites.parts import known


@dataclass(frozen=True, slots=True)
class Adapted:
    """The step that a class is asked to compute, and what makes up for the rest.

    Parameters
    ----------
    step : Step
    loop : Loop, optional
        The weights from the neuron to itself.
    feedback : bool
        Whether those make up for what a spike subtracts.
    bias : numpy.ndarray, optional
        What the weights before the neuron add.
    scale : numpy.ndarray, optional
        What the weights before the neuron are multiplied by.
    lost : str
        What the class does not do.
    """

    step: Step
    loop: Loop | None
    feedback: bool = False
    bias: Array | None = None
    scale: Array | None = None
    lost: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """What a target makes of a neuron and the synapse before it.

    Parameters
    ----------
    layers : tuple of Layer
        The neuron last; what was given, if it is one of the target's already.
    called : str
        What people call it.
    form : Adapted, optional
        What was asked of it, and what else has to change.
    """

    layers: tuple[Layer, ...]
    called: str = ""
    form: Adapted | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """The neuron that is adapted.

    Parameters
    ----------
    name : str
    shape : tuple of int
    loops : set of types of Layer
        The weights that a target's neurons can have back to themselves.
    feedback : function of a Step, optional
        See :class:`~snnbridge.express.classes.Classes`.
    """

    name: str
    shape: Shape
    loops: frozenset[type[Layer]]
    feedback: Callable[[Step], Array] | None


#: Refuses what it does not help.
Adaptation: TypeAlias = Callable[[Adapted, Place], Adapted]


def adapted(step: Step, loop: Loop | None, place: Place) -> Iterator[Adapted]:
    """Give the forms of a step: those that lose nothing, then those of which least is changed."""
    for chosen in _WAYS:
        form = Adapted(step, loop)
        try:
            for adaptation in chosen:
                form = adaptation(form, place)
        except Refused:
            continue
        yield form


def _as_matrix(form: Adapted, place: Place) -> Adapted:
    """Feed factors back as a matrix that has nothing but a diagonal."""
    loop = form.loop
    need(loop is not None and isinstance(loop.layer, Scale), "feeds a factor back")
    assert loop is not None
    factor = known(loop.layer, "factor")
    if factor is None:
        raise Refused("its factor is known")
    return replace(form, loop=replace(loop, layer=_diagonal(loop.layer.name, factor, place)))


def _without_bias(form: Adapted, place: Place) -> Adapted:
    """Leave the bias of recurrent weights, which acts at every step, to those before."""
    loop = form.loop
    need(loop is not None and loop.biased and not loop.waits, "feeds a bias back from the start")
    assert loop is not None
    bias = known(loop.layer, "bias") if isinstance(loop.layer, Linear) else None
    if bias is None:
        raise Refused("its bias is known")
    bare = replace(loop, layer=replace(loop.layer, bias=None))  # type: ignore[call-arg]
    return replace(form, loop=bare, bias=bias)


def _without_constant(form: Adapted, place: Place) -> Adapted:
    """Leave what drives a neuron at every step to the bias of the weights before."""
    step = form.step
    need(step.current is None and np.any(step.constant != 0), "is driven at every step")
    more = step.constant / step.gain
    bias = more if form.bias is None else form.bias + more
    return replace(form, step=replace(step, constant=np.zeros_like(step.constant)), bias=bias)


def _counted_once(form: Adapted, place: Place) -> Adapted:
    """Have a readout count its input once."""
    return _rescaled(form, np.ones_like(form.step.gain))


def _counted_by_leak(form: Adapted, place: Place) -> Adapted:
    """Have a readout count its input 1 - decay times."""
    need(form.step.leak > 0, "leaks")
    return _rescaled(form, form.step.leak)


def _rescaled(form: Adapted, gain: Array) -> Adapted:
    need(form.step.rule.spiking is not True, "shows its potential")
    need(form.scale is None and np.any(form.step.gain != gain), "counts its input otherwise")
    return replace(form, step=replace(form.step, gain=gain), scale=form.step.gain / gain)


def _at_most_one(form: Adapted, place: Place) -> Adapted:
    """Spike once where several spikes are due."""
    rule = form.step.rule
    need(rule.spiking is True and rule.max_spikes != 1, "may spike several times in a step")
    single = replace(form.step, rule=replace(rule, max_spikes=1))
    return _losing(form, single, "it spikes at most once in a step, not several times")


def _without_floor(form: Adapted, place: Place) -> Adapted:
    """Let a potential fall as low as it will."""
    floor = form.step.floor
    need(np.isfinite(floor), "has a lower bound of its potential")
    bounds = " to ".join(f"{bound:.6g}" for bound in dict.fromkeys((floor.min(), floor.max())))
    free = replace(form.step, floor=np.full_like(floor, -np.inf))
    return _losing(form, free, f"its potential has no lower bound, where the source's is {bounds}")


def _losing(form: Adapted, step: Step, what: str) -> Adapted:
    return replace(form, step=step, lost=f"{form.lost}; {what}" if form.lost else what)


def _fed_back(form: Adapted, place: Place) -> Adapted:
    """Feed each spike back to its own neuron, whose class subtracts another amount."""
    need(place.feedback is not None and form.step.current is None, "takes its input at once")
    assert place.feedback is not None
    weights = place.feedback(form.step)
    loop = _with(form.loop, weights, place)
    return replace(form, step=form.step.without(weights), loop=loop, feedback=True)


_ADAPTATIONS: tuple[Adaptation, ...] = (
    _as_matrix, _without_bias, _without_constant, _counted_once, _counted_by_leak, _at_most_one,
    _without_floor, _fed_back,
)  # fmt: skip
#: What may be changed together.
_WAYS = sorted(
    (way for n in range(len(_ADAPTATIONS) + 1) for way in combinations(_ADAPTATIONS, n)),
    key=lambda way: (_at_most_one in way) + (_without_floor in way),
)


def _with(loop: Loop | None, feedback: Array, place: Place) -> Loop:
    """Return the weights back to a neuron with some more from each spike to its own."""
    if loop is not None:
        return replace(loop, layer=_more(loop.layer, feedback))
    name = f"{place.name}.feedback"
    if Scale in place.loops:
        return Loop(Scale(name, once(feedback)), waits=False)
    return Loop(_diagonal(name, feedback, place), waits=False)


def _diagonal(name: str, factor: Array, place: Place) -> Linear:
    need(len(place.shape) == 1, "of a layer of one axis can feed something back to itself alone")
    return Linear(name, np.diag(np.broadcast_to(factor, place.shape).astype(np.float32)))


def _more(layer: Layer, feedback: Array) -> Layer:
    """Return recurrent weights with some more from each neuron to itself."""
    name = "factor" if isinstance(layer, Scale) else "weight"
    held = known(layer, name) if isinstance(layer, Scale | Linear) else None
    if held is None:
        raise Refused(f"adds nothing to what a {layer.kind} feeds back")
    if name == "factor":
        return with_values(layer, factor=once(held + feedback))
    each = np.broadcast_to(feedback, (len(held),))
    return with_values(layer, weight=(held.astype(np.float64) + np.diag(each)).astype(held.dtype))
