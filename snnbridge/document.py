"""A checkpoint as one JSON document and a list of arrays, lossless both ways.

A format whose own layout cannot say everything carries the document in a place that its
framework ignores, and its arrays wherever it likes: the plugin decides where each array goes and
notes the place in the document; when reading, it fetches the array from that place. What a
framework changes in its own arrays later is therefore seen, not shadowed.

Values that JSON lacks are objects whose one key starts with ``$``: ``$float`` (the bits of a
float that is not finite), ``$complex``, ``$bytes`` (base64), ``$scalar`` (a numpy scalar: dtype
and bits), ``$array`` (the place of an array), ``$parameter``, ``$quantity``, ``$unknown`` and
``$per_step``. A user's key that starts with ``$`` is written with one more.
"""

from __future__ import annotations

import base64
import enum
import struct
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from functools import cache
from typing import Any

import numpy as np

from snnbridge.errors import CheckpointError, ReadError, SNNBridgeError
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
    Tree,
)

#: The version of the document's layout; a reader refuses a later one.
SCHEMA = 1

Place = Callable[[Path, Array], Any]
Fetch = Callable[[Any], Array]


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
                "value": {"$array": place(("state", *path), variable.value)},
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


def from_document(document: Any, fetch: Fetch) -> SNNCheckpoint:
    """Read what :func:`to_document` wrote.

    Parameters
    ----------
    document : JSON value
        May come from a stranger.
    fetch : function of a place
        Returns the array that is kept there; raises :class:`ReadError` if there is none.

    Raises
    ------
    ReadError
        If the document is no such document, or of a later schema.
    CheckpointError
        If it breaks the rules of the model.
    """
    try:
        return _read(document, _Decoder(fetch))
    except (TypeError, AttributeError, KeyError, IndexError, OverflowError) as error:
        raise ReadError(f"the document is damaged: {error}") from error
    except ValueError as error:
        if isinstance(error, SNNBridgeError):
            raise
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
        state=dict(decode.state(x) for x in decode.items(found["state"], "state")),
        step=decode.tree(found["step"]),
        metadata=decode.tree(decode.members(found["metadata"], "metadata")),
        frozen_layers=decode.items(found["frozen_layers"], "frozen_layers"),
        ties=tuple(
            frozenset(tuple(path) for path in decode.items(tie, "ties"))
            for tie in decode.items(found["ties"], "ties")
        ),
        extras=decode.tree(decode.members(found["extras"], "extras")),
        provenance=decode.tree(found["provenance"]),
    )


_REQUIRED = (
    "layers", "connections", "dt", "training", "state", "step", "metadata", "frozen_layers",
    "ties", "extras", "provenance",
)  # fmt: skip


def inline(array: Array) -> dict[str, Any]:
    """Write an array as a JSON value: dtype, shape and base64 of its bytes in C order."""
    return {
        "dtype": dtype_name(array.dtype),
        "shape": list(array.shape),
        "data": base64.b64encode(_little_endian(array).tobytes()).decode("ascii"),
    }


def from_inline(value: Any) -> Array:
    """Read what :func:`inline` wrote, as a read-only array.

    Raises
    ------
    ReadError
        If dtype, shape and bytes do not fit each other.
    """
    try:
        dtype, shape = dtype_of(value["dtype"]), tuple(value["shape"])
        data = base64.b64decode(value["data"], validate=True)
        array = np.frombuffer(data, dtype)
        return array.reshape(shape)
    except (KeyError, TypeError, ValueError) as error:
        raise ReadError(f"an inline array is damaged: {error}") from error


def dtype_name(dtype: np.dtype[Any]) -> str:
    """Name a dtype so that :func:`dtype_of` gives it back; byte order is not part of it.

    Examples
    --------
    >>> import numpy as np
    >>> dtype_name(np.dtype(">f4")), dtype_name(np.dtype("U3"))
    ('float32', 'U3')
    """
    if dtype.kind in "US":
        return f"{dtype.kind}{dtype.itemsize // (4 if dtype.kind == 'U' else 1)}"
    return f"V{dtype.itemsize}" if dtype.type is np.void else dtype.name


@cache
def dtype_of(name: str) -> np.dtype[Any]:
    """Return the dtype of a name that :func:`dtype_name` gave.

    Raises
    ------
    ReadError
        If there is none, or if it holds objects or fields.
    """
    import ml_dtypes

    try:
        extension = getattr(ml_dtypes, name, None)
        dtype = np.dtype(extension if isinstance(extension, type) else name)
    except (TypeError, ValueError, SyntaxError, AttributeError) as error:
        raise ReadError(f"there is no dtype {name!r}") from error
    if dtype.hasobject or dtype.names or dtype.subdtype:
        raise ReadError(f"dtype {name!r} holds objects or fields")
    return dtype


def _little_endian(array: Array) -> Array:
    return array.astype(array.dtype.newbyteorder("<"), copy=False)


class _Encoder:
    def __init__(self, place: Place) -> None:
        self._place = place

    def layer(self, layer: Layer, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {"kind": layer.kind}
        for f in fields(layer):
            value = getattr(layer, f.name)
            if value is not None:
                found[f.name] = self._field(f.name, value, path)
        return found

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
            found["value"] = {"$array": self._place(path, held.value)}
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
            return {"$array": self._place(path, node)}
        return self._leaf(node, path)

    def _leaf(self, node: Tree, path: Path) -> Any:
        if isinstance(node, np.generic):
            bits = _little_endian(np.asarray(node)).tobytes().hex()
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
        known = {f.name for f in fields(kind)}
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

    def state(self, value: Any) -> tuple[Path, StateVariable]:
        found = self.members(value, "a state")
        try:
            path, held, axis = found["path"], found["value"], found["batch_axis"]
        except KeyError as error:
            raise ReadError(f"a state lacks {error}") from error
        return tuple(path), StateVariable(self.tree(held), self.tree(axis))

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
                return np.frombuffer(bytes.fromhex(value[1]), dtype_of(value[0]))[0]
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


def _unescape(key: str) -> str:
    return key[1:] if key.startswith("$$") else key


def _as_tuples(value: Any) -> Any:
    return tuple(_as_tuples(x) for x in value) if isinstance(value, list) else value


def _rule_of(kind: type[Layer]) -> type:
    return SynapseRule if kind is KINDS["Synapse"] else NeuronRule


def switches(kind: type) -> dict[str, type[enum.Enum] | None]:
    """Return each switch of a rule and the enumeration that its values belong to, if any."""
    return {
        name: next((t for t in _alternatives(hint) if _is_choice(t)), None)
        for name, hint in typing.get_type_hints(kind).items()
    }


def _alternatives(hint: Any) -> Iterable[Any]:
    return typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)


def _is_choice(candidate: Any) -> bool:
    return (
        isinstance(candidate, type)
        and issubclass(candidate, enum.Enum)
        and (candidate is not type(UNKNOWN))
    )
