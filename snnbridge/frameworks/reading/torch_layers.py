"""The modules of PyTorch, and those that frameworks derive from them, as layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from snnbridge.errors import CheckpointError
from snnbridge.frameworks.reading.classes import known_as
from snnbridge.frameworks.reading.pieces import Piece, as_array
from snnbridge.ledger import Status
from snnbridge.model import (
    AvgPool,
    BatchNorm,
    Conv1d,
    Conv2d,
    Flatten,
    Layer,
    Linear,
    MaxPool,
    Parameter,
    SumPool,
)


def _trained(tensor: Any) -> Any:
    """Return a weight, and whether it is trained; None where there is none."""
    if tensor is None:
        return None
    return Parameter(as_array(tensor), trainable=bool(tensor.requires_grad))


def linear(name: str, module: Any) -> Piece:
    """Return a Linear module."""
    _settle(module)
    return _noted(module, Linear(name, *_weights(module)))


def _weights(module: Any) -> tuple[Any, Any]:
    """Return a weight and a bias; one that is computed says not whether it is trained."""
    weight, bias = (
        as_array(value) if value is not None and key not in module._parameters else _trained(value)
        for key, value in (("weight", module.weight), ("bias", module.bias))
    )
    return weight, bias


def _settle(module: Any) -> None:
    """Have PyTorch's own hooks compute a weight from what they hold (weight norm, pruning)."""
    for hook in module._forward_pre_hooks.values():
        if type(hook).__module__.startswith("torch.nn.utils."):
            hook(module, ())


def _only(name: str, module: Any, **usual: Any) -> None:
    """Refuse arguments with other values than those that a layer of the model can have."""
    for argument, value in usual.items():
        found = getattr(module, argument, value)
        if found not in (value, (value,), (value, value)):
            raise CheckpointError(
                f"module {name!r} ({type(module).__name__}) has {argument}={found!r}, which no "
                f"layer of the model does; expected {value!r}"
            )


def _conv(name: str, module: Any) -> Piece:
    kind: Any = {1: Conv1d, 2: Conv2d}[len(module.kernel_size)]
    _only(name, module, padding_mode="zeros")
    _settle(module)
    padding = {"valid": 0}.get(module.padding, module.padding)
    layer = kind(
        name,
        *_weights(module),
        stride=module.stride,
        padding=padding,
        dilation=module.dilation,
        groups=module.groups,
    )
    return _noted(module, layer)


def _each(value: Any, axes: int) -> tuple[int, ...]:
    return (value,) * axes if isinstance(value, int) else tuple(value)


def _pool(kind: Any, **more: str) -> Callable[[str, Any], Piece]:
    def read(name: str, module: Any) -> Piece:
        _only(name, module, ceil_mode=False, dilation=1, return_indices=False, norm_type=1)
        axes = 1 if "1d" in type(module).__name__ else 2
        window = _each(module.kernel_size, axes)
        stride = _each(module.stride, axes) if module.stride is not None else window
        padding = _each(getattr(module, "padding", 0), axes)
        given = {key: getattr(module, attribute) for key, attribute in more.items()}
        return Piece.of(kind(name, window, stride, padding, **given))

    return read


def _mean(name: str, module: Any) -> Piece:
    """Return an average, or the sum that it is with a divisor of 1."""
    divisor = getattr(module, "divisor_override", None)
    if divisor == 1:
        return _pool(SumPool)(name, module)
    _only(name, module, divisor_override=None)
    return _pool(AvgPool, count_padding="count_include_pad")(name, module)


def adapted(name: str, module: Any, shape: tuple[int, ...]) -> Piece | None:
    """Return the pool that an adaptive one is for inputs of a shape; None for other modules."""
    kind = known_as(module, {"AdaptiveAvgPool1d", "AdaptiveAvgPool2d"})
    if not kind.kind or kind.changed:
        return None
    axes = int(kind.kind[-2])
    sizes = shape[-axes:]
    wanted = module.output_size
    goals = (wanted,) * axes if not isinstance(wanted, tuple | list) else tuple(wanted)
    goals = tuple(n if goal is None else goal for n, goal in zip(sizes, goals, strict=True))
    if any(n % goal for n, goal in zip(sizes, goals, strict=True)):
        raise CheckpointError(
            f"module {name!r} ({kind.kind}) makes {goals} of {tuple(sizes)} with windows that "
            "overlap, which no layer of the model does; expected sizes that divide"
        )
    window = tuple(n // goal for n, goal in zip(sizes, goals, strict=True))
    piece = Piece.of(AvgPool(name, window, window, ((0, 0),) * axes, count_padding=True))
    piece.notes.append((Status.REWRITTEN, f"is an average over {window} for inputs of {sizes}"))
    return piece


def _norm(name: str, module: Any) -> Piece:
    if module.running_mean is None:
        raise CheckpointError(
            f"module {name!r} ({type(module).__name__}) keeps no running statistics and takes "
            "those of each batch, which no layer of the model does; expected "
            "track_running_stats=True"
        )
    layer = BatchNorm(
        name,
        as_array(module.running_mean),
        as_array(module.running_var),
        _trained(module.weight),
        _trained(module.bias),
        module.eps,
    )
    return _noted(module, layer)


def _flatten(name: str, module: Any) -> Piece:
    start = module.start_dim - 1 if module.start_dim > 0 else module.start_dim
    if module.start_dim == 0 or module.end_dim == 0:
        raise CheckpointError(
            f"module {name!r} (Flatten) joins axis 0, the batch, with the others; expected "
            f"start_dim=1, found start_dim={module.start_dim}"
        )
    end = module.end_dim - 1 if module.end_dim > 0 else module.end_dim
    return Piece.of(Flatten(name, start, end, order="channels first"))


def _passing(name: str, module: Any) -> Piece:
    return Piece()


def _dropping(name: str, module: Any) -> Piece:
    reason = f"left out: p={module.p} acts in training alone"
    return Piece(notes=[(Status.REWRITTEN, reason)])


def _noted(module: Any, layer: Layer) -> Piece:
    """Tell if a weight is computed of others whenever the module runs."""
    piece = Piece.of(layer)
    names = [n for n in ("weight", "bias") if getattr(module, n, None) is not None]
    computed = [name for name in names if name not in module._parameters]
    if computed:
        reason = f"its {' and '.join(computed)} as computed now, of what its state dict holds"
        piece.notes.append((Status.REWRITTEN, reason))
    return piece


#: How a module is read, by its class.
READ: Mapping[str, Callable[[str, Any], Piece]] = {
    "Linear": linear,
    "Conv1d": _conv,
    "Conv2d": _conv,
    "PaddedConv1d": _conv,
    "PaddedConv2d": _conv,
    "AvgPool1d": _mean,
    "AvgPool2d": _mean,
    "MaxPool1d": _pool(MaxPool),
    "MaxPool2d": _pool(MaxPool),
    "SumPool2d": _pool(SumPool),
    **dict.fromkeys(("BatchNorm1d", "BatchNorm2d"), _norm),
    **dict.fromkeys(("ThresholdDependentBatchNorm1d", "ThresholdDependentBatchNorm2d"), _norm),
    "Flatten": _flatten,
    "Identity": _passing,
    "Merge": _passing,  # what it is given is added wherever two layers feed one
    **dict.fromkeys(("Dropout", "Dropout1d", "Dropout2d", "AlphaDropout"), _dropping),
}
