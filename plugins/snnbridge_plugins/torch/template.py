"""Writing into the keys of a net that is there already: a fresh state dict as template."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from snnbridge import OptionError, WriteError
from snnbridge.model import Array, listed, some_of
from snnbridge.storage import array_bytes
from snnbridge_plugins.module_keys import RESET_KEY, reset_word
from snnbridge_plugins.option_pairs import MAP, pairs_of
from snnbridge_plugins.torch.prefixes import matched_behind_prefix
from snnbridge_plugins.torch.stored import StoredTensor

_T = TypeVar("_T")
_SHOWN = 12
#: How many models an AveragedModel has seen: of the wrapper, not of the net.
_AVERAGED = "n_averaged"


def fill(
    template: Mapping[str, Array], entries: Mapping[str, StoredTensor], names: Any
) -> list[StoredTensor]:
    """Put a checkpoint's tensors in the place of a template's.

    A module of the template (the keys below one name) takes the layer that `names` gives it, the
    one of its own name, where no name is the same the one whose name differs by a prefix of all,
    or the only one that is left with the same keys and shapes.

    Parameters
    ----------
    template : mapping of str to array
    entries : mapping of str to StoredTensor
        By the keys that the checkpoint would have by itself.
    names : str or mapping of str to str
        ``LAYER=NAME,LAYER=NAME``: for a layer the module of the template.

    Returns
    -------
    list of StoredTensor
        With the template's keys, in its order.

    Raises
    ------
    WriteError
        Naming every missing and unexpected key, and every tensor that does not fit.
    OptionError
        If `names` is no such list, or names what is not there.
    """
    modules, layers = _modules(template), _modules(entries)
    pairs = _matched(modules, layers, _stated(pairs_of("map", names, MAP), modules, layers))
    found: list[StoredTensor] = []
    missing: list[str] = []
    problems: list[str] = []
    for key, array in template.items():
        name, own = _split(key)
        entry = layers.get(pairs.get(name, name), {}).get(own)
        if entry is None and key == _AVERAGED:
            found.append(StoredTensor(key, array))
        elif entry is None:
            missing.append(key)
        elif reason := _other_reset(entry, array) or _misfit(entry, array):
            problems.append(f"{key!r} {reason}")
        else:
            found.append(replace(entry, key=key))
    problems += _untied(template, found)
    _refuse(problems, missing, list(_unexpected(modules, layers, pairs)))
    return found


def _refuse(problems: list[str], missing: list[str], unexpected: list[str]) -> None:
    told = [listed(problems, _SHOWN, "; ")] if problems else []
    for what, keys in (("missing", missing), ("unexpected", unexpected)):
        if keys:
            told.append(f"{what} {some_of(keys, _SHOWN)}")
    if missing or unexpected:
        told.append(f"where names differ, say map={MAP},...")
    if told:
        raise WriteError(f"the checkpoint does not fit the template: {'; '.join(told)}")


def _split(key: str) -> tuple[str, str]:
    name, _, own = key.rpartition(".")
    return name, own


def _modules(entries: Mapping[str, _T]) -> dict[str, dict[str, _T]]:
    found: dict[str, dict[str, _T]] = {}
    for key, entry in entries.items():
        name, own = _split(key)
        found.setdefault(name, {})[own] = entry
    return found


def _stated(
    names: Mapping[str, str], modules: Mapping[str, Any], layers: Mapping[str, Any]
) -> dict[str, str]:
    """Return the layers that the user gives to modules, by module."""
    for layer, module in names.items():
        for name, known, what in (
            (layer, layers, "layer with tensors"), (module, modules, "module of the template")
        ):  # fmt: skip
            if name not in known:
                there = some_of(list(known))
                raise OptionError(f"map names {name!r}, which is no {what}; there are {there}")
    found: dict[str, str] = {}
    for layer, module in names.items():
        if module in found:
            raise OptionError(
                f"map gives one module of the template two layers: {found[module]!r} and "
                f"{layer!r} to {module!r}"
            )
        found[module] = layer
    return found


def _matched(
    modules: Mapping[str, Mapping[str, Array]],
    layers: Mapping[str, Mapping[str, StoredTensor]],
    given: Mapping[str, str],
) -> dict[str, str]:
    """Return for each module of the template the layer that goes there."""
    pairs = dict(given)
    taken = set(given.values())
    same = {x: x for x in modules if x in layers and x not in pairs and x not in taken}
    pairs |= same
    if not any(same):  # the keys beside all modules have the empty name
        there = [x for x in layers if x not in taken]
        pairs |= matched_behind_prefix([x for x in modules if x not in pairs], there)
    open_: dict[str, list[str]] = {}
    for name, keys in modules.items():
        if name in pairs:
            continue
        used = set(pairs.values())
        free = [x for x, own in layers.items() if x not in used and _same_shapes(keys, own)]
        rivals = [x for x in modules if x not in pairs and _shapes(modules[x]) == _shapes(keys)]
        if len(free) == 1 and len(rivals) == 1:
            pairs[name] = free[0]
        elif len(free) > 1:
            open_[name] = free
    if open_:
        raise WriteError(_ambiguous(open_))
    return pairs


def _ambiguous(open_: Mapping[str, list[str]]) -> str:
    told = [
        f"{name!r} of the template could be any of {some_of(free, _SHOWN)}"
        for name, free in open_.items()
    ]
    example = ",".join(f"{free[0]}={name}" for name, free in islice(open_.items(), _SHOWN))
    return f"{listed(told, _SHOWN, '; ')}; say which is which, like map={example}"


def _shapes(keys: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
    return {own: array.shape for own, array in keys.items()}


def _same_shapes(keys: Mapping[str, Array], entries: Mapping[str, StoredTensor]) -> bool:
    return _shapes(keys) == {own: entry.array.shape for own, entry in entries.items()}


def _misfit(entry: StoredTensor, place: Array) -> str:
    """Say why a tensor does not go to a place of the template; a net casts what it loads."""
    array = entry.array
    if array.shape != place.shape:
        if entry.path is None or entry.path[0] == "state":
            return (
                f"is a state, of shape {place.shape} in the template and {array.shape} in the "
                "checkpoint; make the template of a net that has not run"
            )
        turned = ", its transpose" if array.ndim > 1 and array.shape[::-1] == place.shape else ""
        return f"has the shape {place.shape} there, the checkpoint's {array.shape}{turned}"
    if not _is_kept(array, place.dtype):
        return f"is {place.dtype} there, so that a net would round the checkpoint's {array.dtype}"
    return ""


def _other_reset(entry: StoredTensor, place: Array) -> str:
    """Say so where a net of snnTorch was built with another reset: it goes on as it was built."""
    if _split(entry.key)[1] != RESET_KEY or not entry.array.shape == place.shape == ():
        return ""
    there, here = (reset_word(a) or str(a) for a in (place, entry.array))
    if there == here:
        return ""
    return (
        f"is {there!r} there and {here!r} in the checkpoint: a net keeps the reset that it was "
        f"built with, whatever it loads; make the template of one with reset_mechanism={here!r}"
    )


def _is_kept(array: Array, dtype: np.dtype[Any]) -> bool:
    """Whether every value stays the same in another dtype."""
    if array.dtype.newbyteorder("=") == dtype.newbyteorder("="):
        return True
    if {array.dtype.kind, dtype.kind} - set("iufbV"):
        return False
    with np.errstate(all="ignore"):
        cast = array.astype(dtype)
        back = cast.astype(array.dtype)
    whole = {array.dtype.kind, dtype.kind} <= {"i", "u"}
    return bool(np.array_equal(cast, array)) if whole else array_bytes(back) == array_bytes(array)


def _untied(template: Mapping[str, Array], found: Iterable[StoredTensor]) -> Iterator[str]:
    """Name tensors that the template shares, and of which the checkpoint holds several."""
    first: dict[Any, StoredTensor] = {}
    for entry in found:
        array = template[entry.key]
        memory = array.__array_interface__["data"][0], array.shape, array.strides, array.dtype
        held = first.setdefault(memory if array.size else entry.key, entry)
        if held.array is not entry.array and array_bytes(held.array) != array_bytes(entry.array):
            yield f"{entry.key!r} and {held.key!r} are one there, and differ in the checkpoint"


def _unexpected(
    modules: Mapping[str, Mapping[str, Array]],
    layers: Mapping[str, Mapping[str, StoredTensor]],
    pairs: Mapping[str, str],
) -> Iterator[str]:
    """Name the tensors of the checkpoint for which the template has no key."""
    places = {layer: modules.get(module, {}) for module, layer in pairs.items()}
    for name, own in layers.items():
        for key, entry in own.items():
            if entry.path is not None and key not in (_AVERAGED, *places.get(name, ())):
                yield f"{name}.{key}" if name else key
