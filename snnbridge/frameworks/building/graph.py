"""A net whose layers branch and join, as a graph of ``torch.fx``."""

from __future__ import annotations

import keyword
import operator
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from functools import reduce
from importlib import import_module
from typing import Any

from snnbridge.errors import CheckpointError
from snnbridge.frameworks.building.nesting import check_names
from snnbridge.frameworks.building.planning import Plan
from snnbridge.model import Input


def graph_of(
    plan: Plan, modules: Mapping[str, Any], names: Mapping[str, str], stateful: Collection[str]
) -> Any:
    """Return a ``torch.fx.GraphModule`` that runs modules as they feed each other.

    Parameters
    ----------
    plan : Plan
    modules : mapping of str to torch.nn.Module
        By the layer's name.
    names : mapping of str to str
        The module's own name, by the layer's.
    stateful : collection of str
        The layers whose modules take a state and give (output, state); the net does so too where
        there are any, its state being a dictionary by the module's name.

    Raises
    ------
    CheckpointError
        Naming a layer that no module can be called after.
    """
    fx = import_module("torch.fx")
    empty = fx.GraphModule({}, fx.Graph())
    named = {names[layer]: module for layer, module in modules.items()}
    check_names(named, empty)
    for name in named:
        _check_code(name)
        _check_place(name, named)
    drawing = _Drawing(fx.Graph(), names, frozenset(stateful))
    drawing.draw(plan)
    return fx.GraphModule(named, drawing.graph)


class _Drawing:
    """A graph while its nodes are made."""

    def __init__(self, graph: Any, names: Mapping[str, str], stateful: frozenset[str]) -> None:
        self.graph, self.names, self.stateful = graph, names, stateful
        self.given: dict[str, Any] = {}
        self.states: dict[str, Any] = {}
        self.state: Any = None

    def draw(self, plan: Plan) -> None:
        """Make the nodes of a net."""
        arguments = dict(zip(plan.inputs, _arguments(plan), strict=True))
        entered = {name: self.graph.placeholder(x) for name, x in arguments.items()}
        if self.stateful:
            self.state = self.graph.placeholder("state", default_value=None)
        for name in plan.layers:
            feeding = [self.given[source] for source in plan.sources[name]]
            taken = entered[name] if name in entered else reduce(self._plus, feeding)
            self.given[name] = self._run(name, taken) if name in self.names else taken
        given = tuple(self.given[name] for name in plan.outputs)
        out = given if len(given) > 1 else given[0]
        self.graph.output((out, self.states) if self.stateful else out)

    def _plus(self, one: Any, other: Any) -> Any:
        return self.graph.call_function(operator.add, (one, other))

    def _run(self, layer: str, taken: Any) -> Any:
        name = self.names[layer]
        if layer not in self.stateful:
            return self.graph.call_module(name, (taken,))
        before = self._call(state_of, (self.state, name), f"{name}_before")
        both = self.graph.call_module(name, (taken, before))
        self.states[name] = self._call(operator.getitem, (both, 1), f"{name}_after")
        return self._call(operator.getitem, (both, 0), f"{name}_out")

    def _call(self, function: Any, arguments: tuple[Any, ...], name: str) -> Any:
        return self.graph.create_node("call_function", function, arguments, name=name)


def state_of(state: Mapping[str, Any] | None, name: str) -> Any:
    """Return a module's part of the state of a net; None, from which modules start, has none.

    Called while a graph is traced, as by pickle, it becomes one node of it.
    """
    overrides = import_module("torch.overrides")
    if overrides.has_torch_function_unary(state):
        return overrides.handle_torch_function(state_of, (state,), state, name)
    return None if state is None else state[name]


def _arguments(plan: Plan) -> Iterator[str]:
    """Give what the inputs are called in Python."""
    taken = {"self", "state"}
    for name in plan.inputs:
        told = name if isinstance(plan.layers[name], Input) else f"{name}_input"
        text = base = re.sub(r"\W", "_", told, flags=re.ASCII)
        if not text.isidentifier() or keyword.iskeyword(text):
            text = base = f"input_{text}"
        count = 2
        while text in taken:
            text, count = f"{base}_{count}", count + 1
        taken.add(text)
        yield text


def _check_code(name: str) -> None:
    """Refuse what the code of a graph cannot name a module by, or would run."""
    for part in name.split("."):
        plain = part.isprintable() and not set(part) & set('"\\')
        if not plain or keyword.iskeyword(part) or unicodedata.normalize("NFKC", part) != part:
            raise CheckpointError(
                f"layer {name!r}: its layers are no chain, and the code of a graph names no module "
                f"by {part!r}; give the layer another name"
            )


def _check_place(name: str, modules: Mapping[str, Any]) -> None:
    """Refuse a module that would stand in the place of what another one holds."""
    above, _, own = name.rpartition(".")
    outer = modules.get(above)
    if outer is None:
        return
    # A neuron of sinabs takes every buffer below it for its own state, and is then not reset.
    if hasattr(outer, own) or hasattr(outer, "init_state_with_shape"):
        raise CheckpointError(
            f"layer {name!r}: its module would stand inside that of {above!r}, which holds no "
            f"other one called {own!r}; give the layer another name"
        )
