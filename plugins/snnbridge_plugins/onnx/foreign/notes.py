"""What a reader of another tool's graph should know: what was told of it, and what was not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from snnbridge import Input, Layer, Opaque
from snnbridge_plugins.onnx.foreign.bundles import ARITHMETIC
from snnbridge_plugins.onnx.foreign.operators import MAKERS
from snnbridge_plugins.onnx.foreign.prepared import Prepared
from snnbridge_plugins.onnx.foreign.recognising import COMPARING, Missed, Told
from snnbridge_plugins.onnx.foreign.titles import module_of

_SAID = 16


def notes_on(
    layers: Mapping[str, Layer],
    weights: Sequence[str],
    graph: Prepared,
) -> tuple[str, ...]:
    """Return one sentence for each thing.

    Parameters
    ----------
    layers : mapping of str to Layer
    weights : sequence of str
        The tensors of its matrices and kernels, once for each use.
    graph : Prepared
    """
    looked = [item for item in graph.missed if item.spikes or len(graph.inputs) > 1]
    notes = [*_notes_on_told(graph.told), *map(_note_on, looked[:_SAID])]
    if len(looked) > _SAID:
        notes.append(f"the same of {len(looked) - _SAID} more")
    if not graph.is_whole:
        notes.append("there is more arithmetic with states, which was not looked at")
    notes += _notes_on_opaque(layers)
    kinds = set(_kinds(layers))
    baked = not any(item.spikes for item in graph.missed)
    if baked and graph.is_spiking() and {*COMPARING, ARITHMETIC} & kinds:
        notes.append(_note_on_states(layers, weights, bool(graph.told)))
    if ARITHMETIC in kinds:
        notes.append(_note_on_bundles(layers))
    return tuple(notes)


def _kinds(layers: Mapping[str, Layer]) -> list[str]:
    """Return the operators that became no other layers, each as often as it stands there."""
    return [x.origin.kind for x in layers.values() if isinstance(x, Opaque) and x.origin]


def _notes_on_opaque(layers: Mapping[str, Layer]) -> Iterator[str]:
    kinds = [kind for kind in _kinds(layers) if kind != ARITHMETIC]
    if kinds:
        said = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
        yield f"kept without knowing what they do: {said}"
    odd = [kind for _, kind in MAKERS if kind in kinds]
    if odd:
        yield (
            f"among them {', '.join(odd)} in a form that no layer has: weights that are computed "
            "or stand on the left, a factor, or a setting of its own"
        )


def _note_on_bundles(layers: Mapping[str, Layer]) -> str:
    names = [n for n, x in layers.items() if x.origin and x.origin.kind == ARITHMETIC]
    said = ", ".join(map(repr, names[:_SAID]))
    return (
        f"the arithmetic that makes spikes is one layer each: {said}; a spec file can state its "
        "class, or export one step with the states as inputs and outputs"
    )


def _notes_on_told(told: Sequence[Told]) -> list[str]:
    notes = []
    if told:
        count = f"{len(told)} layers" if len(told) > 1 else "one layer"
        notes.append(
            f"neurons told by what their arithmetic makes of probes, {count}: every spike and "
            "state is that of one rule, bit for bit; where a run starts the graph does not say"
        )
    if any(item.found.bounded for item in told):
        notes.append(
            "some of them only for potentials up to the threshold, beyond which no run from rest "
            "comes"
        )
    for item in told[:_SAID]:
        if item.among:
            states, other = ", ".join(map(repr, item.part.states)), ", ".join(map(repr, item.among))
            notes.append(
                f"of {other}, which all come from outside, {states} leaks and was taken as the "
                f"state of {item.name!r}"
            )
        if item.rounded:
            notes.append(
                f"constants of {item.name!r} are exponentials that the graph computes as it runs: "
                "rounded once here, while engines differ in their last bit"
            )
    return notes


def _note_on(item: Missed) -> str:
    where = module_of(item.nodes) or item.nodes[0].get("output", ["?"])[0]
    states = ", ".join(map(repr, item.states))
    if not item.spikes:
        return (
            f"the arithmetic at {where!r}, which takes {states}, makes no spikes: nothing shows "
            "whether that is the state of a readout; if so, state it in a spec file"
        )
    return (
        f"the arithmetic at {where!r}, which takes {states}, is not told as a neuron: {item.reason}"
    )


def _note_on_states(layers: Mapping[str, Layer], weights: Sequence[str], some: bool) -> str:
    times = _steps(weights)
    if times > 1:
        return (
            f"comparisons make spikes, and each matrix is used {times} times: {times} steps are "
            "unrolled, from a state that was baked in; no neuron is made of it: export one step, "
            "with the states as inputs and outputs"
        )
    if some or sum(type(x) is Input for x in layers.values()) > 1:
        return "other comparisons depend on no state that goes in and out"
    return (
        "comparisons make spikes, but no state goes in or out: it was baked in, and the graph is "
        "one step from rest, or some steps of it; no neuron is made of it"
    )


def _steps(weights: Sequence[str]) -> int:
    """Return how often the matrices of a graph are used, if each is as often as the others."""
    times = set(Counter(weights).values())
    return times.pop() if len(times) == 1 else 1
