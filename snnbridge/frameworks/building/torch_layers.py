"""Layers as modules of PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any

from snnbridge.errors import CheckpointError
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
from snnbridge.model.places import Sides, sides_of

_SETTINGS = ("padding", "window", "stride", "dilation", "groups", "start", "end")


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
    """Put a layer's weight and bias into a module; what is not trained stays so."""
    torch = import_module("torch")
    with torch.no_grad():
        module.weight = weight_of(layer.weight)
        if layer.bias is not None:
            module.bias = weight_of(layer.bias)
        elif module.bias is not None:  # of a class that always has one
            module.bias.zero_()
    return module


def weight_of(held: Parameter) -> Any:
    """Return a parameter of PyTorch with a parameter's value."""
    value = tensor(held.value)  # type: ignore[arg-type]  # an unknown one is refused before
    trained = held.trainable is not False and (value.is_floating_point() or value.is_complex())
    return import_module("torch").nn.Parameter(value, requires_grad=trained)


def trained(module: Any, layer: Any, names: Mapping[str, str]) -> None:
    """Have a module train what a layer says is trained, and nothing that it says is not.

    Parameters
    ----------
    module : torch.nn.Module
    layer : Layer, optional
    names : mapping of str to str
        By the layer's parameter the module's attribute.
    """
    for name, attribute in names.items():
        held = None if layer is None else layer.parameters.get(name)
        value = getattr(module, attribute, None)
        if held is None or held.trainable is UNKNOWN:
            continue
        if value is not None and attribute in module._parameters:
            value.requires_grad_(held.trainable)


def _make_linear(layer: Any) -> Any:
    inputs, outputs = layer.size
    nn = import_module("torch").nn
    return filled(nn.Linear(inputs, outputs, bias=layer.bias is not None), layer)


def _make_conv(layer: Any) -> Any:
    given = {
        "stride": layer.stride,
        "dilation": layer.dilation,
        "groups": layer.groups,
        "bias": layer.bias is not None,
    }
    sizes = *layer.size, layer.weight.value.shape[2:]
    if layer.padding == "same":
        padding: Any = "same" if set(layer.stride) == {1} else None
    else:
        padding = _alike(layer.padding)
    if padding is not None:
        kind = getattr(import_module("torch").nn, f"Conv{layer.axes}d")
        return filled(kind(*sizes, padding=padding, **given), layer)
    padded = import_module("snnbridge.frameworks.building.padded")
    module = getattr(padded, f"PaddedConv{layer.axes}d")(*sizes, **given)
    module.padding = layer.padding
    return filled(module, layer)


def _alike(sides: Sides) -> tuple[int, ...] | None:
    """Return the padding of each axis, as PyTorch takes it; None if its two sides differ."""
    alike = all(before == after for before, after in sides)
    return tuple(before for before, _ in sides) if alike else None


def padding_of(layer: Any) -> tuple[int, ...]:
    """Return a pool's padding as PyTorch takes it: numbers, the same on both sides.

    Raises
    ------
    CheckpointError
        If no pool of PyTorch pads so.
    """
    window, stride = layer.window, layer.stride
    if layer.padding == "same" and set(stride) != {1}:
        raise CheckpointError(
            f"layer {layer.name!r} ({layer.kind}) pads 'same' with stride {stride}, which no pool "
            "of PyTorch does; state the padding as numbers"
        )
    # With a stride of 1, "same" is one less than the window, however large the images are.
    sides = sides_of(layer, window, window, (1,) * len(window))
    padding = _alike(sides)
    if padding is None or any(2 * n > size for n, size in zip(padding, window, strict=True)):
        raise CheckpointError(
            f"layer {layer.name!r} ({layer.kind}) pads its axes by {sides} around a window of "
            f"{window}; pools of PyTorch pad both sides alike, by half the window at most: write "
            "that pool in a forward of your own"
        )
    return padding


def _average(layer: Any) -> Any:
    padding = padding_of(layer)
    counts = layer.count_padding is True or not any(padding)
    return _windowed("AvgPool", layer)(
        layer.window, layer.stride, padding, count_include_pad=counts
    )


def _sum(layer: Any) -> Any:
    if len(layer.window) != 2:
        raise CheckpointError(
            f"layer {layer.name!r} (SumPool) has a window {layer.window}; PyTorch sums over two "
            "axes alone"
        )
    padding, nn = padding_of(layer), import_module("torch").nn
    return nn.AvgPool2d(layer.window, layer.stride, padding, divisor_override=1)


def _largest(layer: Any) -> Any:
    padding = padding_of(layer)
    return _windowed("MaxPool", layer)(layer.window, layer.stride, padding)


def _windowed(kind: str, layer: Any) -> Any:
    return getattr(import_module("torch").nn, f"{kind}{len(layer.window)}d")


def _make_norm(layer: Any, axes: int = 2) -> Any:
    nn = import_module("torch").nn
    affine = layer.weight is not None
    kind = nn.BatchNorm2d if axes == 2 else nn.BatchNorm1d
    module = kind(len(layer.mean.value), eps=number(layer.epsilon.value), affine=affine)
    module.running_mean, module.running_var = tensor(layer.mean.value), tensor(layer.variance.value)
    if affine:
        filled(module, layer)
    return module.eval()


def frozen(layer: Layer) -> Layer:
    """Tell of a layer that its weights are not trained."""
    weights = {k: v for k, v in layer.parameters.items() if k in ("weight", "bias")}
    changes: dict[str, Any] = {k: replace(v, trainable=False) for k, v in weights.items()}
    return replace(layer, **changes) if hasattr(layer, "weight") else layer


def _make_flatten(layer: Any) -> Any:
    if layer.order != "channels first" and layer.order is not UNKNOWN:
        raise CheckpointError(f"layer {layer.name!r} runs over its elements channels last")
    start, end = (n + 1 if n >= 0 else n for n in (layer.start, layer.end))
    return import_module("torch").nn.Flatten(start, end)


def refuse_unknown(layer: Layer) -> None:
    """Refuse a layer without dynamics of which something that its module needs is not known."""
    held: dict[str, Any] = {name: x.value for name, x in layer.parameters.items()}
    held |= {name: getattr(layer, name, None) for name in _SETTINGS}
    unknown = [name for name, value in held.items() if value is UNKNOWN]
    if unknown:
        raise CheckpointError(
            f"layer {layer.name!r} ({layer.kind}): its {unknown[0]} is not known; state it in a "
            "spec"
        )


def no_module(layer: Layer) -> CheckpointError:
    """Make the error for a layer that no module stands for."""
    return CheckpointError(
        f"layer {layer.name!r}: no module stands for {_a(layer)}; take it out of the checkpoint, "
        "or put a layer in its place that has one"
    )


def _a(layer: Layer) -> str:
    if isinstance(layer, Opaque) and layer.origin is not None:
        return f"a {layer.origin.kind} of {layer.origin.framework}, which the model has no word for"
    return f"a {layer.kind}"


#: How a layer is made into a module, by its kind; a BatchNorm also of the axes of its input.
BUILT: Mapping[type[Layer], Callable[..., Any]] = {
    Linear: _make_linear,
    Conv1d: _make_conv,
    Conv2d: _make_conv,
    AvgPool: _average,
    SumPool: _sum,
    MaxPool: _largest,
    BatchNorm: _make_norm,
    Flatten: _make_flatten,
}
