"""Writing the pickle of a tree as ``torch.save`` does: protocol 2, the same globals.

Names that repeat are memoized, values are not: equal tuples and text stand there each time.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnbridge import WriteError
from snnbridge.model import Array
from snnbridge_plugins.torch.values import (
    DTYPES,
    STORAGES,
    Device,
    Global,
    Size,
    StateDict,
)

_STORAGE_OF = {dtype: name for name, dtype in STORAGES.items()}


@dataclass(eq=False, slots=True)
class Written:
    """A tensor to be written: its elements, contiguous, and the storage that holds them.

    Parameters
    ----------
    array : array
    key : str
        Of the storage; two tensors with one key are one.
    requires_grad, is_parameter : bool
    """

    array: Array
    key: str
    requires_grad: bool = False
    is_parameter: bool = False


def is_writable(value: Any) -> bool:
    """Whether a value is no array, or one that PyTorch has a dtype for."""
    return not isinstance(value, np.ndarray | np.generic) or value.dtype.name in DTYPES


def pickled(tree: Any) -> bytes:
    """Return the pickle of a tree.

    Parameters
    ----------
    tree
        Containers, numbers, text, bytes, :class:`Written`, and the classes of
        :mod:`snnbridge_plugins.torch.values`.

    Raises
    ------
    WriteError
        For anything else.
    """
    pickler = _Pickler()
    pickler.put(tree)
    return b"".join((b"\x80\x02", *pickler.out, b"."))


class _Pickler:
    def __init__(self) -> None:
        self.out: list[bytes] = []
        self._memo: dict[bytes, bytes] = {}

    def put(self, value: Any) -> None:
        writer = _WRITERS.get(type(value))
        if writer is None:
            raise WriteError(f"a value of type {type(value).__name__} has no place in a .pt file")
        writer(self, value)

    def emit(self, *pieces: bytes) -> None:
        self.out.extend(pieces)

    def once(self, opcodes: bytes) -> None:
        """Write what makes a value, the second time a reference to it."""
        known = self._memo.get(opcodes)
        if known is None:
            index = len(self._memo)
            self._memo[opcodes] = b"h" + bytes([index])
            known = opcodes + b"q" + bytes([index])
        self.out.append(known)

    def name(self, full: str) -> None:
        module, _, name = full.rpartition(".")
        module = module.replace("builtins", "__builtin__")  # as Python 2 calls it
        self.once(f"c{module}\n{name}\n".encode("ascii"))

    def tuple(self, values: Iterable[Any]) -> None:
        self.emit(b"(")
        for value in values:
            self.put(value)
        self.emit(b"t")

    def call(self, function: str, *arguments: Any) -> None:
        self.name(function)
        self.tuple(arguments)
        self.emit(b"R")

    def items(self, pairs: Mapping[Any, Any]) -> None:
        if not pairs:
            return
        self.emit(b"(")
        for key, value in pairs.items():
            self.put(key)
            self.put(value)
        self.emit(b"u")


def _number(pickler: _Pickler, value: int) -> None:
    if 0 <= value < 1 << 8:
        pickler.emit(b"K", bytes([value]))
    elif -(1 << 31) <= value < 1 << 31:
        pickler.emit(struct.pack("<ci", b"J", value))
    else:
        data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        if len(data) > 255:
            raise WriteError("a number of more than 2000 bits has no place in a .pt file")
        pickler.emit(b"\x8a", bytes([len(data)]), data)


def _text(pickler: _Pickler, value: str) -> None:
    data = value.encode("utf-8", "surrogatepass")
    pickler.emit(struct.pack("<cI", b"X", len(data)), data)


def _list(pickler: _Pickler, values: Any) -> None:
    pickler.emit(b"]", b"(")
    for value in values:
        pickler.put(value)
    pickler.emit(b"e")


def _dict(pickler: _Pickler, value: Mapping[Any, Any]) -> None:
    pickler.emit(b"}")
    pickler.items(value)


def _state_dict(pickler: _Pickler, value: StateDict) -> None:
    pickler.call("collections.OrderedDict")
    pickler.items(value)
    if hasattr(value, "metadata"):
        _dict(pickler, {"_metadata": value.metadata})
        pickler.emit(b"b")


def _set(pickler: _Pickler, value: set[Any]) -> None:
    pickler.call("builtins.set", list(value))


def _tensor(pickler: _Pickler, tensor: Written) -> None:
    if tensor.is_parameter:
        pickler.name("torch._utils._rebuild_parameter")
        pickler.emit(b"(")
        _plain_tensor(pickler, tensor, requires_grad=False)
        pickler.put(tensor.requires_grad)
        pickler.call("collections.OrderedDict")
        pickler.emit(b"t", b"R")
    else:
        _plain_tensor(pickler, tensor, requires_grad=tensor.requires_grad)


def _plain_tensor(pickler: _Pickler, tensor: Written, *, requires_grad: bool) -> None:
    dtype, shape = tensor.array.dtype.name, tensor.array.shape
    untyped = dtype not in _STORAGE_OF
    pickler.name(f"torch._utils._rebuild_tensor_v{3 if untyped else 2}")
    pickler.emit(b"(")
    _storage(pickler, tensor, "" if untyped else _STORAGE_OF[dtype])
    _number(pickler, 0)
    pickler.tuple(shape)
    pickler.tuple(_strides(shape))
    pickler.put(requires_grad)
    pickler.call("collections.OrderedDict")
    if untyped:
        pickler.name(f"torch.{dtype}")
    pickler.emit(b"t", b"R")


def _storage(pickler: _Pickler, tensor: Written, name: str) -> None:
    """Write the persistent id of a tensor's storage."""
    array = tensor.array
    pickler.emit(b"(")
    pickler.once(b"X\x07\x00\x00\x00storage")
    pickler.name(f"torch.{name}" if name else "torch.storage.UntypedStorage")
    _text(pickler, tensor.key)
    pickler.once(b"X\x03\x00\x00\x00cpu")
    _number(pickler, array.size if name else array.size * array.dtype.itemsize)
    pickler.emit(b"t", b"Q")


def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    steps, step = [], 1
    for n in reversed(shape):
        steps.append(step)
        step *= max(n, 1)
    return tuple(reversed(steps))


_WRITERS: dict[type, Callable[[_Pickler, Any], None]] = {
    type(None): lambda p, _: p.emit(b"N"),
    bool: lambda p, value: p.emit(b"\x88" if value else b"\x89"),
    int: _number,
    float: lambda p, value: p.emit(struct.pack(">cd", b"G", value)),
    str: _text,
    bytes: lambda p, value: p.call("_codecs.encode", value.decode("latin1"), "latin1"),
    complex: lambda p, value: p.call("builtins.complex", value.real, value.imag),
    list: _list,
    tuple: _Pickler.tuple,
    set: _set,
    dict: _dict,
    StateDict: _state_dict,
    Size: lambda p, value: p.call("torch.Size", tuple(value)),
    Device: lambda p, value: p.call("torch.device", *value.arguments),
    Global: lambda p, value: p.name(value.name),
    Written: _tensor,
}
