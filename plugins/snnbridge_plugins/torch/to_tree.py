"""The tree that stands in a file for a checkpoint, and where each array of it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnbridge import (
    ReadError,
    SNNCheckpoint,
    WriteError,
)
from snnbridge.document import AS_IT_IS, TRANSPOSED, ArrayForm
from snnbridge.model import Array, Path
from snnbridge.storage import Source, array_bytes
from snnbridge_plugins.torch.finding import read_state_dict
from snnbridge_plugins.torch.pickling import is_writable
from snnbridge_plugins.torch.stored import StoredTensor, array_at, is_turned, stored_tensors
from snnbridge_plugins.torch.template import fill
from snnbridge_plugins.torch.trees import Notes, from_json

NAME = "torch"
_NO_OPTIONS: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Native:
    """What a file says in its own words.

    Parameters
    ----------
    tree : dict
        Plain: JSON values and arrays.
    net : tuple of str
        Where the state dict stands in it.
    notes : Notes
        On the classes of its nodes.
    places : dict of path to (path, ArrayForm)
        For each array of the checkpoint that stands in the tree its place and form there.
    shared : dict of tuple of str to int
        For each place of a tied parameter the number of its tie.
    """

    tree: Any
    net: tuple[str, ...]
    notes: Notes
    places: Mapping[Path, tuple[tuple[str, ...], ArrayForm]]
    shared: Mapping[tuple[str, ...], int]


def native_of(
    checkpoint: SNNCheckpoint, *, flat: bool = False, options: Mapping[str, Any] = _NO_OPTIONS
) -> Native:
    """Return a checkpoint as a state dict, beside it what a training script keeps.

    What was read from a file of this kind is written with its keys in their order.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    flat : bool
        Whether the tree is the state dict alone.
    options : mapping
        ``like`` and ``map``.

    Raises
    ------
    WriteError
        If the checkpoint and the template do not fit each other.
    """
    layout = {} if "like" in options else _layout_of(checkpoint)
    net = tuple(layout.get("net", ("state_dict",) if checkpoint.training else ()))
    net = () if flat or "like" in options else net
    rest = _writable(checkpoint.training) if net else {}
    entries = {e.key: e for e in in_order(checkpoint, layout) if is_writable(e.array)}
    if "like" in options:
        filled = fill(template_of(options["like"]), entries, options.get("map", ""))
        entries = {entry.key: entry for entry in filled}
    state, groups = _with_ties(checkpoint, entries)
    tree = {**rest, net[0]: state} if net else state
    if "order" in layout and set(layout["order"]) == set(tree):
        tree = {key: tree[key] for key in layout["order"]}
    places = {
        path: ((*net, key), form)
        for key, entry in reversed(entries.items())
        for path, form in ((entry.path, entry.form), *entry.others)
        if path
    }
    places.update((("training", *at), (at, AS_IT_IS)) for at in _arrays(rest))
    notes = from_json(layout["types"]) if "types" in layout else {net: {"is": "OrderedDict"}}
    shared = {(*net, key): group for key, group in groups.items()}
    return Native(tree, net, notes, places, shared)


def _layout_of(checkpoint: SNNCheckpoint) -> Mapping[str, Any]:
    layout = checkpoint.extras.get(NAME)
    return layout if isinstance(layout, Mapping) else {}


def _with_ties(
    checkpoint: SNNCheckpoint, entries: Mapping[str, StoredTensor]
) -> tuple[dict[str, Array], dict[str, int]]:
    """Return the arrays by key, those of tied parameters as one, and the number of each tie.

    A tie of arrays that differ is no tie to a file.
    """
    ties = {("layers", *path): n for n, tie in enumerate(checkpoint.ties) for path in tie}
    first: dict[Any, Array] = {}
    found: dict[str, Array] = {}
    groups: dict[str, int] = {}
    for key, entry in entries.items():
        found[key] = entry.array
        tie = None if entry.path is None else ties.get(entry.path)
        if tie is not None:
            same = first.setdefault((tie, entry.array.shape, entry.array.dtype), entry.array)
            if same is entry.array or array_bytes(same) == array_bytes(entry.array):
                found[key], groups[key] = same, tie
    return found, groups


def template_of(like: str) -> dict[str, Array]:
    """Return the tensors of a template by their keys.

    Raises
    ------
    WriteError
        If it holds no state dict.
    """
    try:
        with Source(like) as source:
            return read_state_dict(source)
    except ReadError as error:
        raise WriteError(f"the template {like!r} cannot be used: {error}") from error


def in_order(checkpoint: SNNCheckpoint, layout: Mapping[str, Any]) -> Iterator[StoredTensor]:
    """Give the entries as the file had them that was read, then what has been added."""
    usual = {entry.key: entry for entry in stored_tensors(checkpoint)}
    others = layout.get("others", {})
    placed: set[Path | None] = set()
    for key, at, how in layout.get("keys", ()):
        path, form = tuple(at), ArrayForm.from_json(how)
        if form.columns:  # of a tensor that several arrays stand in
            if key in usual:
                yield usual.pop(key)
            continue
        array = array_at(checkpoint, path) if path else others.get(key)
        if array is not None:
            placed.add(path or None)
            form = _form(checkpoint, path, form)
            yield StoredTensor(key, form.stored(array), path or None, form)
            usual.pop(key, None)
    for entry in usual.values():
        if entry.path is None:
            yield StoredTensor(entry.key, others.get(entry.key, entry.array))
        elif entry.path not in placed:
            yield entry


def _form(checkpoint: SNNCheckpoint, path: Path, form: ArrayForm) -> ArrayForm:
    """Return the form of an array: a spec may have told what the file's reader could not."""
    if path[:1] != ("layers",) or path[2:] != ("weight",):
        return form
    return TRANSPOSED if is_turned(checkpoint.layers[path[1]]) else form


def _writable(tree: Any) -> Any:
    """Return the part of a tree that a file can hold; None stands for the rest of a list."""
    if isinstance(tree, Mapping):
        return {k: _writable(v) for k, v in tree.items() if is_writable(v)}
    if isinstance(tree, list | tuple):
        return [_writable(v) if is_writable(v) else None for v in tree]
    return tree


def _arrays(tree: Any, path: Path = ()) -> Iterator[Path]:
    """Give the path of every array in a tree."""
    if isinstance(tree, np.ndarray):
        yield path
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _arrays(value, (*path, key))
    elif isinstance(tree, list):
        for i, value in enumerate(tree):
            yield from _arrays(value, (*path, str(i)))
