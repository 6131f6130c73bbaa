"""Whose memory a tensor is: what tells a module's output, however it is handed on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

#: A place in memory, and how often it was changed.
Moment = tuple[int, int, int | None]


def moment_of(tensor: Any) -> Moment:
    """Return where a tensor stands, and how often that was changed."""
    return memory_of(tensor), tensor.storage_offset(), version_of(tensor)


def memory_of(tensor: Any) -> int:
    """Return the address of a tensor's memory, which its views share."""
    pointer: int = tensor.untyped_storage().data_ptr()
    return pointer


def version_of(tensor: Any) -> int | None:
    """Return how often a tensor's memory was changed; None where PyTorch does not count it."""
    count: int | None = None if tensor.is_inference() else tensor._version
    return count


def tensors_in(value: Any) -> Iterator[Any]:
    """Yield the tensors in a nest of tuples, lists and mappings."""
    if is_tensor(value):
        yield value
    elif isinstance(value, Mapping):
        yield from tensors_in(list(value.values()))
    elif isinstance(value, tuple | list):
        for inner in value:
            yield from tensors_in(inner)


def is_tensor(value: Any) -> bool:
    """Whether a value is a tensor."""
    return isinstance(value, import_module("torch").Tensor)
