"""Seeing which module of a net feeds which, by running it once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from snnbridge.frameworks.reading.views import flattens, keeps, view_of

#: How many axes the features have that a class gives, by a part of its name.
_AXES = {"Linear": 1, "Flatten": 1, "1d": 2, "2d": 3}


@dataclass(frozen=True, slots=True)
class Fed:
    """One call of a module, and whose output it was given.

    Parameters
    ----------
    target : str
    call : int
    source : str
        Empty for the net's own input, or where nothing is known of it.
    source_call : int
    step : int, optional
        Which place of an axis of that output it was.
    flat : bool
        Whether the output came as a flat view.
    lost : str
        Why the source is not known; empty if it is.
    """

    target: str
    call: int
    source: str = ""
    source_call: int = 0
    step: int | None = None
    flat: bool = False
    lost: str = ""


@dataclass(frozen=True, slots=True)
class _Made:
    """A tensor that a module gave, or the net's input."""

    name: str
    call: int
    tensor: Any
    version: int | None
    axes: int


class Watch:
    """Remembers whose memory a tensor is.

    A module's output is known again by its memory, so that a view of it (``flatten``, ``view``) is
    too. Every tensor seen is kept until the end: memory that is freed is used again.

    Parameters
    ----------
    names : mapping of int to str
        By the identity of each module that is looked at.

    Attributes
    ----------
    fed : list of Fed
    calls : dict of str to int
        The last call of each module, counted from 0.
    shapes : dict of str to shape
        Of what each module took first.
    begun : set of str
        Modules that were given something other than 0 beside their input in their first call.
    """

    def __init__(self, names: Mapping[int, str]) -> None:
        self.names = names
        self.fed: list[Fed] = []
        self.calls: dict[str, int] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.begun: set[str] = set()
        self._made: dict[int, list[_Made]] = {}
        self._kept: list[Any] = []

    def run(self, net: Any, modules: Mapping[str, Any], sample: Any) -> None:
        """Run ``net(sample)`` and look at each call of `modules`."""
        self._remember(sample, "", 0, 0)
        hooks = [
            module.register_forward_hook(self._called, with_kwargs=True)
            for module in {id(m): m for m in modules.values()}.values()
        ]
        try:
            net(sample)
        finally:
            for hook in hooks:
                hook.remove()

    def _called(self, module: Any, inputs: Any, more: Mapping[str, Any], output: Any) -> None:
        name = self.names[id(module)]
        call = self.calls[name] = self.calls.get(name, -1) + 1
        tensor = next((x for x in (*inputs, *more.values()) if _is_tensor(x)), None)
        self._kept += [inputs, more, output]
        if call == 0 and any(x is not tensor and x.any() for x in _tensors((inputs, more))):
            self.begun.add(name)
        given = output[0] if isinstance(output, tuple | list) and output else output
        made = None
        if tensor is None:
            self.fed.append(Fed(name, call, lost="it takes no tensor"))
        else:
            self.shapes.setdefault(name, tuple(tensor.shape))
            made, fed = self._look_up(tensor, name, call)
            self.fed.append(fed)
        if _is_tensor(given):
            self._remember(given, name, call, _given_axes(module, made, tensor, given))

    def _look_up(self, tensor: Any, name: str, call: int) -> tuple[_Made | None, Fed]:
        """Find who made a tensor: the last one of whose output it is a view."""
        lost = ""
        for made in reversed(self._made.get(_memory(tensor), [])):
            axes = made.axes or _joined_axes(tensor, made.tensor)
            flat = flattens(tensor, made.tensor, axes)
            kept = keeps(tensor, made.tensor, made.axes)
            view = view_of(tensor, made.tensor)
            if view is None or not (flat or kept):
                lost = lost or f"it takes a part of {_who(made)}, or its axes in another order"
            elif made.version is None:
                lost = lost or (
                    "it runs under torch.inference_mode, which hides changes in place; run it "
                    "under torch.no_grad"
                )
            elif made.version != _version(tensor):
                lost = lost or f"{_who(made)} is changed in place before it gets there"
            else:
                joined = flat and not keeps(tensor, made.tensor, axes)
                return made, Fed(name, call, made.name, made.call, view.step, joined)
        lost = lost or "something between it and other modules is no module, as a function is"
        return None, Fed(name, call, lost=lost)

    def _remember(self, tensor: Any, name: str, call: int, axes: int) -> None:
        """Note who made a tensor; a module that gives a view of its input made that one."""
        made = _Made(name, call, tensor, _version(tensor), axes)
        self._kept.append(tensor)
        self._made.setdefault(_memory(tensor), []).append(made)


def _version(tensor: Any) -> int | None:
    """Return how often a tensor's memory was changed; None where PyTorch does not count it."""
    count: int | None = None if tensor.is_inference() else tensor._version
    return count


def _who(made: _Made) -> str:
    return f"the output of {made.name!r}" if made.name else "the net's input"


def _tensors(value: Any) -> Iterator[Any]:
    """Yield the tensors in a nest of tuples, lists and mappings."""
    if _is_tensor(value):
        yield value
    elif isinstance(value, Mapping):
        yield from _tensors(list(value.values()))
    elif isinstance(value, tuple | list):
        for inner in value:
            yield from _tensors(inner)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, import_module("torch").Tensor)


def _joined_axes(tensor: Any, whole: Any) -> int:
    """Return how many of the last axes became one, where those before them stayed."""
    before = tensor.ndim - 1
    same = 0 < before < whole.ndim and tensor.shape[:before] == whole.shape[:before]
    return whole.ndim - before if same else 0


def _given_axes(module: Any, made: _Made | None, taken: Any, given: Any) -> int:
    """Return how many axes the features have that a module gave."""
    before = made.axes if made is not None else 0
    if before and type(module).__name__ == "Flatten":
        joined: int = taken.ndim - given.ndim
        return max(1, before - joined)
    return _axes(module) or before


def _axes(module: Any) -> int:
    """Return how many axes the features have that a module gives, where its class tells it."""
    kind = type(module).__name__
    return next((n for text, n in _AXES.items() if text in kind), 0)


def features(module: Any, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the shape of a module's input without batch and time, where its class tells it."""
    axes = 0 if "Flatten" in type(module).__name__ else _axes(module)
    return shape[-axes:] if axes and len(shape) >= axes else None


def _memory(tensor: Any) -> int:
    pointer: int = tensor.untyped_storage().data_ptr()
    return pointer
