"""From a document, which may come from a stranger, to its checkpoint."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from snnbridge.document.arrays import checked, dtype_of
from snnbridge.document.writing import SCHEMA
from snnbridge.errors import ReadError, SNNBridgeError
from snnbridge.model import (
    KINDS,
    PER_STEP,
    UNKNOWN,
    Array,
    Connection,
    Layer,
    NeuronRule,
    Origin,
    Parameter,
    Path,
    Quantity,
    SNNCheckpoint,
    StateVariable,
    SynapseRule,
)
from snnbridge.model.layers.base import field_names
from snnbridge.model.rules import switches
from snnbridge.storage import view
from snnbridge.storage.arrays import little

Fetch = Callable[[Any], Array]


def from_document(document: Any, fetch: Fetch) -> SNNCheckpoint:
    """Read what :func:`to_document` wrote.

    Parameters
    ----------
    document : JSON value
        May come from a stranger.
    fetch : function of a place
        Returns the array that is kept there; raises :class:`ReadError` if there is none.

    Returns
    -------
    SNNCheckpoint
        Its arrays are those that `fetch` gave.

    Raises
    ------
    ReadError
        If the document is no such document, or of a later schema.
    CheckpointError
        If it breaks the rules of the model.

    Examples
    --------
    >>> from snnbridge.document import from_inline, inline, to_document
    >>> document = to_document(SNNCheckpoint(), lambda path, array: inline(array))
    >>> from_document(document, from_inline)
    SNNCheckpoint: 0 layers, 0 weights
      connections: UNKNOWN, dt: UNKNOWN
    """
    try:
        return _read(document, _Decoder(fetch))
    except SNNBridgeError:
        raise
    except RecursionError as error:
        raise ReadError("the document is nested too deeply") from error
    except (TypeError, AttributeError, LookupError, OverflowError, ValueError) as error:
        raise ReadError(f"the document is damaged: {error}") from error


def _read(document: Any, decode: _Decoder) -> SNNCheckpoint:
    found = decode.members(document, "the document")
    if found.get("schema") != SCHEMA:
        raise ReadError(
            f"the document has schema {found.get('schema')!r}; this version reads {SCHEMA}; "
            "update snnbridge"
        )
    missing = [name for name in _REQUIRED if name not in found]
    if missing:
        raise ReadError(f"the document lacks {missing[0]!r}")
    return SNNCheckpoint(
        layers=[decode.layer(x) for x in decode.items(found["layers"], "layers")],
        connections=decode.connections(found["connections"]),
        dt=decode.tree(found["dt"]),
        training=decode.tree(decode.members(found["training"], "training")),
        state=decode.states(found["state"]),
        step=decode.tree(found["step"]),
        metadata=decode.tree(decode.members(found["metadata"], "metadata")),
        frozen_layers=decode.items(found["frozen_layers"], "frozen_layers"),
        ties=decode.items(found["ties"], "ties"),
        extras=decode.tree(decode.members(found["extras"], "extras")),
        provenance=decode.tree(decode.items(found["provenance"], "provenance")),
    )


_REQUIRED = (
    "layers", "connections", "dt", "training", "state", "step", "metadata", "frozen_layers",
    "ties", "extras", "provenance",
)  # fmt: skip


class _Decoder:
    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch

    def members(self, value: Any, what: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ReadError(f"{what} must be a JSON object, found {type(value).__name__}")
        return value

    def items(self, value: Any, what: str) -> list[Any]:
        if not isinstance(value, list):
            raise ReadError(f"{what} must be a JSON list, found {type(value).__name__}")
        return value

    def layer(self, value: Any) -> Layer:
        found = dict(self.members(value, "a layer"))
        kind = KINDS.get(str(found.pop("kind", None)))
        if kind is None:
            raise ReadError(f"layer {found.get('name')!r} is of no known kind")
        known = field_names(kind)
        unknown = [name for name in found if name not in known]
        if unknown:
            raise ReadError(f"layer {found.get('name')!r} ({kind.__name__}) has {unknown[0]!r}")
        try:
            return kind(**{k: self._field(kind, k, v) for k, v in found.items()})
        except TypeError as error:
            raise ReadError(f"layer {found.get('name')!r} is damaged: {error}") from error

    def _field(self, kind: type[Layer], name: str, value: Any) -> Any:
        if name == "name":
            return value
        if name == "parameters":
            found = self.members(value, "parameters")
            return {_unescape(k): self._parameter(v) for k, v in found.items()}
        if name == "layers":
            return [self.layer(x) for x in self.items(value, "layers")]
        if name == "connections":
            return self.connections(value)
        if name == "rule":
            return self._rule(_rule_of(kind), self.members(value, "a rule"))
        if name == "origin":
            return self._origin(value)
        if isinstance(value, dict) and set(value) == {"$parameter"}:
            return self._parameter(value["$parameter"])
        return _as_tuples(self.tree(value)) if name != "settings" else self.tree(value)

    def _origin(self, value: Any) -> Origin:
        parts = self.items(value, "an origin")
        if len(parts) != 3:
            raise ReadError(f"an origin must be framework, kind and version, found {parts!r}")
        return Origin(parts[0], parts[1], self.tree(parts[2]))

    def _parameter(self, value: Any) -> Parameter:
        found = self.members(value, "a parameter")
        held = self.tree(found["value"]) if "value" in found else UNKNOWN
        if not isinstance(held, np.ndarray) and held is not UNKNOWN:
            raise ReadError(f"a parameter's value must be an array, found {held!r}")
        return Parameter(held, found.get("unit"), found.get("trainable", UNKNOWN))

    def _rule(self, kind: type, found: dict[str, Any]) -> Any:
        choices = switches(kind)
        stated: dict[str, Any] = {}
        for name, value in found.items():
            if name not in choices:
                raise ReadError(f"a {kind.__name__} has no switch {name!r}")
            enumeration = choices[name]
            try:
                stated[name] = enumeration(value) if enumeration else value
            except ValueError as error:
                raise ReadError(f"{name!r} of a {kind.__name__}: {error}") from error
        return kind(**stated)

    def connections(self, value: Any) -> Any:
        if not isinstance(value, list):
            return self.tree(value)
        return tuple(self._connection(x) for x in value)

    def _connection(self, value: Any) -> Connection:
        parts = self.items(value, "a connection")
        if len(parts) != 5:
            raise ReadError(f"a connection must have five parts, found {parts!r}")
        return Connection(parts[0], parts[1], self.tree(parts[2]), parts[3], parts[4])

    def states(self, value: Any) -> dict[Path, StateVariable]:
        states: dict[Path, StateVariable] = {}
        for one in self.items(value, "state"):
            path, variable = self._state(one)
            if path in states:
                raise ReadError(f"the state {path!r} stands twice")
            states[path] = variable
        return states

    def _state(self, value: Any) -> tuple[Path, StateVariable]:
        found = self.members(value, "a state")
        try:
            path, held, axis = found["path"], found["value"], found["batch_axis"]
        except KeyError as error:
            raise ReadError(f"a state lacks {error}") from error
        where = tuple(self.items(path, "a state's path"))
        return where, StateVariable(self.tree(held), self.tree(axis))

    def tree(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self.tree(x) for x in node]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((key, value),) = node.items()
            if key.startswith("$") and not key.startswith("$$"):
                return self._tagged(key, value)
        return {_unescape(k): self.tree(v) for k, v in node.items()}

    def _tagged(self, tag: str, value: Any) -> Any:  # one line per tag
        try:
            if tag == "$array":
                return self._fetch(value)
            if tag == "$scalar":
                return _scalar(dtype_of(value[0]), bytes.fromhex(value[1]))
            if tag == "$float":
                return struct.unpack(">d", bytes.fromhex(value))[0]
            if tag == "$complex":
                return complex(*struct.unpack(">dd", bytes.fromhex(value)))
            if tag == "$bytes":
                return base64.b64decode(value, validate=True)
            if tag == "$quantity":
                return Quantity(self.tree(value[0]), value[1])
        except (ValueError, TypeError, IndexError, KeyError, struct.error) as error:
            if isinstance(error, ReadError):
                raise
            raise ReadError(f"a value tagged {tag} is damaged: {error}") from error
        if tag == "$unknown":
            return UNKNOWN
        if tag == "$per_step":
            return PER_STEP
        raise ReadError(f"a value has the unknown tag {tag!r}")


def _scalar(dtype: np.dtype[Any], data: bytes) -> Any:
    if len(data) != dtype.itemsize:
        raise ReadError(f"a scalar of dtype {dtype} has {len(data)} bytes")
    return checked(view(data, little(dtype), (), where="a scalar"), "a scalar")[()]


def _unescape(key: str) -> str:
    return key[1:] if key.startswith("$$") else key


def _as_tuples(value: Any) -> Any:
    return tuple(_as_tuples(x) for x in value) if isinstance(value, list) else value


def _rule_of(kind: type[Layer]) -> type:
    return SynapseRule if kind is KINDS["Synapse"] else NeuronRule
