"""What a node of a running BrainPy says of itself, in the words of the table of classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from snnbridge.express.demands import once
from snnbridge.model import UNKNOWN, AvgPool, Flatten, Layer, Neuron, Synapse
from snnbridge.rules import FrameworkClass

_METHODS = {"ExponentialEuler": "exp_auto", "Euler": "euler", "RK4": "rk4"}
_LAST = (-1,)
_NEVER = ("name", "mode", "size", "num", "varshape", "nodes")


def kind_of(node: Any) -> str:
    """Return the node's class: BrainPy's own name of it, or a longer one that is none of them.

    A subclass may do anything, and so may a kernel with a mask or holes in its input; these are
    no members of a class that the table describes.
    """
    kind = type(node)
    if not kind.__module__.startswith("brainpy."):
        return f"{kind.__module__}.{kind.__qualname__}"
    if getattr(node, "mask", None) is not None:
        return f"{kind.__name__} with a mask"
    holes = getattr(node, "lhs_dilation", 1)
    if any(n != 1 for n in np.atleast_1d(holes)):
        return f"{kind.__name__} with a dilated input"
    if getattr(node, "channel_axis", -1) not in _LAST:
        return f"{kind.__name__} with channel_axis={node.channel_axis}"
    return kind.__name__


def arguments_of(node: Any, layer: Layer, known: FrameworkClass) -> dict[str, Any]:
    """Return the arguments of the node's class as they stand in the node.

    Parameters
    ----------
    node : brainpy.DynamicalSystem
    layer : Layer
        What it became so far.
    known : FrameworkClass
        The class.
    """
    names = set(known.arguments) - {"A", "method", "spk_reset", "order"}
    found = {name: _plain(getattr(node, name)) for name in names if hasattr(node, name)}
    if isinstance(layer, Neuron | Synapse):
        found = {name: _channels_first(value) for name, value in found.items()}
        found["shape"] = _moved(tuple(int(n) for n in node.varshape))
        found |= _rule_arguments(node, known)
    if isinstance(layer, Flatten):
        # Releases before 2.4.3 run over all axes but that of the batch.
        start, end = getattr(node, "start_dim", 0), getattr(node, "end_dim", -1)
        found |= {"order": "channels last", "start": start, "end": end}
    if isinstance(layer, AvgPool):
        found["count_padding"] = False
    if isinstance(found.get("kernel_size"), int):  # over all axes, and nobody says how many
        for name in ("kernel_size", "stride", "padding"):
            del found[name]
    return found


def _channels_first(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.ndim > 1:
        return np.moveaxis(value, -1, 0)
    return value


def _moved(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[-1:], *shape[:-1])


def batch_axis_of(node: Any) -> int | None:
    """Return the axis over which a node's variables run over the batch."""
    variables = node.vars(level=0, include_self=True).unique().values()
    axes = {getattr(variable, "batch_axis", None) for variable in variables}
    return 0 if 0 in axes else None


def _rule_arguments(node: Any, known: FrameworkClass) -> dict[str, Any]:
    found: dict[str, Any] = {}
    # The attribute `method` is not the method where a class hands its own to the integrator.
    method = _METHODS.get(type(getattr(node, "integral", None)).__name__)
    if method is not None and getattr(node, "noise", None) is None:
        found["method"] = method
    if "spk_reset" in known.arguments:
        training = type(node.mode).__name__ == "TrainingMode"
        # Releases before 2.4.3 know one reset only, the hard one.
        found["spk_reset"] = getattr(node, "spk_reset", "hard") if training else "nontraining"
    if "tau_ref" in known.arguments and getattr(node, "tau_ref", None) is None:
        found["tau_ref"] = 0.0
    if "A" in known.arguments:
        found["A"] = _amplitude(node, known.kind)
    return found


def start_of(node: Any) -> Any:
    """Return the potential that a node starts from, channels first.

    Returns
    -------
    numpy.ndarray, None or UNKNOWN
        None for 0, and where the class knows no other; UNKNOWN where it is drawn anew each time.
    """
    make = getattr(node, "_V_initializer", getattr(node, "_x_initializer", None))
    if not callable(make):
        return None
    first, second = (np.asarray(_plain(make(tuple(node.varshape)))) for _ in range(2))
    if not np.array_equal(first, second):
        return UNKNOWN
    return once(_channels_first(first)) if first.any() else None


def _amplitude(node: Any, kind: str) -> Any:
    """Return the amplitude of a double exponential, from the factor that the node keeps."""
    if kind != "DualExpon":
        return _plain(node.a)
    factor = np.asarray(_plain(node.a), np.float64)
    decay, rise = (np.asarray(_plain(x), np.float64) for x in (node.tau_decay, node.tau_rise))
    return factor * rise * decay / (decay - rise) if np.all(decay != rise) else None


def trained_in(node: Any) -> set[str]:
    """Return the attributes of a node that hold variables for training."""
    return {key for key, value in vars(node).items() if type(value).__name__ == "TrainVar"}


def settings_of(node: Any) -> dict[str, Any]:
    """Return the numbers, texts and arrays that a node of an unknown class has as attributes."""
    found = {}
    for key, value in vars(node).items():
        if key.startswith("_") or key in _NEVER or "Variable" in _classes(value):
            continue
        plain = _plain(value)
        if _is_setting(plain):
            found[key] = plain
    return found


def _classes(value: object) -> set[str]:
    return {kind.__name__ for kind in type(value).__mro__}


def _plain(value: Any) -> Any:
    """Turn arrays of JAX and BrainPy into numpy's."""
    inner = getattr(value, "value", value)
    if hasattr(inner, "__array__") and hasattr(inner, "dtype") and hasattr(inner, "shape"):
        return np.asarray(inner)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(x) for x in value] if isinstance(value, list) else value


def _is_setting(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_setting(item) for item in value)
    if isinstance(value, dict):
        return bool(value) and all(_is_setting(item) for item in value.values())
    return value is None or isinstance(value, bool | int | float | str | np.ndarray)
