"""What PyTorch's functions do between the modules of a net: sums, pools, zeros, copies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from snnbridge.frameworks.reading.memory import is_tensor

_SUMS = ("add", "add_", "__add__", "__radd__", "__iadd__")
_ZEROS = ("zeros", "zeros_like", "new_zeros")
_COPIES = ("clone", "contiguous", "cpu", "detach", "double", "float", "to", "type", "type_as")
_POOL = ("kernel_size", "stride", "padding")
#: The module that does the same as a function, and what the function takes behind the tensor.
_MODULES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "max_pool1d": ("MaxPool1d", (*_POOL, "dilation", "ceil_mode", "return_indices")),
    "max_pool2d": ("MaxPool2d", (*_POOL, "dilation", "ceil_mode", "return_indices")),
    "avg_pool1d": ("AvgPool1d", (*_POOL, "ceil_mode", "count_include_pad")),
    "avg_pool2d": ("AvgPool2d", (*_POOL, "ceil_mode", "count_include_pad", "divisor_override")),
    "adaptive_avg_pool1d": ("AdaptiveAvgPool1d", ("output_size",)),
    "adaptive_avg_pool2d": ("AdaptiveAvgPool2d", ("output_size",)),
    "relu": ("ReLU", ()),
}


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a function.

    Parameters
    ----------
    function : callable
    args : tuple
    kwargs : mapping
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The function's name."""
        return getattr(self.function, "__name__", "")

    @property
    def is_zero(self) -> bool:
        """Whether it makes a tensor of zeros."""
        return self.name in _ZEROS

    @property
    def copies(self) -> bool:
        """Whether it gives a tensor's values, perhaps in another type."""
        return self.name in _COPIES and bool(self.args) and is_tensor(self.args[0])

    def result(self) -> Any:
        """Call it."""
        return self.function(*self.args, **self.kwargs)

    def summands(self) -> list[Any] | None:
        """Return the tensors that it adds; None if it does anything else."""
        if self.name not in _SUMS:
            return None
        more = dict(self.kwargs)
        given = [*self.args, more.pop("other", 0)]
        if more not in ({}, {"alpha": 1}) or any(not is_tensor(x) and x != 0 for x in given):
            return None
        return [x for x in given if is_tensor(x)]

    def module(self) -> Any:
        """Return a module that does the same as the function; None if there is none."""
        kind, names = _MODULES.get(self.name, ("", ()))
        given = dict(zip(names, self.args[1:], strict=False)) | dict(self.kwargs)
        inplace = given.pop("inplace", False)
        if not kind or inplace or not self.args or len(self.args) > 1 + len(names):
            return None
        if not given.keys() <= set(names):
            return None
        return getattr(import_module("torch").nn, kind)(**given)


def function_mode(called: Callable[[Call], Any]) -> AbstractContextManager[Any]:
    """Return a context in which each function of PyTorch is called by way of `called`.

    Parameters
    ----------
    called : function of a Call
        Returns the function's result.
    """
    base: Any = import_module("torch.overrides").TorchFunctionMode

    class Mode(base):  # type: ignore[misc]  # PyTorch is there when a net of it is
        def __torch_function__(
            self, function: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            return called(Call(function, args, kwargs or {}))

    mode: AbstractContextManager[Any] = Mode()
    return mode
