"""Which way round a matrix lies: (out, in) as PyTorch keeps it, or (in, out) as Rockpool does."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from snnbridge.model import Array
from snnbridge_plugins.module_keys import class_in_name

ROCKPOOL, LINEAR = "rockpool", "LinearTorch"


def turned(
    modules: Mapping[str, Mapping[str, Array]], frameworks: Collection[str]
) -> dict[str, bool | None]:
    """Tell which matrices are (in, out).

    Parameters
    ----------
    modules : mapping of str to mapping of str to array
        Their arrays by name.
    frameworks : collection of str
        Those of the modules that their keys tell.

    Returns
    -------
    dict of str to bool or None
        By the names of the modules that are a matrix, perhaps with a bias. Its name tells it, or
        the length of its bias. Where neither does, a net that has modules of Rockpool has its
        matrices too, unless one of them is surely of PyTorch: then it is None.
    """
    matrices = {name: arrays for name, arrays in modules.items() if _is_matrix(arrays)}
    if ROCKPOOL not in frameworks and not any(class_in_name(name) for name in modules):
        return dict.fromkeys(matrices, False)
    found = {name: _told(name, arrays) for name, arrays in matrices.items()}
    usual = None if False in found.values() else True
    return {name: usual if told is None else told for name, told in found.items()}


def _is_matrix(arrays: Mapping[str, Array]) -> bool:
    weight = arrays.get("weight")
    return weight is not None and set(arrays) <= {"weight", "bias"} and weight.ndim == 2


def _told(name: str, arrays: Mapping[str, Array]) -> bool | None:
    kind = class_in_name(name)
    if kind:
        return kind == LINEAR
    weight, bias = arrays["weight"], arrays.get("bias")
    if bias is None or weight.shape[0] == weight.shape[1]:
        return None
    return bool(bias.shape == weight.shape[1:])


def notes(
    told: Mapping[str, bool | None], modules: Mapping[str, Mapping[str, Array]]
) -> Iterator[str]:
    """Say what was concluded, and what was not."""
    concluded = [n for n, is_turned in told.items() if is_turned and _told(n, modules[n]) is None]
    if concluded:
        yield (
            f"{', '.join(concluded)}: read as Rockpool's LinearTorch, whose weight is (in, out), "
            "for the net has Rockpool's modules; a square nn.Linear, or one without a bias, looks "
            "the same"
        )
    unclear = [name for name, is_turned in told.items() if is_turned is None]
    if unclear:
        yield (
            f"{', '.join(unclear)}: Rockpool's LinearTorch keeps its weight as (in, out), and "
            "PyTorch's Linear, which the net has too, as (out, in); state "
            'class = "rockpool.LinearTorch" or kind = "Linear"'
        )
