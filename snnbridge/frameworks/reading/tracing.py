"""Seeing which module of a net feeds which, by running it once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

from snnbridge.frameworks.reading.functions import Call, function_mode
from snnbridge.frameworks.reading.views import flattens, keeps, view_of

#: How many axes the features have that a class gives, by a part of its name.
_AXES = {"Linear": 1, "Flatten": 1, "1d": 2, "2d": 3}


#: Modules that do nothing but add what they are given.
_SUMMING = ("Merge",)


@dataclass(frozen=True, slots=True)
class Part:
    """One call's output, as all or one summand of what another call was given.

    Parameters
    ----------
    source : str
        Empty for the net's own input.
    call : int
    step : int, optional
        Which place of an axis of that output it was.
    flat : bool
        Whether the output came as a flat view.
    """

    source: str
    call: int = 0
    step: int | None = None
    flat: bool = False


@dataclass(frozen=True, slots=True)
class Fed:
    """One call of a module, and whose outputs it was given the sum of.

    Parameters
    ----------
    target : str
    call : int
    parts : tuple of Part
    silent : bool
        Whether zeros that the net made itself are a summand.
    lost : str
        Why the parts are not known; empty if they are.
    """

    target: str
    call: int
    parts: tuple[Part, ...] = ()
    silent: bool = False
    lost: str = ""


@dataclass(frozen=True, slots=True)
class _Made:
    """A tensor that is known: the net's input, a module's output, zeros, a sum of those."""

    parts: tuple[Part, ...]
    silent: bool
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
    functions : dict of str to torch.nn.Module
        What was called between the modules and does the same as a module; by its name in `fed`.
    """

    def __init__(self, names: Mapping[int, str]) -> None:
        self.names = dict(names)
        self.fed: list[Fed] = []
        self.calls: dict[str, int] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.begun: set[str] = set()
        self.functions: dict[str, Any] = {}
        self._made: dict[int, list[_Made]] = {}
        self._unknown: dict[int, str] = {}
        self._kept: list[Any] = []
        self._inside = 0

    def run(self, net: Any, modules: Mapping[str, Any], sample: Any) -> None:
        """Run ``net(sample)`` and look at each call of `modules`, and at what is between them."""
        self._remember(sample, (Part(""),), 0)
        hooks = [
            hook
            for module in {id(m): m for m in modules.values()}.values()
            for hook in (
                module.register_forward_pre_hook(self._entered),
                module.register_forward_hook(self._left, with_kwargs=True),
            )
        ]
        try:
            with function_mode(self._between):
                net(sample)
        finally:
            for hook in hooks:
                hook.remove()

    def _entered(self, module: Any, inputs: Any) -> None:
        self._inside += 1

    def _left(self, module: Any, inputs: Any, more: Mapping[str, Any], output: Any) -> None:
        self._inside -= 1
        if not self._inside:
            self._called(module, inputs, more, output)

    def _between(self, call: Call) -> Any:
        """Look at a function that the net calls outside of its modules."""
        if self._inside:
            return call.result()
        if call.is_zero:
            output = call.result()
            self._remember(output, (), 0, silent=True)
        elif (summands := call.summands()) is not None:
            output = self._add(call, summands)
        elif (module := call.module()) is not None:
            output = call.result()
            self._called(self._function(call.name, module), call.args[:1], {}, output)
        else:
            output = call.result()
            self._forget(output, f"it takes what the function {call.name!r} gives")
        return output

    def _add(self, call: Call, summands: list[Any]) -> Any:
        """Remember a sum; what its summands are is looked up before one of them is changed."""
        fed = self._given(summands, "", 0)
        output = call.result()
        if fed.lost or not all(_fits(x, output) for x in summands):
            self._forget(output, fed.lost or "it takes a sum of tensors of different shapes")
        else:
            axes = max(self._axes(x) for x in summands)
            self._remember(output, fed.parts, axes, silent=fed.silent)
        return output

    def _function(self, kind: str, module: Any) -> Any:
        """Return the one module that stands for a function with the same arguments."""
        told = repr(module)
        for held in self.functions.values():
            if repr(held) == told:
                return held
        name, count = kind, 2
        while name in self.names.values():
            name, count = f"{kind}_{count}", count + 1
        self.functions[name], self.names[id(module)] = module, name
        return module

    def _called(self, module: Any, inputs: Any, more: Mapping[str, Any], output: Any) -> None:
        name = self.names[id(module)]
        call = self.calls[name] = self.calls.get(name, -1) + 1
        tensors = [x for x in (*inputs, *more.values()) if _is_tensor(x)]
        if type(module).__name__ not in _SUMMING:
            tensors = tensors[:1]
        self._kept += [inputs, more, output]
        if call == 0 and any(_begins(x, tensors) for x in _tensors((inputs, more))):
            self.begun.add(name)
        given = output[0] if isinstance(output, tuple | list) and output else output
        if tensors:
            self.shapes.setdefault(name, tuple(tensors[0].shape))
            self.fed.append(self._given(tensors, name, call))
        else:
            self.fed.append(Fed(name, call, lost="it takes no tensor"))
        if _is_tensor(given):
            axes = _given_axes(module, self._axes(tensors[0]), tensors[0], given) if tensors else 0
            self._remember(given, (Part(name, call),), axes)

    def _given(self, tensors: Iterable[Any], name: str, call: int) -> Fed:
        """Tell what one call is given: the sum of some tensors."""
        found = Fed(name, call)
        for tensor in tensors:
            one = self._look_up(tensor, name, call)
            if one.lost:
                return one
            if not set(one.parts).isdisjoint(found.parts):
                return Fed(name, call, lost="it takes one output twice, as a summand of itself")
            found = replace(
                found, parts=(*found.parts, *one.parts), silent=found.silent or one.silent
            )
        return found

    def _look_up(self, tensor: Any, name: str, call: int) -> Fed:
        """Find who made a tensor: the last one of whose output it is a view."""
        lost = ""
        for made in self._makers(tensor):
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
            elif view.step is not None and any(part.step is not None for part in made.parts):
                lost = lost or f"it takes a part of {_who(made)}"
            else:
                joined = flat and not keeps(tensor, made.tensor, axes)
                parts = tuple(_viewed(part, view.step, joined) for part in made.parts)
                return Fed(name, call, parts, made.silent)
        own = "it takes what is neither a module's output nor the net's input"
        return Fed(name, call, lost=lost or self._unknown.get(_memory(tensor), own))

    def _makers(self, tensor: Any) -> Iterator[_Made]:
        """Give what is known of a tensor's memory, the last first."""
        return reversed(self._made.get(_memory(tensor), []))

    def _axes(self, tensor: Any) -> int:
        """Return how many axes the features of a known tensor have; 0 if that cannot be told."""
        known = (m for m in self._makers(tensor) if view_of(tensor, m.tensor) is not None)
        made = next(known, None)
        return 0 if made is None else made.axes

    def _remember(
        self, tensor: Any, parts: tuple[Part, ...], axes: int, *, silent: bool = False
    ) -> None:
        """Note who made a tensor; a module that gives a view of its input made that one."""
        made = _Made(parts, silent, tensor, _version(tensor), axes)
        self._kept.append(tensor)
        self._made.setdefault(_memory(tensor), []).append(made)

    def _forget(self, output: Any, why: str) -> None:
        """Note why it is not known who made a tensor."""
        if _is_tensor(output) and _memory(output) not in self._made:
            self._kept.append(output)
            self._unknown[_memory(output)] = why


def _viewed(part: Part, step: int | None, flat: bool) -> Part:
    """Return a part of a sum of which a view is taken."""
    return replace(part, step=part.step if step is None else step, flat=part.flat or flat)


def _begins(tensor: Any, given: list[Any]) -> bool:
    """Whether a tensor is a state other than 0, beside the ones that are the input."""
    return all(tensor is not x for x in given) and bool(tensor.any())


def _fits(summand: Any, total: Any) -> bool:
    """Whether a summand was added as it is, not spread over axes; one without elements is none."""
    fits: bool = summand.shape == total.shape or summand.numel() == 0
    return fits


def _version(tensor: Any) -> int | None:
    """Return how often a tensor's memory was changed; None where PyTorch does not count it."""
    count: int | None = None if tensor.is_inference() else tensor._version
    return count


def _who(made: _Made) -> str:
    told = [f"the output of {p.source!r}" if p.source else "the net's input" for p in made.parts]
    return " plus ".join(told) or "a tensor of zeros"


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


def _given_axes(module: Any, before: int, taken: Any, given: Any) -> int:
    """Return how many axes the features have that a module gave, which took `before` of them."""
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
