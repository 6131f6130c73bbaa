"""From a checkpoint to its document."""

from __future__ import annotations

import base64
import enum
import struct
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from snnbridge.document.arrays import dtype_name
from snnbridge.errors import CheckpointError
from snnbridge.model import (
    PER_STEP,
    UNKNOWN,
    Array,
    Layer,
    NeuronRule,
    Origin,
    Parameter,
    Path,
    Quantity,
    SNNCheckpoint,
    SynapseRule,
    Tree,
)
from snnbridge.model.layers.base import field_names
from snnbridge.storage import array_bytes

#: The version of the document's layout; a reader refuses a later one.
SCHEMA = 1

Place = Callable[[Path, Array], Any]


def to_document(checkpoint: SNNCheckpoint, place: Place) -> dict[str, Any]:
    """Write a checkpoint as JSON values.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    place : function of (path, array)
        Called once for each array with the path that :func:`snnbridge.differences` gives it;
        returns a JSON value that says where the array is kept, for example a member's name, or
        what :func:`inline` returns.

    Returns
    -------
    dict
        JSON values only; no NaN, no infinity.

    Raises
    ------
    CheckpointError
        If it was changed into what is no checkpoint; see :meth:`SNNCheckpoint.validate`.

    Examples
    --------
    >>> from snnbridge import Linear, SNNCheckpoint
    >>> import numpy as np
    >>> arrays = {}
    >>> def place(path, array):
    ...     arrays["/".join(path)] = array
    ...     return "/".join(path)
    >>> document = to_document(SNNCheckpoint([Linear("fc", np.eye(2))]), place)
    >>> document["layers"][0]["weight"]["$parameter"]["value"]
    {'$array': 'layers/fc/weight'}
    """
    encode = _Encoder(place)
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "layers": [encode.layer(x, ("layers", x.name)) for x in checkpoint.layers.values()],
        "connections": encode.connections(checkpoint.connections),
        "dt": encode.plain(checkpoint.dt),
        "state": [
            {
                "path": list(path),
                "value": encode.array(("state", *path), variable.value),
                "batch_axis": encode.plain(variable.batch_axis),
            }
            for path, variable in checkpoint.state.items()
        ],
        "step": encode.plain(checkpoint.step),
        "frozen_layers": list(checkpoint.frozen_layers),
        "ties": [sorted(list(path) for path in tie) for tie in checkpoint.ties],
    }
    for name in ("training", "metadata", "extras", "provenance"):
        document[name] = encode.tree(getattr(checkpoint, name), (name,))
    return document


class _Encoder:
    def __init__(self, place: Place) -> None:
        self._place = place

    def layer(self, layer: Layer, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {"kind": layer.kind}
        for name in field_names(type(layer)):
            value = getattr(layer, name)
            if value is not None:
                found[name] = self._field(name, value, path)
        return found

    def array(self, path: Path, array: Array) -> dict[str, Any]:
        return {"$array": self._place(path, array)}

    def _field(self, name: str, value: Any, path: Path) -> Any:
        if isinstance(value, Parameter):
            return {"$parameter": self._parameter(value, (*path, name))}
        if name == "parameters":
            return {_escape(k): self._parameter(v, (*path, k)) for k, v in value.items()}
        if name == "layers":
            return [self.layer(x, (*path, "layers", x.name)) for x in value.values()]
        if name == "connections":
            return self.connections(value)
        if isinstance(value, NeuronRule | SynapseRule):
            return self._rule(value)
        if isinstance(value, Origin):
            return [value.framework, value.kind, self.plain(value.version)]
        return self.tree(value, (*path, name))

    def _parameter(self, held: Parameter, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if held.value is not UNKNOWN:
            found["value"] = self.array(path, held.value)
        if held.unit is not None:
            found["unit"] = held.unit
        if held.trainable is not UNKNOWN:
            found["trainable"] = held.trainable
        return found

    def _rule(self, rule: NeuronRule | SynapseRule) -> dict[str, Any]:
        stated = ((f.name, getattr(rule, f.name)) for f in fields(rule))
        return {
            name: value.value if isinstance(value, enum.Enum) else value
            for name, value in stated
            if value is not UNKNOWN
        }

    def connections(self, connections: Any) -> Any:
        if connections is UNKNOWN:
            return self.plain(UNKNOWN)
        return [
            [c.source, c.target, self.plain(c.delay), c.source_port, c.target_port]
            for c in connections
        ]

    def plain(self, value: Any) -> Any:
        return self.tree(value, ())

    def tree(self, node: Tree, path: Path) -> Any:  # one line per type
        if node is None or (
            isinstance(node, bool | str | int) and not isinstance(node, np.generic)
        ):
            return node
        if node is UNKNOWN:
            return {"$unknown": True}
        if node is PER_STEP:
            return {"$per_step": True}
        if isinstance(node, Mapping):
            return {_escape(k): self.tree(v, (*path, k)) for k, v in node.items()}
        if isinstance(node, list | tuple):
            return [self.tree(v, (*path, str(i))) for i, v in enumerate(node)]
        if isinstance(node, np.ndarray):
            return self.array(path, node)
        return self._leaf(node, path)

    def _leaf(self, node: Tree, path: Path) -> Any:
        if isinstance(node, np.generic):
            bits = array_bytes(np.asarray(node)).hex()
            return {"$scalar": [dtype_name(node.dtype), bits]}
        if isinstance(node, float):
            return node if np.isfinite(node) else {"$float": struct.pack(">d", node).hex()}
        if isinstance(node, complex):
            return {"$complex": struct.pack(">dd", node.real, node.imag).hex()}
        if isinstance(node, bytes):
            return {"$bytes": base64.b64encode(node).decode("ascii")}
        if isinstance(node, Quantity):
            return {"$quantity": [self._leaf(node.value, path), node.unit]}
        raise CheckpointError(f"{'/'.join(path)} holds {type(node).__name__}, which is no value")


def _escape(key: str) -> str:
    return "$" + key if key.startswith("$") else key
