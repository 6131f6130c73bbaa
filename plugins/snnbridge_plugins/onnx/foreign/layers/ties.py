"""Which parameters of layers are one tensor of the graph."""

from __future__ import annotations

from collections.abc import Mapping

from snnbridge import UNKNOWN, Layer
from snnbridge.model import Parameter, Path


def ties(weights: Mapping[str, str], layers: Mapping[str, Layer]) -> list[set[Path]]:
    """Return the weights that are one tensor, and the biases of the same layers.

    Biases and statistics alone do not count: torch's newer exporter stores equal ones once.

    Parameters
    ----------
    weights : mapping of str to str
        From layers to the tensors that their matrices or kernels are.
    layers : mapping of str to Layer
    """
    sharing: dict[str, list[str]] = {}
    for name, tensor in weights.items():
        if tensor:
            sharing.setdefault(tensor, []).append(name)
    found = []
    for names in sharing.values():
        for what in ("weight", "bias"):
            found += _equal({(n, what): layers[n].parameters.get(what) for n in names})
    return found


def _equal(parameters: Mapping[Path, Parameter | None]) -> list[set[Path]]:
    """Return the paths of parameters that are one array, turned alike."""
    groups: dict[tuple[object, ...], set[Path]] = {}
    for path, held in parameters.items():
        if held is not None and held.value is not UNKNOWN:
            x = held.value
            key = (x.__array_interface__["data"][0], x.shape, x.strides, x.dtype)
            groups.setdefault(key, set()).add(path)
    return [paths for paths in groups.values() if len(paths) > 1]
