"""The recipes of layers without a state: sums, windows, norms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

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
    Scale,
    SumPool,
)
from snnbridge.simulator.engines import refuse_odd
from snnbridge_plugins.onnx.recipes.recipe import Inside, Recipe, Setting, Terms
from snnbridge_plugins.onnx.recipes.terms import Scope, Term
from snnbridge_plugins.onnx.recipes.windows import counts, pads, taps

_AT_ONCE = 4 << 20


def _array(layer: Layer, name: str) -> Array:
    value = layer.parameters[name].value
    assert value is not UNKNOWN
    rows = max(1, _AT_ONCE * len(value) // max(1, value.nbytes)) if value.ndim else 1
    for start in range(0, len(value) if value.ndim else 1, rows):
        refuse_odd(layer, name, value[start : start + rows] if value.ndim else value)
    return value


#: What every runtime converts to float64.
_NUMBERS = {
    f"{kind}{bits}" for kind in ("int", "uint", "float") for bits in (8, 16, 32, 64)
} | {"bool"}  # fmt: skip


def _arrays(layer: Layer, *names: str) -> dict[str, Array]:
    held = {name: _array(layer, name) for name in names if name in layer.parameters}
    return {
        name: value if value.dtype.name in _NUMBERS else value.astype(np.float64)
        for name, value in held.items()
    }


def linear(layer: Linear, to: Setting) -> Recipe:
    """Return the recipe of a weighted sum of all inputs."""

    def prepare(scope: Scope, p: Terms) -> dict[str, Term]:
        wide = _columns(p["weight"].cast(to.sums), (1, 0))
        return {"weight": wide, **({"bias": p["bias"].cast(to.sums)} if "bias" in p else {})}

    def step(at: Inside) -> tuple[list[Term], list[Term]]:
        x = _apart(at.inputs[0], to.sums)
        y = at.scope.op("MatMul", x, at.p["weight"])
        return [_apart(_finished(at, y, to.sums), to.width)], []

    arrays = _arrays(layer, "weight", "bias")
    title = "LinearBias" if "bias" in arrays else "Linear"
    doc = f"weight @ x, summed in {to.sums}, rounded once"
    outputs = (("y", to.shape_out),)
    return Recipe(title, step, outputs, arrays, prepare, pointwise=True, doc=doc)


def _columns(rows: Term, perm: tuple[int, ...]) -> Term:
    """Turn a matrix, apart from what multiplies it.

    onnxruntime before 1.18 takes the turning into the product, and lacks that for float64.
    """
    turned = rows.scope.op("Transpose", rows, hint="columns", perm=perm)
    return _apart(turned, turned.dtype)


def _apart(x: Term, dtype: str) -> Term:
    """Convert; where nothing is to be converted, keep runtimes from joining what stands around.

    onnxruntime takes a factor beside a product into the product, as a float32 whatever the
    product's own dtype. The largest of one value is that value.
    """
    return x.scope.op("Max", x) if x.dtype == dtype else x.cast(dtype)


def _finished(at: Inside, y: Term, width: str) -> Term:
    """Add the bias last, and round once."""
    return (y + at.p["bias"] if "bias" in at.p else y).cast(width)


def conv(layer: Conv1d | Conv2d, to: Setting) -> Recipe:
    """Return the recipe of a convolution: gathered windows times the kernel."""
    weight = _array(layer, "weight")
    outputs, inputs, *kernel = weight.shape
    groups, area = int(layer.groups), math.prod(kernel)  # type: ignore[arg-type]
    places = math.prod(to.shape_out[1:])

    def prepare(scope: Scope, p: Terms) -> dict[str, Term]:
        rows = scope.reshape(p["weight"].cast(to.sums), (groups, outputs // groups, inputs * area))
        found = {"weight": _columns(rows, (0, 2, 1))}
        if "bias" in p:
            ones = (1,) * len(kernel)
            found["bias"] = scope.reshape(p["bias"].cast(to.sums), (-1, *ones))
        return {**found, "taps": p["taps"]}

    def step(at: Inside) -> tuple[list[Term], list[Term]]:
        s = at.scope
        seen = _windows(at, to.shape_in[0], math.prod(to.shape_in[1:]))
        seen = s.reshape(seen, (0, groups, inputs, places, area))
        rows = s.op("Transpose", seen, perm=(0, 1, 3, 2, 4))
        rows = s.reshape(rows, (0, groups, places, inputs * area)).cast(to.sums)
        y = s.op("Transpose", s.op("MatMul", rows, at.p["weight"]), perm=(0, 1, 3, 2))
        return [_finished(at, s.reshape(y, (0, *to.shape_out)), to.width)], []

    parameters = {**_arrays(layer, "weight", "bias"), "taps": taps(layer, to.shape_in, kernel)}
    doc = f"a sum over the window, in {to.sums}, rounded once"
    return Recipe(layer.kind, step, (("y", to.shape_out),), parameters, prepare, doc=doc)


def _windows(at: Inside, channels: int, area: int) -> Term:
    """Gather the elements of each window, zeros where it reaches beyond: (batch, channels, ...)."""
    s, x = at.scope, at.inputs[0]
    flat = s.reshape(x, (0, channels, area))
    zero = s.constant(0, x.dtype)
    padded = s.op("Pad", flat, s.constant([0, 0, 0, 0, 0, 1], "int64"), zero)
    return s.op("Gather", padded, at.p["taps"], axis=2)


def pool(layer: SumPool | AvgPool, to: Setting) -> Recipe:
    """Return the recipe of a sum or mean over windows."""
    axes = len(layer.window)  # type: ignore[arg-type]
    channels, area = math.prod(to.shape_in[:-axes]), math.prod(to.shape_in[-axes:])
    places, window = math.prod(to.shape_out[-axes:]), math.prod(layer.window)  # type: ignore[arg-type]
    parameters = {"taps": taps(layer, to.shape_in, layer.window)}  # type: ignore[arg-type]
    if isinstance(layer, AvgPool):
        parameters["counts"] = counts(layer, parameters["taps"].reshape(places, window), area)

    def step(at: Inside) -> tuple[list[Term], list[Term]]:
        s = at.scope
        seen = s.reshape(_windows(at, channels, area), (0, channels, places, window))
        total = s.op("ReduceSum", seen.cast("float64"), s.constant([3], "int64"), keepdims=0)
        if "counts" in at.p:
            total = total / at.p["counts"]
        return [s.reshape(total.cast(to.width), (0, *to.shape_out))], []

    return Recipe(layer.kind, step, (("y", to.shape_out),), parameters)


def max_pool(layer: MaxPool, to: Setting) -> Recipe:
    """Return the recipe of the largest value of each window."""
    axes = len(layer.window)  # type: ignore[arg-type]
    channels = math.prod(to.shape_in[:-axes])
    windows: dict[str, Any] = {
        "kernel_shape": list(layer.window),  # type: ignore[arg-type]
        "strides": list(layer.stride),  # type: ignore[arg-type]
        "pads": pads(layer, to.shape_in[-axes:]),
    }

    def step(at: Inside) -> tuple[list[Term], list[Term]]:
        flat = at.scope.reshape(at.inputs[0], (0, channels, *to.shape_in[-axes:]))
        most = at.scope.op("MaxPool", flat, **windows)
        return [at.scope.reshape(most, (0, *to.shape_out))], []

    # Not called MaxPool, which is a standard operator's name: some tools look at the name alone.
    return Recipe(f"MaxPool{axes}d", step, (("y", to.shape_out),))


def flatten(layer: Flatten, to: Setting) -> Recipe:
    """Return the recipe of a flattening that runs over the channels last."""
    start, count = int(layer.start), len(to.shape_in)  # type: ignore[arg-type]
    order = list(range(count))
    order.insert(int(layer.end) % count, order.pop(start % count))  # type: ignore[arg-type]

    def step(at: Inside) -> tuple[list[Term], list[Term]]:
        perm = [*range(at.lead), *(n + at.lead for n in order)]
        moved = at.scope.op("Transpose", at.inputs[0], perm=perm)
        return [at.scope.reshape(moved, (*(0,) * at.lead, *to.shape_out))], []

    return Recipe("FlattenChannelsLast", step, (("y", to.shape_out),), pointwise=True)


def scale(layer: Scale, to: Setting) -> Recipe:
    """Return the recipe of a factor."""

    def prepare(scope: Scope, p: Terms) -> dict[str, Term]:
        return {"factor": p["factor"].cast("float64")}

    def step(at: Inside) -> tuple[list[Term], list[Term]]:
        return [(at.inputs[0].cast("float64") * at.p["factor"]).cast(to.width)], []

    parameters = _arrays(layer, "factor")
    outputs = (("y", to.shape_out),)
    return Recipe("Scale", step, outputs, parameters, prepare, pointwise=True)


def norm(layer: BatchNorm, to: Setting) -> Recipe:
    """Return the recipe of a normalisation by running statistics."""
    columns = (-1, *(1,) * (len(to.shape_in) - 1))

    def prepare(scope: Scope, p: Terms) -> dict[str, Term]:
        wide = {name: p[name].cast("float64") for name in parameters}
        wide["deviation"] = scope.op("Sqrt", wide.pop("variance") + wide.pop("epsilon"))
        return {name: scope.reshape(value, columns) for name, value in wide.items()}

    def step(at: Inside) -> tuple[list[Term], list[Term]]:
        y = (at.inputs[0].cast("float64") - at.p["mean"]) / at.p["deviation"]
        y = y * at.p["weight"] if "weight" in at.p else y
        return [_finished(at, y, to.width)], []

    parameters = _arrays(layer, "mean", "variance", "weight", "bias", "epsilon")
    outputs = (("y", to.shape_out),)
    return Recipe("BatchNorm", step, outputs, parameters, prepare, pointwise=True)
