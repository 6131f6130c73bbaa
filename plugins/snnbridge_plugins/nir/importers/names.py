"""Names of nodes that importers can use: they become attributes of a module of torch."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping

from snnbridge import Input, Layer, Output

#: The attributes that a module has already (torch 2.13), on which importers stumble.
_ATTRIBUTES = """
    add_module add_submodule apply bfloat16 buffers call_super_init children clear code compile cpu
    cuda delete_all_unused_submodules delete_submodule double dump_patches eval extra_repr float
    forward get_buffer get_extra_state get_parameter get_submodule graph half ipu items keys
    load_state_dict modules mtia named_buffers named_children named_modules named_parameters
    parameters pop print_readable recompile requires_grad_ set_extra_state set_submodule
    share_memory state_dict to to_empty to_folder train training type update values xpu zero_grad
"""
_TAKEN = frozenset(_ATTRIBUTES.split())
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]*")
#: The ends of a graph are found by these names (Spyx).
_ENDS: Mapping[type[Layer], str] = {Input: "input", Output: "output"}


def usable_names(layers: Mapping[str, Layer]) -> dict[str, str]:
    """Return a name for each layer's node, the layer's own wherever an importer can use it.

    Parameters
    ----------
    layers : mapping of str to Layer
        With at most one `Input` and one `Output`.
    """
    found = {name: _ENDS[type(x)] for name, x in layers.items() if type(x) in _ENDS}
    inner = [name for name in layers if name not in found]
    found |= {name: name for name in inner if _is_usable(name)}
    used = set(found.values())
    for name in inner:
        if name not in found:
            base = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_") or "node"
            free = f"{base}_"
            while free in used:
                free += "_"
            found[name] = free
            used.add(free)
    return found


def _is_usable(name: str) -> bool:
    if name in _TAKEN or name in _ENDS.values() or keyword.iskeyword(name):
        return False
    return _PLAIN.fullmatch(name) is not None and not name.startswith("register_")
