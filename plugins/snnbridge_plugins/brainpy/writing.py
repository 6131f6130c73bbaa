"""Writing: the framework's own bytes, and what it has no word for behind them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from snnbridge import Entry, OptionError, SNNCheckpoint
from snnbridge.node_trees import StateDict, to_tree
from snnbridge.storage import Target
from snnbridge.wire import pack_into
from snnbridge_plugins import images
from snnbridge_plugins.brainpy.expressing import expressed
from snnbridge_plugins.brainpy.extra import write_with_document
from snnbridge_plugins.brainpy.losses import lost, says_more
from snnbridge_plugins.brainpy.template import fill, told


def write(checkpoint: SNNCheckpoint, target: Target, options: Mapping[str, Any]) -> None:
    """Write one file.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    target : Target
    options : mapping
        ``bare``, ``like`` and ``map``; the format's declaration has their meaning.

    Raises
    ------
    WriteError
        If the tree cannot hold a value, or the template and the checkpoint do not fit.
    """
    native = _native(checkpoint, options)
    packing = _packing(checkpoint)
    with target.open() as file:
        if options.get("bare") or _is_all(checkpoint, native):
            pack_into(native.tree, file.write, **packing)
        else:
            write_with_document(checkpoint, native, file.write, **packing)


def losses(
    checkpoint: SNNCheckpoint, options: Mapping[str, Any]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Say what a file would lose: nothing, unless it is bare."""
    if options.get("bare"):
        yield from lost(checkpoint, _native(checkpoint, options), into_template="like" in options)


def prepare(
    checkpoint: SNNCheckpoint, options: Mapping[str, Any]
) -> tuple[SNNCheckpoint, Iterator[Entry]]:
    """Express a network in BrainPy's classes, or at least in its order of images.

    What comes of it says also to which node of a template a layer goes.
    """
    if "map" in options and "like" not in options:
        raise OptionError("map says which node of a template takes a layer; name one with like")
    entries: Iterable[Entry]
    if options.get("for"):
        checkpoint, entries = expressed(checkpoint)
    else:
        checkpoint, entries = images.in_order(checkpoint, images.LAST, "BrainPy")
    return checkpoint, chain(entries, told(checkpoint, options) if "like" in options else ())


def _native(checkpoint: SNNCheckpoint, options: Mapping[str, Any]) -> StateDict:
    return fill(checkpoint, options) if "like" in options else to_tree(checkpoint)


def _is_all(checkpoint: SNNCheckpoint, native: StateDict) -> bool:
    """Whether the tree alone says everything that the checkpoint does."""
    return not says_more(checkpoint) and next(lost(checkpoint, native), None) is None


def _packing(checkpoint: SNNCheckpoint) -> dict[str, Any]:
    layout = checkpoint.extras.get("brainpy")
    limit = layout.get("chunk_bytes") if isinstance(layout, Mapping) else None
    return {"chunk_bytes": limit} if type(limit) is int and limit > 0 else {}
