"""What a pickle of PyTorch holds: storages, tensors, and the few classes that it names."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import numpy as np

from snnbridge import ReadError
from snnbridge.model import Array
from snnbridge.storage import Limits

#: Class names of typed storages, and the dtypes of their elements.
STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
}
#: Dtypes without a storage class of their own: the tensor names its dtype, the storage is bytes.
UNTYPED = (
    "uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2",
    "float8_e5m2fnuz", "float8_e8m0fnu",
)  # fmt: skip
DTYPES = frozenset(STORAGES.values()) | frozenset(UNTYPED)


@cache
def dtype_of(name: str) -> np.dtype[Any]:
    """Return the dtype that PyTorch and numpy (or ml_dtypes) call by the same name."""
    if name == "bfloat16" or name.startswith("float8"):
        import ml_dtypes  # slow to import, and rarely needed

        small: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
        return small
    dtype: np.dtype[Any] = np.dtype(name)
    return dtype.newbyteorder("<")


@dataclass(frozen=True, slots=True)
class Global:
    """Something that a pickle refers to by its name: a dtype, a layout, a class."""

    name: str


@dataclass(frozen=True, slots=True)
class Device:
    """The device that a tree names; its tensors are read into memory all the same."""

    arguments: tuple[Any, ...]


class Size(tuple[int, ...]):
    """The shape of a tensor, as a value."""

    __slots__ = ()


class StateDict(dict[Any, Any]):
    """An ``OrderedDict``, and the versions of modules that a state dict bears."""

    __slots__ = ("metadata",)
    metadata: Any


@dataclass(eq=False, slots=True)
class Storage:
    """Elements in a row; tensors are windows into it.

    Parameters
    ----------
    dtype : str or None
        ``None`` for bytes, whose tensors name their dtypes.
    count : int
        Elements, or bytes.
    load : function returning a read-only buffer
        Called when a tensor's elements are first asked for.
    big_endian : bool
        Whether the bytes of an element stand the most significant first.
    """

    dtype: str | None
    count: int
    load: Callable[[], memoryview] | None = None
    big_endian: bool = False

    def buffer(self, itemsize: int) -> memoryview:
        """Return the bytes, as many as the pickle states."""
        assert self.load is not None  # given when the container is read
        data = self.load()
        needed = self.count * (itemsize if self.dtype is not None else 1)
        if data.nbytes < needed:
            raise ReadError(f"a storage states {needed} bytes, but {data.nbytes} are there")
        return data[:needed]


@dataclass(eq=False)
class Tensor:
    """A window into a storage.

    Parameters
    ----------
    storage : Storage
    dtype : str
    offset : int
        Of its first element, in elements.
    shape, strides : tuple of int
        Strides in elements.
    requires_grad, is_parameter : bool
    views : tuple of str
        Views that PyTorch computes when elements are asked for: ``"conj"``, ``"neg"``.
    limits : Limits
        How many axes it may have, and how often it may repeat its storage.
    """

    storage: Storage
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    requires_grad: bool = False
    is_parameter: bool = False
    views: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits, repr=False)

    @property
    def window(self) -> tuple[Any, ...]:
        """What is equal for two tensors that are one."""
        return id(self.storage), self.dtype, self.offset, self.shape, self.strides, self.views

    @cached_property
    def array(self) -> Array:
        """The elements, read-only; a view of the file, or a copy where a view is computed.

        Raises
        ------
        ReadError
            If the window reaches beyond the storage, or claims far more than is there.
        """
        dtype = dtype_of(self.dtype)
        buffer = self.storage.buffer(dtype.itemsize)
        self._check(buffer.nbytes, dtype.itemsize)
        if self.storage.big_endian:
            dtype = dtype.newbyteorder(">")
        steps = tuple(n * dtype.itemsize for n in self.strides)
        place = self.offset * dtype.itemsize if math.prod(self.shape) else 0
        try:
            array: Array = np.ndarray(self.shape, dtype, buffer, place, steps)
        except (ValueError, OverflowError, MemoryError) as error:
            raise ReadError(f"a tensor of shape {self.shape} cannot exist: {error}") from error
        if array.flags.writeable:
            array.flags.writeable = False
        if self.dtype == "bool" and array.size and array.view(np.uint8).max() > 1:
            raise ReadError("a tensor of type bool has bytes other than 0 and 1")
        if self.views and array.dtype.kind not in "fcV":
            raise ReadError(f"a tensor of type {self.dtype} cannot be {' and '.join(self.views)}")
        for view in self.views:
            array = np.conj(array) if view == "conj" else np.negative(array)
            array.flags.writeable = False
        return array

    def _check(self, present: int, itemsize: int) -> None:
        if len(self.shape) > self.limits.rank or len(self.shape) != len(self.strides):
            raise ReadError(f"a tensor has the shape {self.shape} and the strides {self.strides}")
        if min((self.offset, *self.shape, *self.strides)) < 0:
            raise ReadError(f"a tensor has a negative offset, shape or stride: {self.window[2:]}")
        count = math.prod(self.shape)
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        if count and (last + 1) * itemsize > present:
            raise ReadError(
                f"a tensor of shape {self.shape} reaches to element {last} of a storage of "
                f"{present // itemsize}"
            )
        if count * itemsize > max(present, self.limits.expanded(present)):
            raise ReadError(
                f"a tensor of shape {self.shape} repeats a storage of {present} bytes too often"
            )
