"""Seeing which module of a net feeds which, by running it once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from snnbridge.frameworks.reading.axes import given_axes, joined_axes
from snnbridge.frameworks.reading.functions import Call, function_mode
from snnbridge.frameworks.reading.memory import (
    is_tensor,
    memory_of,
    moment_of,
    tensors_in,
    version_of,
)
from snnbridge.frameworks.reading.states import States
from snnbridge.frameworks.reading.views import flattens, keeps, view_of

_TAKES = "it takes what the function"
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
    shape : tuple of int
        Of what it was given.
    """

    target: str
    call: int
    parts: tuple[Part, ...] = ()
    silent: bool = False
    lost: str = ""
    shape: tuple[int, ...] = ()


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
    stateful : set of str
        The modules that keep a state from call to call.

    Attributes
    ----------
    fed : list of Fed
    calls : dict of str to int
        The last call of each module, counted from 0.
    states : States
    functions : dict of str to torch.nn.Module
        What was called between the modules and does the same as a module; by its name in `fed`.
    """

    def __init__(self, names: Mapping[int, str], stateful: set[str]) -> None:
        self.names = dict(names)
        self.fed: list[Fed] = []
        self.calls: dict[str, int] = {}
        self.states = States(stateful)
        self.functions: dict[str, Any] = {}
        self._made: dict[int, list[_Made]] = {}
        self._unknown: dict[int, str] = {}
        self._kept: list[Any] = []
        self._inside = 0

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of what modules took first."""
        return {fed.target: fed.shape for fed in reversed(self.fed) if fed.shape}

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
        elif call.copies:
            output = self._copy(call)
        elif (module := call.module()) is not None:
            output = call.result()
            self._called(self._function(call.name, module), call.args[:1], {}, output)
        else:
            output = call.result()
            self._forget(output, f"{_TAKES} {call.name!r} gives")
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

    def _copy(self, call: Call) -> Any:
        """Remember a copy as what it is a copy of; one that is rounded is none."""
        source = call.args[0]
        fed, before = self._given([source], "", 0), moment_of(source)
        output = call.result()
        if is_tensor(output) and moment_of(output) != before:
            exact = _fits(source, output) and bool((source == output).all())
            if exact:
                self.states.copied[moment_of(output)] = before
            if exact and not fed.lost:
                self._remember(output, fed.parts, self._axes(source), silent=fed.silent)
            else:
                self._forget(output, fed.lost if exact else f"{_TAKES} {call.name!r} gives")
        return output

    def _function(self, kind: str, module: Any) -> Any:
        """Return the one module that stands for a function with the same arguments."""
        for held in self.functions.values():
            if _settings(held) == _settings(module):
                return held
        name, count = kind, 2
        while name in self.names.values():
            name, count = f"{kind}_{count}", count + 1
        self.functions[name], self.names[id(module)] = module, name
        return module

    def _called(self, module: Any, inputs: Any, more: Mapping[str, Any], output: Any) -> None:
        name = self.names[id(module)]
        call = self.calls[name] = self.calls.get(name, -1) + 1
        tensors = [x for x in (*inputs, *more.values()) if is_tensor(x)]
        if type(module).__name__ not in _SUMMING:
            tensors = tensors[:1]
        self._kept += [inputs, more, output]
        states = [x for x in tensors_in((inputs, more)) if all(x is not y for y in tensors)]
        for state in self.states.look(module, name, states, output, self._other):
            self._forget(state, f"it takes a state of {name!r}, not its output")
        given = output[0] if isinstance(output, tuple | list) and output else output
        if tensors:
            fed = self._given(tensors, name, call)
            self.fed.append(replace(fed, shape=tuple(tensors[0].shape)))
        else:
            self.fed.append(Fed(name, call, lost="it takes no tensor"))
        if is_tensor(given):
            axes = given_axes(module, self._axes(tensors[0]), tensors[0], given) if tensors else 0
            self._remember(given, (Part(name, call),), axes)

    def _other(self, state: Any) -> str:
        """Tell what a state is that no module gave."""
        if any(made.silent for made in self._makers(state)):
            return "zeros are given in its place"
        why = self._unknown.get(memory_of(state), "")
        if why.startswith(_TAKES):
            return f"{why.removeprefix('it takes ')} is given in its place"
        return "it is another one, or was changed in place"

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
            axes = made.axes or joined_axes(tensor, made.tensor)
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
            elif made.version != version_of(tensor):
                lost = lost or f"{_who(made)} is changed in place before it gets there"
            elif view.step is not None and any(part.step is not None for part in made.parts):
                lost = lost or f"it takes a part of {_who(made)}"
            else:
                joined = flat and not keeps(tensor, made.tensor, axes)
                parts = tuple(_viewed(part, view.step, joined) for part in made.parts)
                return Fed(name, call, parts, made.silent)
        own = "it takes what is neither a module's output nor the net's input"
        return Fed(name, call, lost=lost or self._unknown.get(memory_of(tensor), own))

    def _makers(self, tensor: Any) -> Iterator[_Made]:
        """Give what is known of a tensor's memory, the last first."""
        return reversed(self._made.get(memory_of(tensor), []))

    def _axes(self, tensor: Any) -> int:
        """Return how many axes the features of a known tensor have; 0 if that cannot be told."""
        known = (m for m in self._makers(tensor) if view_of(tensor, m.tensor) is not None)
        made = next(known, None)
        return 0 if made is None else made.axes

    def _remember(
        self, tensor: Any, parts: tuple[Part, ...], axes: int, *, silent: bool = False
    ) -> None:
        """Note who made a tensor; a module that gives a view of its input made that one."""
        made = _Made(parts, silent, tensor, version_of(tensor), axes)
        self._kept.append(tensor)
        self._made.setdefault(memory_of(tensor), []).append(made)

    def _forget(self, output: Any, why: str) -> None:
        """Note why it is not known who made a tensor."""
        if is_tensor(output) and memory_of(output) not in self._made:
            self._kept.append(output)
            self._unknown[memory_of(output)] = why


def _settings(module: Any) -> tuple[type, dict[str, Any]]:
    """Return all that a module without weights was made with; its text may leave some of it out."""
    held = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    return type(module), held


def _viewed(part: Part, step: int | None, flat: bool) -> Part:
    """Return a part of a sum of which a view is taken."""
    return replace(part, step=part.step if step is None else step, flat=part.flat or flat)


def _fits(summand: Any, total: Any) -> bool:
    """Whether a summand was added as it is, not spread over axes."""
    fits: bool = summand.shape == total.shape
    return fits


def _who(made: _Made) -> str:
    told = [f"the output of {p.source!r}" if p.source else "the net's input" for p in made.parts]
    return " plus ".join(told) or "a tensor of zeros"
