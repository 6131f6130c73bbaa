"""Model-local functions: a recipe over all steps, with its loop inside, or one step of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from snnbridge_plugins.onnx.file.protobuf import encode
from snnbridge_plugins.onnx.file.schema import DOMAIN, Message
from snnbridge_plugins.onnx.graph.loops import loop_graph, scan, whole_batch
from snnbridge_plugins.onnx.recipes.recipe import Inside, Parameters, Recipe, Terms, Within
from snnbridge_plugins.onnx.recipes.terms import Scope, Term

#: From a scope and the inputs of a function in it to its outputs by name.
Build: TypeAlias = Callable[[Scope, list[Term]], Mapping[str, Term]]


class Library:
    """The functions of a model; layers with equal ones share one.

    Parameters
    ----------
    opset : int
        The version of the standard operators.
    """

    def __init__(self, opset: int) -> None:
        self._opset = opset
        self._names: dict[bytes, str] = {}
        self.functions: list[Message] = []

    def over_time(self, recipe: Recipe, inputs: Sequence[str]) -> tuple[str, list[str]]:
        """Define a function that runs a recipe over all steps.

        Parameters
        ----------
        recipe : Recipe
        inputs : sequence of str
            The dtype of each input.

        Returns
        -------
        name : str
        parameters : list of str
            Which parameters it takes, behind the inputs, the time and the states.
        """
        function = _Function(
            recipe, inputs, {k: v.dtype.name for k, v in recipe.parameters.items()}
        )
        prepared = function.prepared()
        if recipe.pointwise:
            function.finish(Inside(function.scope, prepared, function.inputs, [], None, 2))
        else:
            _loop(function, prepared)
        return self._add(recipe.title, function, recipe)

    def one_step(
        self, recipe: Recipe, inputs: Sequence[str], ready: Mapping[str, str] | None, *, whole: bool
    ) -> tuple[str, list[str]]:
        """Define a function that runs one step.

        Parameters
        ----------
        recipe : Recipe
        inputs : sequence of str
            The dtype of each input.
        ready : mapping of str to str, or None
            The dtypes of the parameters, if they come prepared.
        whole : bool
            Whether the states come for the whole batch.
        """
        raw = {k: v.dtype.name for k, v in recipe.parameters.items()}
        function = _Function(recipe, inputs, raw if ready is None else ready)
        p = function.prepared() if ready is None else function.p
        states = function.states if whole else function.expanded(0)
        at = Inside(function.scope, p, function.inputs, states, function.time, 1)
        function.finish(at)
        return self._add(f"{recipe.title}Step", function, recipe)

    def constants(self, recipe: Recipe) -> tuple[str, list[str], dict[str, str]]:
        """Define a function that prepares parameters, for a loop that takes them from outside.

        Returns
        -------
        name : str
        parameters : list of str
            Which it takes.
        made : dict of str to str
            What it gives, with the dtypes.
        """
        assert recipe.prepare is not None
        scope = Scope()
        p = Parameters(scope, {k: v.dtype.name for k, v in recipe.parameters.items()})
        made = recipe.prepare(scope, p)
        outputs = _named(scope, made)
        message = _message(scope, list(p.made.values()), outputs, "made once", self._opset)
        name = self._define(f"{recipe.title}Constants", message)
        return name, list(p.made), {key: term.dtype for key, term in made.items()}

    def box(
        self, title: str, inputs: Mapping[str, str], build: Build, doc: str
    ) -> tuple[str, dict[str, str]]:
        """Define a function of a few operators that a viewer shows as one box.

        Parameters
        ----------
        title : str
        inputs : mapping of str to str
            The dtype of each.
        build : function of (Scope, inputs), returning outputs by name
        doc : str

        Returns
        -------
        name : str
        outputs : dict of str to str
            The dtype of each.
        """
        scope = Scope()
        taken = [scope.term(name, dtype) for name, dtype in inputs.items()]
        made = build(scope, taken)
        message = _message(scope, taken, _named(scope, made), doc, self._opset)
        return self._define(title, message), {key: term.dtype for key, term in made.items()}

    def _add(self, title: str, function: _Function, recipe: Recipe) -> tuple[str, list[str]]:
        name = self._define(title, function.message(recipe.doc, self._opset))
        return name, list(function.p.made)

    def _define(self, title: str, message: Message) -> str:
        key = encode("Function", {**message, "name": title})
        if key not in self._names:
            self._names[key] = self._unused(title)
            self.functions.append({**message, "name": self._names[key]})
        return self._names[key]

    def _unused(self, title: str) -> str:
        taken, count, name = set(self._names.values()), 1, title
        while name in taken:
            count += 1
            name = f"{title}_{count}"
        return name


class _Function:
    """A function under construction: its inputs stand, its outputs come last."""

    def __init__(self, recipe: Recipe, inputs: Sequence[str], dtypes: Mapping[str, str]) -> None:
        self.recipe, self.scope = recipe, Scope()
        self.inputs = [self.scope.term("x", dtype) for dtype in inputs]
        self.time = self.scope.term("time", "float32") if recipe.timed else None
        self.states = [
            self.scope.term(f"{s.variable}_start", s.default.dtype.name) for s in recipe.states
        ]
        self.p = Parameters(self.scope, dtypes)
        self.outputs: list[Term] = []

    def prepared(self) -> Terms:
        prepare = self.recipe.prepare
        return self.p if prepare is None else prepare(self.scope, self.p)

    def finish(self, at: Inside) -> None:
        """Add the step itself, and name its results."""
        outputs, ends = self.recipe.step(at)
        self.name_outputs([*outputs, *ends])

    def name_outputs(self, made: Sequence[Term]) -> None:
        self.outputs = _named(self.scope, dict(zip(_output_names(self.recipe), made, strict=True)))

    def expanded(self, axis: int) -> list[Term]:
        """Return the states for the whole batch, which stands at an axis of the inputs."""
        x, found = self.inputs[0], []
        for state, held in zip(self.states, self.recipe.states, strict=True):
            # One as large as the output leaves its size open, so that the function fits any.
            shape = None if held.shape == self.recipe.outputs[0][1] else held.shape
            found.append(whole_batch(self.scope, x, state, axis, shape, held.variable))
        return found

    def message(self, doc: str, opset: int) -> Message:
        timed = [] if self.time is None else [self.time]
        taken = [*self.inputs, *timed, *self.states, *self.p.made.values()]
        return _message(self.scope, taken, self.outputs, doc, opset)


def _named(scope: Scope, made: Mapping[str, Term]) -> list[Term]:
    """Name the outputs of a function."""
    return [scope.op("Identity", term, hint=name) for name, term in made.items()]


def _message(
    scope: Scope, inputs: Sequence[Term], outputs: Sequence[Term], doc: str, opset: int
) -> Message:
    return {
        "input": [x.name for x in inputs],
        "output": [x.name for x in outputs],
        "node": scope.nodes,
        "doc_string": doc,
        "opset_import": [{"domain": "", "version": opset}],
        "domain": DOMAIN,
    }


def _output_names(recipe: Recipe) -> list[str]:
    return [*(name for name, _ in recipe.outputs), *(f"{s.variable}_end" for s in recipe.states)]


def _loop(function: _Function, prepared: Terms) -> None:
    """Add a Scan of the recipe's step over the first axis of the inputs."""
    scope, recipe = function.scope, function.recipe
    starts = function.expanded(1)
    scanned = [*function.inputs, *([] if function.time is None else [function.time])]
    body = scope.inner()
    states = [body.term(s.variable, s.default.dtype.name) for s in recipe.states]
    now = [body.term(f"{term.name}_now", term.dtype) for term in scanned]
    time = now.pop() if recipe.timed else None
    at = Inside(body, Within(prepared, body), now, states, time, 1)
    outputs, ends = recipe.step(at)
    names = _output_names(recipe)
    made = scan(
        scope,
        loop_graph(
            body,
            [*states, *now, *([] if time is None else [time])],
            [*ends, *outputs],
            [*(s.shape for s in recipe.states), *(shape for _, shape in recipe.outputs)],
        ),
        starts,
        scanned,
        [*names[len(outputs) :], *names[: len(outputs)]],
        [term.dtype for term in (*ends, *outputs)],
    )
    function.outputs = [*made[len(ends) :], *made[: len(ends)]]
