"""Weights as brainstate and braintools keep them: one state that is a dict of arrays.

A layer ``fc1`` is ``{"weight": {"weight": (in, out), "bias": (out,)}}`` in braintools' own files,
and its dict stands under the key ``"('fc1', 'weight')"`` where a trainer saved it. Neither tells
the layer's class: several of brainstate's keep such a dict and compute something else with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from snnbridge import rules
from snnbridge.model import Conv1d, Conv2d, Layer, Linear, Origin, Parameter, Tree
from snnbridge.node_trees.forms import ARRAYS, role

_PATH = re.compile(r"\((?:'[^'\\]*'(?:, |,(?=\))|(?=\))))+\)")
_STEP = re.compile(r"'([^']*)'")


def owner_of(key: str) -> str:
    """Return the layer whose state stands under a key: all but the last step of its path.

    Examples
    --------
    >>> owner_of("('block', 'fc1', 'weight')"), owner_of("fc1")
    ('block.fc1', 'fc1')
    """
    if not _PATH.fullmatch(key):
        return key
    return ".".join(_STEP.findall(key)[:-1])


def read_weights(
    name: str, content: Mapping[str, Tree], kind: str
) -> tuple[Layer, Mapping[str, Any]] | None:
    """Read a dict of weights as the class that the user states.

    Parameters
    ----------
    name : str
    content : mapping
        One of the two forms above.
    kind : str
        A class of :mod:`snnbridge.rules`.

    Returns
    -------
    layer, roles
        Or ``None`` if it is no such dict, or not one of that class. The roles are nested as
        `content` is.
    """
    inner = content.get("weight") if content.keys() == {"weight"} else content
    layer = rules.get("brainpy", kind).layer
    if layer not in (Linear, Conv1d, Conv2d) or not isinstance(inner, Mapping):
        return None
    forms = dict(ARRAYS[layer].values())
    if not {"weight"} <= inner.keys() <= forms.keys():
        return None
    fields: dict[str, Any] = {}
    for key, stored in inner.items():
        if not isinstance(stored, np.ndarray) or not forms[key].fits(stored):
            return None
        fields[key] = Parameter(forms[key].held(stored))
    roles = {key: role("p", key) for key in inner}
    return (
        layer(name, origin=Origin("brainpy", kind), **fields),
        roles if inner is content else {"weight": roles},
    )
