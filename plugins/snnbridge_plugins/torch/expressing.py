"""A network in the classes, or at least in the order of images, that a file is written for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from snnbridge import UNKNOWN, Conv1d, Conv2d, Entry, OptionError, SNNCheckpoint, Status
from snnbridge_plugins import images
from snnbridge_plugins.torch.decays import in_form_of
from snnbridge_plugins.torch.stored import stored_tensors
from snnbridge_plugins.torch.to_tree import NAME, template_of


def prepare(
    checkpoint: SNNCheckpoint, options: Mapping[str, Any]
) -> tuple[SNNCheckpoint, Iterable[Entry]]:
    """Put images in PyTorch's order, and express a network in a framework's classes if asked to.

    Raises
    ------
    WriteError
        Naming the first layer that the framework has no class for.
    UnknownValue
        If a rule is not known.
    OptionError
        If ``map`` stands without ``like``.
    """
    if "map" in options and "like" not in options:
        raise OptionError("map says which module of a template takes a layer; name one with like")
    planned, entries = _expressed(checkpoint, options.get("for"))
    entries = [*entries, *_padded(planned)]
    if "like" not in options:
        return planned, entries
    planned, more = in_form_of(planned, template_of(options["like"]))
    return planned, (*entries, *more)


def _expressed(
    checkpoint: SNNCheckpoint, framework: str | None
) -> tuple[SNNCheckpoint, Iterable[Entry]]:
    if not framework:
        return images.in_order(checkpoint, images.FIRST, "PyTorch")
    from snnbridge.express import express  # slow to import

    planned, entries = express(checkpoint, framework)
    entries = [*entries, *_kept_beside(planned, framework)]
    if planned is checkpoint or NAME not in planned.extras:
        return planned, entries
    extras = {name: value for name, value in planned.extras.items() if name != NAME}
    reason = f"the keys are those of {framework}, no longer the source's"
    told = Entry(Status.REWRITTEN, ("extras", NAME), "the layout of the keys", reason)
    return replace(planned, extras=extras), [*entries, told]


def _padded(checkpoint: SNNCheckpoint) -> Iterator[Entry]:
    """Say so where a state dict loads into a convolution of PyTorch's that computes another one."""
    for name, layer in checkpoint.layers.items():
        if isinstance(layer, Conv1d | Conv2d) and (padding := _beyond_pytorch(layer)):
            reason = (
                f"pads {padding}, which no nn.{layer.kind} does: one that loads the weight "
                f"computes something else; build makes a Padded{layer.kind} that pads so"
            )
            yield Entry(Status.EXACT, ("layers", name, "padding"), f"{layer.kind} {name!r}", reason)


def _beyond_pytorch(layer: Conv1d | Conv2d) -> str:
    """Return the padding, in words, of a convolution that PyTorch has no module for."""
    if layer.padding == "same":
        strides = layer.stride is not UNKNOWN and any(n > 1 for n in layer.stride)
        return f"same with stride {layer.stride}" if strides else ""
    if layer.padding is UNKNOWN or all(before == after for before, after in layer.padding):
        return ""
    return f"{layer.padding}, other zeros before than behind"


def _kept_beside(checkpoint: SNNCheckpoint, framework: str) -> Iterator[Entry]:
    """Say so where states have no place in the keys of a fresh net."""
    placed = {entry.path for entry in stored_tensors(checkpoint)}
    for path in checkpoint.state:
        if ("state", *path) not in placed:
            reason = f"kept in the description alone: a net of {framework} starts from rest"
            yield Entry(Status.EXACT, ("state", *path), ".".join(path), reason)
