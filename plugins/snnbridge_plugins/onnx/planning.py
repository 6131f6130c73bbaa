"""What is said before a model is written: what cannot be, and what it will compute otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from snnbridge import Entry, Options, SNNCheckpoint, Status, UnknownValue, WriteError
from snnbridge.model import (
    UNKNOWN,
    Conv1d,
    Conv2d,
    Flatten,
    Layer,
    Linear,
    Neuron,
    Opaque,
    Subgraph,
)
from snnbridge.simulator import missing_values, refuse_unknown
from snnbridge.simulator.engines import prepared, width_of
from snnbridge_plugins.onnx.graph.states import samples

#: Where the path of a line begins that says what the engine computes otherwise than the simulator.
_ENGINE = ("engine",)


def checked(checkpoint: SNNCheckpoint, options: Options) -> list[Entry]:
    """Refuse what no model can be made of, and name what a run computes otherwise.

    Raises
    ------
    WriteError
        For layers that standard operators do not compute: they cannot be left out either.
    UnknownValue
        Listing what the checkpoint does not state and its rules need.
    """
    reasons = list(_beyond_operators(checkpoint.layers))
    if reasons:
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        raise WriteError(
            f"nothing was written: an .onnx file runs, and {reasons[0]}{more}; standard operators "
            "do not compute it, and it cannot be left out"
        )
    if not checkpoint.layers:
        return []
    _refuse_unknown(checkpoint)
    told = [] if options.get("sums", "float64") == "float64" else _of_sums(checkpoint)
    return [*told, *(_of_states(checkpoint) if options.get("state") == "kept" else ())]


def _beyond_operators(layers: Mapping[str, Layer], prefix: str = "") -> Iterator[str]:
    for name, layer in layers.items():
        if isinstance(layer, Subgraph):
            yield from _beyond_operators(layer.layers, f"{prefix}{name}/")
        elif isinstance(layer, Opaque):
            kind = f" ({layer.origin.kind})" if layer.origin is not None else ""
            yield f"layer {prefix + name!r}{kind} is one of unknown kinds"
        elif isinstance(layer, Neuron) and layer.model != "lif":
            yield f"layer {prefix + name!r} is a neuron of a plugin's kind, {layer.model!r}"


def _refuse_unknown(checkpoint: SNNCheckpoint) -> None:
    missing, orders = missing_values(checkpoint), list(_orders(checkpoint.layers))
    try:
        refuse_unknown([*missing, *orders] if missing else [])
        if orders:
            prepared(checkpoint)  # whether they matter the shapes say
    except UnknownValue as error:
        found = str(error).removeprefix("a simulation needs ")
        path = checkpoint.source.path if checkpoint.source is not None else ""
        where = f"{path}: " if path else ""
        advice = f"; `snnbridge spec {path}` writes one to fill in" if path else ""
        told = f"{where}an .onnx file runs, so it needs {found}{advice}"
        raise UnknownValue(told, error.missing) from error


def _orders(layers: Mapping[str, Layer], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, layer in layers.items():
        if isinstance(layer, Subgraph):
            yield from _orders(layer.layers, f"{prefix}{name}/")
        elif isinstance(layer, Flatten) and layer.order is UNKNOWN:
            yield prefix + name, "order"


def _of_sums(checkpoint: SNNCheckpoint) -> list[Entry]:
    network = prepared(checkpoint)
    if width_of(network).name == "float64":
        reason = "the network computes in float64, and so do its sums, whatever `sums` says"
        return [Entry(Status.EXACT, _ENGINE, "weighted sums", reason)]
    reason = (
        "sums in float32 depend on their order, which each engine chooses: a spike may differ "
        "where a potential comes close to the threshold"
    )
    return [
        Entry(Status.ROUNDED, (*_ENGINE, name), f"sums of {name!r}", reason)
        for name in _summing(network.layers)
    ]


def _of_states(checkpoint: SNNCheckpoint) -> Iterator[Entry]:
    count = max(map(samples, checkpoint.state.values()), default=1)
    if count > 1:
        reason = f"for inputs of {count} samples, unless a run is given other starts"
        yield Entry(Status.EXACT, (*_ENGINE, "state"), f"states of {count} samples", reason)


def _summing(layers: Mapping[str, Layer]) -> Iterable[str]:
    return (name for name, x in layers.items() if isinstance(x, Linear | Conv1d | Conv2d))
