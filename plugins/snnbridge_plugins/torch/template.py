"""Writing into the keys of a net that is there already: a fresh state dict as template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from snnbridge import OptionError, WriteError
from snnbridge.model import Array
from snnbridge_plugins.torch.entries import Entry

_T = TypeVar("_T")
_SHOWN = 12


def fill(template: Mapping[str, Array], entries: Mapping[str, Entry], names: str) -> list[Entry]:
    """Put a checkpoint's tensors in the place of a template's.

    A module of the template (the keys below one name) takes the layer that `names` gives it, the
    one of its own name, or the only one that is left with the same keys and shapes.

    Parameters
    ----------
    template : mapping of str to array
    entries : mapping of str to Entry
        By the keys that the checkpoint would have by itself.
    names : str
        ``MODULE=LAYER,MODULE=LAYER``.

    Returns
    -------
    list of Entry
        With the template's keys, in its order.

    Raises
    ------
    WriteError
        Naming every missing and unexpected key, and every tensor that does not fit.
    OptionError
        If `names` is no such list.
    """
    modules, layers = _modules(template), _modules(entries)
    pairs = _matched(modules, layers, _pairs(names))
    found: list[Entry] = []
    problems: list[str] = []
    for key, array in template.items():
        name, own = _split(key)
        entry = layers.get(pairs.get(name, name), {}).get(own)
        reason = "missing" if entry is None else _misfit(entry.array, array)
        if reason:
            problems.append(f"{key!r} {reason}")
        elif entry is not None:
            found.append(replace(entry, key=key))
    problems += _unexpected(modules, layers, pairs)
    if problems:
        more = f", and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise WriteError(
            f"the checkpoint does not fit the template: {'; '.join(problems[:_SHOWN])}{more}; "
            "where names differ, say map=MODULE=LAYER,..."
        )
    return found


def _split(key: str) -> tuple[str, str]:
    name, _, own = key.rpartition(".")
    return name, own


def _modules(entries: Mapping[str, _T]) -> dict[str, dict[str, _T]]:
    found: dict[str, dict[str, _T]] = {}
    for key, entry in entries.items():
        name, own = _split(key)
        found.setdefault(name, {})[own] = entry
    return found


def _pairs(names: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in names.split(",")] if names else []
    if any(not module or not layer for module, _, layer in pairs):
        raise OptionError(f"map must be MODULE=LAYER,MODULE=LAYER,..., not {names!r}")
    return {module.strip(): layer.strip() for module, _, layer in pairs}


def _matched(
    modules: Mapping[str, Mapping[str, Array]],
    layers: Mapping[str, Mapping[str, Entry]],
    given: Mapping[str, str],
) -> dict[str, str]:
    """Return for each module of the template the layer that goes there."""
    pairs = dict(given)
    pairs |= {name: name for name in modules if name in layers and name not in pairs}
    for name, keys in modules.items():
        if name in pairs:
            continue
        used = set(pairs.values())
        free = [x for x, own in layers.items() if x not in used and _same_shapes(keys, own)]
        rivals = [x for x in modules if x not in pairs and _shapes(modules[x]) == _shapes(keys)]
        if len(free) == 1 and len(rivals) == 1:
            pairs[name] = free[0]
        elif len(free) > 1:
            raise WriteError(
                f"{name!r} of the template could be any of {', '.join(map(repr, free))}; say which "
                f"with map={name}=LAYER"
            )
    return pairs


def _shapes(keys: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
    return {own: array.shape for own, array in keys.items()}


def _same_shapes(keys: Mapping[str, Array], entries: Mapping[str, Entry]) -> bool:
    return _shapes(keys) == {own: entry.array.shape for own, entry in entries.items()}


def _misfit(array: Array, place: Array) -> str:
    if array.shape != place.shape:
        return f"has the shape {place.shape}, not {array.shape}"
    if array.dtype.newbyteorder("=") != place.dtype.newbyteorder("="):
        return f"is {place.dtype}, not {array.dtype}"
    return ""


def _unexpected(
    modules: Mapping[str, Mapping[str, Array]],
    layers: Mapping[str, Mapping[str, Entry]],
    pairs: Mapping[str, str],
) -> Iterator[str]:
    """Name the tensors of the checkpoint for which the template has no key."""
    places = {layer: modules.get(module, {}) for module, layer in pairs.items()}
    for name, own in layers.items():
        for key, entry in own.items():
            if entry.path is not None and key not in places.get(name, ()):
                yield f"'{name}.{key}' unexpected"
