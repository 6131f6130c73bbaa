"""What the globals do that a pickle of PyTorch may name; nothing is imported by name.

The list is that of ``torch.load(weights_only=True)``, without what numpy cannot hold (sparse,
quantised and nested tensors).
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping
from typing import Any

from snnbridge import ReadError
from snnbridge_plugins.torch.values import (
    DTYPES,
    STORAGES,
    Device,
    Global,
    Size,
    StateDict,
    Storage,
    Tensor,
)

_NO_TYPE = "is not read; convert it to another type and save it again"
_NO_ARRAY = "is not read; make it a dense tensor (to_dense(), dequantize()) and save it again"
_META = "torch._utils._rebuild_meta_tensor_no_storage"
_NO_VALUES = (
    "has no values; load the net's weights, or move it by to_empty(device='cpu') and fill it, and "
    "save it again"
)


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *more: Any) -> Tensor:
    """``_rebuild_tensor_v2``: storage, offset, size, stride, requires_grad, hooks, metadata."""
    if not isinstance(storage, Storage) or storage.dtype is None:
        raise ReadError("a tensor without a storage of its type")
    window = _window(offset, shape, strides)
    return Tensor(storage, storage.dtype, *window, _grad(more), views=_views(*more[2:3]))


def _untyped(storage: Any, offset: Any, shape: Any, strides: Any, *more: Any) -> Tensor:
    """``_rebuild_tensor_v3``: as above, and the dtype before the metadata."""
    dtype = more[2] if len(more) > 2 else None
    name = dtype.name.removeprefix("torch.") if isinstance(dtype, Global) else ""
    if not isinstance(storage, Storage) or name not in DTYPES:
        raise ReadError(f"a tensor of type {name or dtype!r} {_NO_TYPE}")
    window = _window(offset, shape, strides)
    return Tensor(storage, name, *window, _grad(more), views=_views(*more[3:4]))


def _views(metadata: Any = None) -> tuple[str, ...]:
    """Return the views that a tensor's metadata name: it is negative, or conjugate."""
    if not metadata:
        return ()
    if not isinstance(metadata, dict) or not metadata.keys() <= {"conj", "neg"}:
        raise ReadError(f"a tensor with the metadata {metadata!r} {_NO_ARRAY}")
    return tuple(key for key in ("conj", "neg") if metadata.get(key) is True)


def _grad(more: tuple[Any, ...]) -> bool:
    return bool(more) and more[0] is True


def _window(offset: Any, shape: Any, strides: Any) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    numbers = (offset, *shape, *strides)
    if any(type(n) is not int for n in numbers):
        raise ReadError("a tensor's offset, shape or strides are no whole numbers")
    return offset, tuple(shape), tuple(strides)


def _parameter(tensor: Any, requires_grad: Any, *_: Any) -> Tensor:
    if not isinstance(tensor, Tensor):
        raise ReadError("a parameter that is no tensor")
    return Tensor(
        tensor.storage, tensor.dtype, tensor.offset, tensor.shape, tensor.strides,
        requires_grad is True, is_parameter=True, views=tensor.views,
    )  # fmt: skip


def _from_type(function: Any, kind: Any, arguments: Any, _state: Any) -> Any:
    """``_rebuild_from_type_v2``: a tensor with attributes, which are left out."""
    if kind not in (Global("torch.Tensor"), Global("torch.nn.parameter.Parameter")):
        raise ReadError(f"a tensor of a class of its own ({kind}) {_NO_ARRAY}")
    return call(function, arguments)


def _encode(text: Any, encoding: Any) -> bytes:
    """``bytes`` in protocol 2: text whose characters are the bytes."""
    if not isinstance(text, str) or encoding != "latin1":
        raise ReadError("bytes in an encoding other than latin1")
    return codecs.encode(text, "latin1")


def _bytearray(*arguments: Any) -> bytes:
    if len(arguments) == 2:
        return _encode(*arguments)
    if any(not isinstance(x, bytes) for x in arguments):  # bytearray(n) would allocate n
        raise ReadError("a bytearray that is not made of bytes")
    return b"".join(arguments)


def _storage_of_type(storage: Any, dtype: Any = None, *_: Any) -> Any:
    return storage


_CALLS: Mapping[str, Callable[..., Any]] = {
    "collections.OrderedDict": lambda items=(): StateDict(items),
    "collections.Counter": lambda items=(): dict(items),
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _untyped,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._tensor._rebuild_from_type_v2": _from_type,
    "torch.serialization._get_layout": lambda name: Global(f"{name}"),
    "torch.storage.TypedStorage": _storage_of_type,
    "torch.Size": lambda items=(): Size(items),
    "torch.device": lambda *arguments: Device(arguments),
    "builtins.set": lambda items=(): set(items),
    "builtins.complex": complex,
    "builtins.bytearray": _bytearray,
    "_codecs.encode": _encode,
}
_REFUSED = {
    "torch._utils._rebuild_sparse_tensor": "a sparse tensor",
    "torch._utils._rebuild_sparse_csr_tensor": "a sparse tensor",
    "torch._utils._rebuild_qtensor": "a quantised tensor",
    "torch._utils._rebuild_nested_tensor": "a nested tensor",
    "torch._utils._rebuild_meta_tensor_no_storage": "a tensor on the meta device",
    "torch._utils._rebuild_wrapper_subclass": "a tensor of a class of its own",
    "torch._utils._rebuild_device_tensor_from_numpy": "a tensor of a foreign device",
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": "a tensor of a foreign device",
}
#: Types that tensors may name and arrays cannot have.
_NO_DTYPES = (
    "complex32", "float4_e2m1fn_x2", "quint8", "qint8", "qint32", "quint4x2", "quint2x4",
    *(f"bits{n}" for n in ("1x8", "2x4", "4x2", "8", "16")),
    *(f"{sign}int{n}" for sign in ("", "u") for n in range(1, 8)),
)  # fmt: skip
_NAMES = frozenset(
    {f"torch.{name}" for name in (*DTYPES, *_NO_DTYPES, "Tensor", "nn.parameter.Parameter")}
    | {f"torch.{place}{name}" for name in STORAGES for place in ("", "cuda.")}
    | {"torch.storage.UntypedStorage"}
)


def named(module: str, name: str) -> Global:
    """Return what a pickle names.

    Raises
    ------
    ReadError
        If it is anything but the parts of a tensor; loading that would run code.
    """
    full = f"{module}.{name}".replace("__builtin__.", "builtins.")
    if full in _REFUSED:
        raise ReadError(f"{_REFUSED[full]} {_NO_VALUES if full == _META else _NO_ARRAY}")
    if full in _CALLS or full in _NAMES:
        return Global(full)
    raise ReadError(
        f"the pickle names {full[:200]!r}, which would run code while it is read; load the file "
        "where it was made, drop that entry or turn it into numbers, text and tensors, and save "
        "the rest; the net alone is torch.save(net.state_dict(), path)"
    )


def call(function: Any, arguments: Any) -> Any:
    """Do what calling a global of that name would do.

    Raises
    ------
    ReadError
        If it cannot be called, or not with these arguments.
    """
    found = _CALLS.get(function.name) if isinstance(function, Global) else None
    if found is None or not isinstance(arguments, tuple):
        raise ReadError(f"the pickle calls {function!r}, which is no function")
    try:
        return found(*arguments)
    except (TypeError, ValueError, UnicodeError, OverflowError) as error:
        if isinstance(error, ReadError):
            raise
        raise ReadError(f"{getattr(function, 'name', function)} with wrong arguments") from error
