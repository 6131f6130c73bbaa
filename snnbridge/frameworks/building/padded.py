"""Convolutions that pad as the model's do and PyTorch's cannot, made where PyTorch is there."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from snnbridge.model.places import sides_of

_KINDS = {"PaddedConv1d": "Conv1d", "PaddedConv2d": "Conv2d"}


def __getattr__(name: str) -> Any:
    """Make a class when it is asked for, under its name here, so that pickle finds it."""
    if name not in _KINDS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    kind = getattr(import_module("torch").nn, _KINDS[name])
    names = {"_conv_forward": _padded, "__module__": __name__, "__doc__": f"{_KINDS[name]}{_DOC}"}
    globals()[name] = found = type(name, (kind,), names)
    return found


_DOC = """ that pads the two sides of an axis differently, or strides over what it pads.

    ``padding`` is ``"same"``, after TensorFlow and JAX the zeros that the input's size needs, or
    the zeros before and after each axis.
    """


def _padded(self: Any, x: Any, weight: Any, bias: Any) -> Any:
    """Run the convolution on an input with its zeros around it."""
    torch = import_module("torch")
    axes = len(self.kernel_size)
    sides = sides_of(self, tuple(x.shape[-axes:]), self.kernel_size, self.dilation)
    zeros = [n for pair in reversed(sides) for n in pair]
    convolve = getattr(torch.nn.functional, f"conv{axes}d")
    x = torch.nn.functional.pad(x, zeros)
    return convolve(x, weight, bias, self.stride, 0, self.dilation, self.groups)
