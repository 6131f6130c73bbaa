"""What the frameworks store, reduced to the values that the wire format knows.

The frameworks are never imported: their objects are recognised by their attributes.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from snnbridge.errors import WriteError

_MAX_WRAPPERS = 16


def plain(value: object) -> object:
    """Return `value` as a dict, a numpy array or a leaf of exactly a builtin type.

    Dicts, lists, tuples and named tuples become dicts; the wrappers of the frameworks give what
    they wrap; array-like objects become numpy arrays. The values of a dict are left as they are.

    Raises
    ------
    WriteError
        If the format has no form for `value`.

    Examples
    --------
    >>> plain([1, "a"])
    {'0': 1, '1': 'a'}
    """
    for _ in range(_MAX_WRAPPERS):
        reduced = _reduced(value)
        if reduced is value:
            break
        value = reduced
    return value


def text_keys(tree: Mapping[Any, object]) -> dict[str, object]:
    """Return `tree` with each key replaced by ``str(key)``, as the frameworks do.

    Raises
    ------
    WriteError
        If two keys have the same text.
    """
    result: dict[str, object] = {}
    for key, value in tree.items():
        text = str(key)
        if text in result:
            raise WriteError(f"two keys of a dict have the text {text[:64]!r}; rename one")
        result[text] = value
    return result


def _reduced(value: Any) -> object:
    """Take one wrapper off `value`, or return it unchanged if it has none."""
    if isinstance(value, dict):
        return _plain_dict(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {field: getattr(value, field) for field in value._fields}
    if isinstance(value, (list, tuple)):
        return {str(i): item for i, item in enumerate(value)}
    if isinstance(value, np.ndarray):
        return _plain_array(value)
    if isinstance(value, (np.generic, enum.Enum)):
        return value
    if isinstance(value, complex):
        return complex(value)
    return _unwrapped(value)


def _plain_dict(value: Any) -> object:
    if type(value) is dict:
        return value
    if hasattr(type(value), "to_nest"):  # brainstate's dict of path tuples
        return value.to_nest()
    return dict(value.items())


def _plain_array(value: np.ndarray[Any, Any]) -> object:
    if isinstance(value, np.ma.MaskedArray):
        raise WriteError("the mask of a masked array would be lost; fill it first")
    return value if type(value) is np.ndarray else value.view(np.ndarray)


def _unwrapped(value: Any) -> object:
    """Take off a wrapper that is known by its attributes alone."""
    if hasattr(value, "mantissa") and hasattr(value, "unit"):
        return _quantity(value)
    if isinstance(value, functools.partial) and type(value).__name__ == "Partial":
        return {"args": value.args, "keywords": value.keywords}  # as jax.tree_util.Partial
    if str(getattr(value, "dtype", "")).startswith("key<"):
        return _random_key(value)
    # brainstate.State holds any tree, brainpy.math.Array an array.
    if hasattr(value, "restore_value") or _is_array(getattr(value, "value", None)):
        return value.value
    if _is_array(value):
        return _as_array(value)
    return value


def _quantity(value: Any) -> dict[str, object]:
    """Return the map that braintools stores for a brainunit quantity."""
    unit = value.unit
    fields = {
        "mantissa": value.mantissa,
        "scale": unit.scale,
        "base": unit.base,
        "dim": unit.dim._dims,
    }
    if hasattr(unit, "factor"):  # units of early versions have none
        fields["factor"] = unit.factor
    return fields


def _random_key(value: Any) -> dict[str, object]:
    """Return the map that braintools stores for a typed random key of jax."""
    return {"__prng_key_impl__": value._impl.name, "key_data": value._base_array}


def _is_array(value: object) -> bool:
    return (
        not isinstance(value, (type, np.generic))
        and hasattr(value, "__array__")
        and isinstance(getattr(value, "dtype", None), np.dtype)
        and isinstance(getattr(value, "shape", None), tuple)
    )


def _as_array(value: Any) -> np.ndarray[Any, Any]:
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        name = type(value).__name__
        raise WriteError(f"the array of a {name!r} object cannot be read: {error}") from error
