"""What a model says of its tensors, for viewers and for people who change them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from snnbridge import UNKNOWN, SNNCheckpoint
from snnbridge.model import Array, Layer, Parameter, Path, Subgraph
from snnbridge.storage import blocks, dump_json
from snnbridge_plugins.onnx.file.schema import DOMAIN, Message

#: What the numbers are that a step computes with, where they are derived of what a source states.
_MEANINGS: Mapping[str, str] = {
    "leak": "what the form multiplies or divides by: the decay of a step, or its complement",
    "leak_rise": "the same of the second state",
    "tau": "time constant, or dt / tau where the form multiplies by that",
    "tau_rise": "the same of the second state",
    "gain": "factor on what arrives",
    "rest": "what the membrane potential leaks to",
    "constant": "what is added in each step",
    "threshold": "potential at which a neuron spikes",
    "amount": "what a spike subtracts",
    "reset": "potential after a spike",
    "floor": "least potential",
    "hold": "refractory period",
    "tick": "time step in float32, in the unit of the refractory period",
    "output_gain": "factor on what is handed on",
    "taps": "the elements that each window sees; one behind the last is a zero",
    "counts": "what the sum over each window is divided by",
    "places": "the step of the past that each element is taken from",
}


def meaning(layer: str, name: str) -> str:
    """Say what an array is that the graph computes with, and that no document names."""
    return f"{_MEANINGS.get(name, name)}; derived for {layer!r}"


def entries(checkpoint: SNNCheckpoint, path: Path) -> list[Message]:
    """Return what a tensor's own metadata say of a parameter: path, unit, whether it is trained."""
    said = {"path": dump_json(list(path)).decode()}
    held = _parameter(checkpoint.layers, path)
    if held is not None and held.unit is not None:
        said["unit"] = held.unit
    if held is not None and held.trainable is not UNKNOWN:
        said["trainable"] = "yes" if held.trainable else "no"
    return [{"key": f"{DOMAIN}.{key}", "value": value} for key, value in said.items()]


def _parameter(layers: Mapping[str, Layer], path: Path) -> Parameter | None:
    """Return the parameter that a path of the document leads to, if it leads to one."""
    if len(path) < 3 or path[0] != "layers" or path[1] not in layers:
        return None
    layer, rest = layers[path[1]], path[2:]
    if isinstance(layer, Subgraph):
        return _parameter(layer.layers, rest)
    return layer.parameters.get(next((n for n in rest if n in layer.parameters), ""))


def ties(checkpoint: SNNCheckpoint) -> dict[int, Array]:
    """Return for the arrays of ties that hold the same bytes the first of them, by their ids."""
    found: dict[int, Array] = {}
    for tie in checkpoint.ties:
        first: dict[bytes, Array] = {}
        for layer, name in sorted(tie):
            value = checkpoint.layers[layer].parameters[name].value
            if value is not UNKNOWN:
                found[id(value)] = first.setdefault(_digest(value), value)
    return found


def _digest(array: Array) -> bytes:
    sha256 = hashlib.sha256()
    for piece in blocks(array):
        sha256.update(piece)
    return sha256.digest()
