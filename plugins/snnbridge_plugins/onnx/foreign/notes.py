"""What a reader of another tool's graph should know: what was told of it, and what was not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from snnbridge import Input, Layer, Opaque
from snnbridge_plugins.onnx.foreign.graph.titles import module_of
from snnbridge_plugins.onnx.foreign.neurons.bundles import ARITHMETIC
from snnbridge_plugins.onnx.foreign.neurons.recognising import COMPARING, Missed, Told
from snnbridge_plugins.onnx.foreign.outside import notes_on_inputs
from snnbridge_plugins.onnx.foreign.prepared import Prepared

_SAID = 16
#: What keeps operators that may be layers from being some.
_ODD = {
    "weights that are computed or stand on the left, a factor, or a setting of its own": (
        "Gemm", "MatMul", "Conv", "BatchNormalization", "SC_Dense",
    ),
    "a window that is dilated, that ends beyond its input, or that covers an image whose size the "
    "graph does not say": (
        "MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool", "ReduceMean",
    ),
    "it does not join axes after the batch, or the graph does not say the shape that it takes": (
        "Flatten", "Reshape",
    ),
}  # fmt: skip

_GONE = (
    "snnbridge wrote this model, and a tool took its description away, the metadata entry "
    "'org.snnbridge.checkpoint': what its graph still says is read, without times, classes, and "
    "the settings of windows; read the file that it was made of, or keep the metadata"
)


def notes_on(
    layers: Mapping[str, Layer],
    weights: Sequence[str],
    graph: Prepared,
    sums: Mapping[str, Sequence[str]],
) -> tuple[str, ...]:
    """Return one sentence for each thing.

    Parameters
    ----------
    layers : mapping of str to Layer
    weights : sequence of str
        The tensors of its matrices and kernels, once for each use.
    graph : Prepared
    sums : mapping of str to sequence of str
        The additions that stay operators, by the reason.
    """
    looked = [item for item in graph.missed if item.spikes or len(graph.inputs) > 1]
    notes = [*_notes_on_told(graph.told), *map(_note_on, looked[:_SAID])]
    if len(looked) > _SAID:
        notes.append(f"the same of {len(looked) - _SAID} more")
    if not graph.is_whole:
        notes.append("there is more arithmetic with states, which was not looked at")
    notes += [*_notes_on_opaque(layers), *_notes_on_sums(sums), *_notes_on_shapes(graph)]
    notes += notes_on_inputs(graph)
    if graph.own or graph.is_ours:
        notes.append(_GONE)
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
    for reason, concerned in _ODD.items():
        odd = [kind for kind in concerned if kind in kinds]
        if odd:
            yield f"among them {', '.join(odd)} in a form that no layer has: {reason}"
    if "Concat" in kinds:
        yield (
            "no layer joins outputs side by side, as Concat does: split the matrix behind it into "
            "one for each part, whose results are added"
        )


def _notes_on_sums(sums: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for reason, values in sums.items():
        said = ", ".join(map(repr, values[:_SAID]))
        more = f" and {len(values) - _SAID} more" if len(values) > _SAID else ""
        yield f"the addition that makes {said}{more} stays an operator: {reason}"


def _notes_on_shapes(graph: Prepared) -> Iterator[str]:
    ends = [value.get("name", "") for value in graph.outputs]
    names = [n for n in (*graph.inputs, *ends) if graph.shapes.batches(n) > 1]
    if names:
        said = ", ".join(map(repr, names[:_SAID]))
        yield (
            f"a matrix takes the last axis alone of {said}, and those before it may be the batch, "
            "time or places: the shape stays open; a spec file can state it"
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
        reach = min(item.found.reach for item in told)
        notes.append(
            f"neurons told by what their arithmetic makes of probes, {count}: every spike and "
            f"state is that of one rule, bit for bit, for inputs and states of up to {reach:.0e}; "
            "where a run starts the graph does not say"
        )
    if any(item.found.bounded for item in told):
        notes.append(
            "some of them only for potentials up to the threshold, beyond which no run from rest "
            "comes"
        )
    for item in told[:_SAID]:
        if item.among:
            single = len(item.part.states) == 1
            taken = "leaks and was taken as the state" if single else "were taken as the states"
            states, other = ", ".join(map(repr, item.part.states)), ", ".join(map(repr, item.among))
            notes.append(
                f"of {other}, which all come from outside, {states} {taken} of {item.name!r}"
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
            "whether that is the state of a readout; if so, connect a readout in Python"
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
