"""The modules of PyTorch itself, and those that other frameworks derive from them, both ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from snnbridge.errors import CheckpointError
from snnbridge.frameworks._pieces import Piece, as_array
from snnbridge.model import (
    UNKNOWN,
    Array,
    AvgPool,
    BatchNorm,
    Conv1d,
    Conv2d,
    Flatten,
    Layer,
    Linear,
    MaxPool,
    Opaque,
    Parameter,
    SumPool,
)

# Reading


def _trained(tensor: Any) -> Any:
    """Return a weight, and whether it is trained; None where there is none."""
    if tensor is None:
        return None
    return Parameter(as_array(tensor), trainable=bool(tensor.requires_grad))


def linear(name: str, module: Any) -> Piece:
    """Return a Linear module."""
    return Piece.of(Linear(name, _trained(module.weight), _trained(module.bias)))


def _conv(name: str, module: Any) -> Piece:
    kind: Any = {1: Conv1d, 2: Conv2d}[len(module.kernel_size)]
    if module.padding_mode != "zeros":
        return Piece.of(Opaque(name, {"weight": Parameter(as_array(module.weight))}))
    padding = {"valid": 0}.get(module.padding, module.padding)
    return Piece.of(
        kind(
            name,
            _trained(module.weight),
            _trained(module.bias),
            stride=module.stride,
            padding=padding,
            dilation=module.dilation,
            groups=module.groups,
        )
    )


def _pair(value: Any) -> tuple[int, ...]:
    return (value, value) if isinstance(value, int) else tuple(value)


def _pool(kind: Any, **more: str) -> Callable[[str, Any], Piece]:
    def read(name: str, module: Any) -> Piece:
        window = _pair(module.kernel_size)
        stride = _pair(module.stride) if module.stride is not None else window
        padding = _pair(getattr(module, "padding", 0))
        given = {key: getattr(module, attribute) for key, attribute in more.items()}
        return Piece.of(kind(name, window, stride, padding, **given))

    return read


def _norm(name: str, module: Any) -> Piece:
    return Piece.of(
        BatchNorm(
            name,
            as_array(module.running_mean),
            as_array(module.running_var),
            _trained(module.weight),
            _trained(module.bias),
            module.eps,
        )
    )


def _flatten(name: str, module: Any) -> Piece:
    start = module.start_dim - 1 if module.start_dim > 0 else module.start_dim
    return Piece.of(Flatten(name, start, module.end_dim, order="channels first"))


def _passing(name: str, module: Any) -> Piece:
    return Piece()


#: How a module is read, by its class.
READ: Mapping[str, Callable[[str, Any], Piece]] = {
    "Linear": linear,
    "Conv1d": _conv,
    "Conv2d": _conv,
    "AvgPool2d": _pool(AvgPool, count_padding="count_include_pad"),
    "MaxPool2d": _pool(MaxPool),
    "SumPool2d": _pool(SumPool),
    "BatchNorm1d": _norm,
    "BatchNorm2d": _norm,
    "Flatten": _flatten,
    "Identity": _passing,
    "Dropout": _passing,
    "Dropout2d": _passing,
}


# Building


def tensor(array: Array, dtype: Any = None) -> Any:
    """Return a tensor with a copy of an array's values."""
    torch = import_module("torch")
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.astype("float32")).to(torch.bfloat16)
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("="))).to(dtype)


def number(array: Array) -> float:
    """Return the one number of an array; CheckpointError if it has several."""
    if array.size != 1:
        raise CheckpointError(f"the framework takes one number here, found {array.shape}")
    return float(array.reshape(()))


def filled(module: Any, layer: Any) -> Any:
    """Put a layer's weight and bias into a module."""
    torch = import_module("torch")
    with torch.no_grad():
        module.weight = torch.nn.Parameter(tensor(layer.weight.value))
        if layer.bias is not None:
            module.bias = torch.nn.Parameter(tensor(layer.bias.value))
        elif module.bias is not None:  # of a class that always has one
            module.bias.zero_()
    return module


def _make_linear(layer: Any) -> Any:
    inputs, outputs = layer.size
    nn = import_module("torch").nn
    return filled(nn.Linear(inputs, outputs, bias=layer.bias is not None), layer)


def _make_conv(layer: Any) -> Any:
    nn = import_module("torch").nn
    kind = nn.Conv1d if isinstance(layer, Conv1d) else nn.Conv2d
    uneven = _uneven(layer)
    inputs, outputs = layer.size
    module = kind(
        inputs, outputs, layer.weight.value.shape[2:], layer.stride,
        0 if uneven else symmetric(layer), layer.dilation, layer.groups,
        bias=layer.bias is not None,
    )  # fmt: skip
    conv = filled(module, layer)
    return nn.Sequential(getattr(nn, f"ZeroPad{layer.axes}d")(uneven), conv) if uneven else conv


def _uneven(layer: Any) -> tuple[int, ...]:
    """Return a padding that differs between two sides, the last axis first; else nothing."""
    if layer.padding == "same" or all(before == after for before, after in layer.padding):
        return ()
    return tuple(n for sides in reversed(layer.padding) for n in sides)


def symmetric(layer: Any) -> Any:
    """Return a window's padding as PyTorch takes it: the same on both sides."""
    if layer.padding == "same" and set(getattr(layer, "stride", (1,))) == {1}:
        return "same"
    if layer.padding == "same" or any(before != after for before, after in layer.padding):
        raise CheckpointError(f"layer {layer.name!r} pads its two sides differently")
    return tuple(before for before, _ in layer.padding)


def _average(layer: Any) -> Any:
    nn = import_module("torch").nn
    counts = layer.count_padding is True or not any(map(sum, layer.padding))
    return nn.AvgPool2d(layer.window, layer.stride, symmetric(layer), count_include_pad=counts)


def _sum(layer: Any) -> Any:
    nn = import_module("torch").nn
    return nn.AvgPool2d(layer.window, layer.stride, symmetric(layer), divisor_override=1)


def _largest(layer: Any) -> Any:
    return import_module("torch").nn.MaxPool2d(layer.window, layer.stride, symmetric(layer))


def _make_norm(layer: Any) -> Any:
    nn = import_module("torch").nn
    module = nn.BatchNorm2d(len(layer.mean.value), eps=number(layer.epsilon.value))
    module.running_mean, module.running_var = tensor(layer.mean.value), tensor(layer.variance.value)
    if layer.weight is not None:
        filled(module, layer)
    return module.eval()


def _make_flatten(layer: Any) -> Any:
    if layer.order != "channels first" and layer.order is not UNKNOWN:
        raise CheckpointError(f"layer {layer.name!r} runs over its elements channels last")
    start = layer.start + 1 if layer.start >= 0 else layer.start
    return import_module("torch").nn.Flatten(start, layer.end)


#: How a layer is made into a module, by its kind.
BUILT: Mapping[type[Layer], Callable[[Any], Any]] = {
    Linear: _make_linear,
    Conv1d: _make_conv,
    Conv2d: _make_conv,
    AvgPool: _average,
    SumPool: _sum,
    MaxPool: _largest,
    BatchNorm: _make_norm,
    Flatten: _make_flatten,
}
