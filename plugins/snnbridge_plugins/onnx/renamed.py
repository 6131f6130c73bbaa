"""Arrays that a tool renamed, transposed or widened: told by the digest of their bytes.

An optimizer computes at once what the graph does with its weights alone: it turns them round,
makes float64 of float32, and gives the result a name of its own. Turned back, the bytes are
those that were written, or they are not, which their digest tells.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from snnbridge.document import dtype_of
from snnbridge.model import Array
from snnbridge.storage import blocks
from snnbridge_plugins.onnx.file.arrays import Tensors
from snnbridge_plugins.onnx.file.schema import BITS, DATA_TYPES


class Renamed:
    """Looks for arrays under other names than their own.

    Parameters
    ----------
    tensors : Tensors
    references : iterable of mapping
        Of the document; those whose tensors are gone are looked for.
    """

    def __init__(self, tensors: Tensors, references: Iterable[Mapping[str, Any]]) -> None:
        self._found: dict[tuple[str, str, tuple[int, ...]], tuple[str, Array]] = {}
        wanted: dict[tuple[int, ...], set[str]] = {}
        for held in references:
            if held["initializer"] not in tensors and (form := _form(held)):
                wanted.setdefault(form[1], set()).add(form[0])
        for name in tensors.names() if wanted else ():
            array = tensors.array(name)
            for turned in (array, array.T) if array.ndim > 1 else (array,):
                for dtype in wanted.get(turned.shape, ()):
                    self._note(name, turned, dtype)

    def _note(self, name: str, array: Array, dtype: str) -> None:
        if not np.can_cast(dtype_of(dtype), array.dtype, "safe"):
            return
        with np.errstate(all="ignore"):
            array = array.astype(dtype_of(dtype), copy=False)
        sha256 = hashlib.sha256()
        for piece in blocks(array):
            sha256.update(piece)
        array.flags.writeable = False
        self._found[sha256.hexdigest(), dtype, array.shape] = name, array

    def find(self, reference: Mapping[str, Any]) -> tuple[str, Array] | None:
        """Return the name under which an array is now, and the array, if it is there."""
        form = _form(reference)
        return self._found.get((str(reference.get("sha256")), *form)) if form else None


def _form(reference: Mapping[str, Any]) -> tuple[str, tuple[int, ...]] | None:
    """Return the type and the shape of a tensor as it was written."""
    dtype, dims = reference.get("type"), reference.get("dims")
    if not isinstance(dtype, str) or dtype not in DATA_TYPES or dtype in BITS:
        return None
    if not isinstance(dims, list) or not all(type(n) is int for n in dims):
        return None
    return dtype, tuple(dims)
