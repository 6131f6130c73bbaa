"""The JSON half of a pair: what SC-NeuroCore writes beside the arrays, and in which form."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from snnbridge import ReadError
from snnbridge.storage import Limits, Source, dump_json, parse_json

#: The key in ``metadata`` under which everything stands that the framework has no word for.
OURS = "snnbridge"

_LISTS = ("layer_names", "neuron_types", "frozen_layers")
_KNOWN = frozenset(
    (*_LISTS, "layer_sizes", "n_layers", "total_params", "metadata"),
)
_DEPTH = 256


@dataclass(frozen=True, slots=True)
class Record:
    """The metadata of a pair.

    Parameters
    ----------
    names, types, frozen : list of str
        Names of the layers; the type of each layer's neurons, or nothing; frozen layers.
    sizes : list of lists of int
        ``[in, out]`` of each layer, as the file states it.
    metadata : dict
        The user's JSON tree.
    other : dict
        Keys at the top that the framework does not know.
    total : int or None
        The number of elements of all arrays; None where the file does not state it.
    is_strict : bool
        Whether the text ends as SC-NeuroCore 3.16 ends it.
    """

    names: list[str]
    sizes: list[list[int]]
    types: list[str] = field(default_factory=list)
    frozen: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    other: dict[str, Any] = field(default_factory=dict)
    total: int | None = None
    is_strict: bool = True

    def tree(self) -> dict[str, Any]:
        """Return the record as JSON values, in the framework's order of keys."""
        return {
            "layer_names": self.names,
            "layer_sizes": self.sizes,
            "neuron_types": self.types,
            "frozen_layers": self.frozen,
            "n_layers": len(self.names),
            "total_params": self.total,
            "metadata": self.metadata,
            **self.other,
        }

    def text(self) -> bytes:
        """Return the text that the framework writes: of 3.16, or of the releases before it.

        Raises
        ------
        WriteError
            For NaN or infinity in a text of 3.16.
        """
        lines = {
            "layer_names": _list_text(map(_ENCODE, self.names)),
            "layer_sizes": _list_text(map(_size_text, self.sizes)),
        }
        pieces = [
            f"  {_ENCODE(key)}: {lines.get(key) or self._value_text(value)}"
            for key, value in self.tree().items()
        ]
        text = "{\n" + ",\n".join(pieces) + "\n}"
        return (text + "\n" if self.is_strict else text).encode("ascii")

    def _value_text(self, value: object) -> str:
        if self.is_strict:
            return dump_json(value, indent=2).decode("ascii").replace("\n", "\n  ")
        return json.dumps(value, indent=2).replace("\n", "\n  ")

    def digest_text(self) -> bytes:
        """Return what the digest of the record is made of: its tree without that digest."""
        tree = self.tree()
        ours = {k: v for k, v in self.metadata.get(OURS, {}).items() if k != "digest"}
        tree["metadata"] = {**self.metadata, OURS: ours}
        return json.dumps(tree, separators=(",", ":")).encode("ascii")

    def without_ours(self) -> Record:
        """Return the record as the user knows it."""
        return replace(self, metadata={k: v for k, v in self.metadata.items() if k != OURS})


_ENCODE = json.encoder.encode_basestring_ascii


def _list_text(items: Iterable[str]) -> str:
    """Lay a list out as the standard library does with ``indent=2``, many times faster."""
    joined = ",\n    ".join(items)
    return f"[\n    {joined}\n  ]" if joined else "[]"


def _size_text(size: list[int]) -> str:
    joined = ",\n      ".join(map(str, size))
    return f"[\n      {joined}\n    ]" if joined else "[]"


def limits_for(size: int, base: Limits) -> Limits:
    """Return limits for a JSON text of a size: what it may hold grows with it."""
    return replace(
        base,
        depth=_DEPTH,
        json_bytes=max(base.json_bytes, size),
        json_items=max(base.json_items, size // 16),
    )


def parse(source: Source) -> Record | None:
    """Read the JSON half of a pair; None for a JSON text that is of something else.

    Raises
    ------
    ReadError
        With the file's name, the key, and what is wrong with it.
    """
    where = repr(source.path.name)
    data = source.data
    limits = limits_for(len(data), source.limits)
    tree = parse_json(data, where=where, limits=limits, allow_nan=True)
    if not isinstance(tree, dict) or "layer_names" not in tree:
        return None
    return from_tree(tree, where, is_strict=bytes(data[-1:]) == b"\n")


def from_tree(tree: dict[str, Any], where: str, *, is_strict: bool) -> Record:
    """Check what :meth:`Record.tree` gives.

    Raises
    ------
    ReadError
        With the key, and what is wrong with it.
    """
    names, types, frozen = (_strings(tree.get(key, []), key, where) for key in _LISTS)
    record = Record(
        names=names,
        types=types,
        frozen=frozen,
        sizes=_sizes(tree.get("layer_sizes"), where),
        metadata=_mapping(tree.get("metadata", {}), where),
        other={key: value for key, value in tree.items() if key not in _KNOWN},
        total=_count(tree.get("total_params"), "total_params", where),
        is_strict=is_strict,
    )
    _check_lengths(record, _count(tree.get("n_layers"), "n_layers", where), where)
    return record


def _strings(value: object, key: str, where: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(x, str) for x in value):
        raise ReadError(f"{where}: {key!r} must be a list of strings")
    return value


def _mapping(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ReadError(f"{where}: 'metadata' must be an object, found {type(value).__name__}")
    return value


def _sizes(value: object, where: str) -> list[list[int]]:
    if not isinstance(value, list):
        raise ReadError(f"{where}: 'layer_sizes' must be a list of [in, out]")
    for entry in value:
        if not isinstance(entry, list) or any(type(n) is not int or n < 0 for n in entry):
            raise ReadError(
                f"{where}: 'layer_sizes' must hold lists [in, out] of whole numbers, "
                f"found {str(entry)[:80]}"
            )
    return value


def _count(value: object, key: str, where: str) -> int | None:
    if value is None:
        return None
    if type(value) is not int or value < 0:
        raise ReadError(f"{where}: {key!r} must be a whole number, found {str(value)[:80]}")
    return value


def _check_lengths(record: Record, n_layers: int | None, where: str) -> None:
    count = len(record.names)
    found = {"layer_sizes": len(record.sizes), "neuron_types": len(record.types)}
    if n_layers is not None:
        found["n_layers"] = n_layers
    if not record.types:
        del found["neuron_types"]
    for key, length in found.items():
        if length != count:
            raise ReadError(f"{where}: {key!r} speaks of {length} layers, 'layer_names' of {count}")


def is_plain(value: object, *, finite: bool) -> bool:
    """Whether JSON gives a value back as it is; with `finite` as 3.16 demands it.

    Only exact types count: a numpy number that passes for a float comes back as a float.
    """
    pending = [value]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            pending.extend(node)
            pending.extend(node.values())
        elif isinstance(node, list | tuple):
            pending.extend(node)
        elif type(node) is float:
            if finite and not math.isfinite(node):
                return False
        elif type(node) is str:
            if not is_text(node):
                return False
        elif node is not None and type(node) not in (bool, int):
            return False
    return True


def is_text(text: str) -> bool:
    """Whether a string can be written as UTF-8: no half of a surrogate pair stands in it."""
    return text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text)
