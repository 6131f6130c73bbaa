"""Model-local functions: a recipe over all steps, with its loop inside, or one step of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from snnbridge_plugins.onnx.protobuf import encode
from snnbridge_plugins.onnx.recipes import Inside, Recipe, Terms
from snnbridge_plugins.onnx.schema import DOMAIN, Message
from snnbridge_plugins.onnx.terms import Scope, Term, value_info


class Parameters(Mapping[str, Term]):
    """Inputs of a scope by name, each made when it is first asked for.

    Parameters
    ----------
    scope : Scope
    dtypes : mapping of str to str
        What may be asked for.
    """

    def __init__(self, scope: Scope, dtypes: Mapping[str, str]) -> None:
        self._scope, self._dtypes = scope, dtypes
        self.made: dict[str, Term] = {}

    def __getitem__(self, name: str) -> Term:
        if name not in self.made:
            self.made[name] = self._scope.term(name, self._dtypes[name])
        return self.made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._dtypes

    def __iter__(self) -> Iterator[str]:
        return iter(self._dtypes)

    def __len__(self) -> int:
        return len(self._dtypes)


class Within(Mapping[str, Term]):
    """The same terms for use in an inner scope."""

    def __init__(self, outer: Terms, scope: Scope) -> None:
        self._outer, self._scope = outer, scope

    def __getitem__(self, name: str) -> Term:
        return self._outer[name].within(self._scope)

    def __contains__(self, name: object) -> bool:
        return name in self._outer

    def __iter__(self) -> Iterator[str]:
        return iter(self._outer)

    def __len__(self) -> int:
        return len(self._outer)


class Library:
    """The functions of a model; equal ones are one.

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
            function.finish(function.inside(function.scope, prepared, lead=2))
        else:
            _loop(function, prepared)
        return self._add(recipe.title, function, recipe)

    def one_step(
        self, recipe: Recipe, inputs: Sequence[str], prepared: Mapping[str, str]
    ) -> tuple[str, list[str]]:
        """Define a function that runs one step; `prepared` gives the dtype of each parameter."""
        function = _Function(recipe, inputs, prepared)
        function.finish(function.inside(function.scope, function.p, lead=1))
        return self._add(f"{recipe.title}Step", function, recipe)

    def _add(self, title: str, function: _Function, recipe: Recipe) -> tuple[str, list[str]]:
        message = function.message(recipe.doc, self._opset)
        key = encode("Function", {**message, "name": title})
        if key not in self._names:
            self._names[key] = self._unused(title)
            self.functions.append({**message, "name": self._names[key]})
        return self._names[key], list(function.p.made)

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

    def inside(self, scope: Scope, p: Terms, *, lead: int) -> Inside:
        return Inside(scope, p, self.inputs, self.states, self.time, lead)

    def finish(self, at: Inside) -> None:
        """Add the step itself, and name its results."""
        outputs, ends = self.recipe.step(at)
        self.name_outputs([*outputs, *ends])

    def name_outputs(self, made: Sequence[Term]) -> None:
        for name, term in zip(_output_names(self.recipe), made, strict=True):
            self.outputs.append(self.scope.op("Identity", term, hint=name))

    def message(self, doc: str, opset: int) -> Message:
        timed = [] if self.time is None else [self.time]
        taken = [*self.inputs, *timed, *self.states, *self.p.made.values()]
        return {
            "input": [x.name for x in taken],
            "output": [x.name for x in self.outputs],
            "node": self.scope.nodes,
            "doc_string": doc,
            "opset_import": [{"domain": "", "version": opset}],
            "domain": DOMAIN,
        }


def _output_names(recipe: Recipe) -> list[str]:
    return [*(name for name, _ in recipe.outputs), *(f"{s.variable}_end" for s in recipe.states)]


def _loop(function: _Function, prepared: Terms) -> None:
    """Add a Scan of the recipe's step over the first axis of the inputs."""
    scope, recipe = function.scope, function.recipe
    x = function.inputs[0]
    starts = []
    for state, held in zip(function.states, recipe.states, strict=True):
        like_output = held.shape == recipe.outputs[0][1]  # then the function fits any size
        shape = scope.sizes(x, 1) if like_output else expanded_shape(scope, x, held.shape)
        starts.append(scope.op("Expand", state, shape, hint=held.variable))
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


def expanded_shape(scope: Scope, x: Term, shape: Sequence[int]) -> Term:
    """Return the shape of a state: the batch of `x`, which stands behind its steps, and its own."""
    batch = scope.sizes(x, 1, 2)
    return scope.op("Concat", batch, scope.constant(list(shape), "int64"), axis=0)


def loop_graph(
    body: Scope,
    inputs: Sequence[Term],
    results: Sequence[Term],
    shapes: Sequence[Sequence[int]],
) -> Message:
    """Close the body of a Scan.

    Parameters
    ----------
    body : Scope
    inputs : sequence of Term
        The states, then what is scanned.
    results : sequence of Term
        The new states, then the outputs.
    shapes : sequence of tuple
        Of the results, without the batch: their number of axes is stated, since runtimes up to
        1.20 ask for it, and the lengths are not, since a function serves layers of any size.
    """
    outputs = [body.op("Identity", term, hint=f"{term.name}_next") for term in results]
    return {
        "node": body.nodes,
        "name": "step",
        "input": [{"name": term.name} for term in inputs],  # the loop knows their types
        "output": [
            value_info(term.name, term.dtype, [None] * (len(shape) + 1))
            for term, shape in zip(outputs, shapes, strict=True)
        ],
    }


def scan(
    scope: Scope,
    graph: Message,
    states: Sequence[Term],
    scanned: Sequence[Term],
    names: Sequence[str],
    dtypes: Sequence[str],
    **more: Any,
) -> list[Term]:
    """Add a Scan; return the last states, then the outputs."""
    attributes = {"body": graph, "num_scan_inputs": len(scanned)}
    outputs = list(zip(names, dtypes, strict=True))
    return scope.add("Scan", [*states, *scanned], outputs, attributes, **more)
