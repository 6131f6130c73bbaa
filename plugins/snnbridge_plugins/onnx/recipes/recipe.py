"""How each kind of layer computes: its parameters, its states and its step.

A recipe does not know whether it will run over all steps at once or one by one; the module
`functions` makes a model-local function of it for either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from snnbridge.model import Array, Shape, TimeStep
from snnbridge_plugins.onnx.recipes.terms import Scope, Term

Terms = Mapping[str, Term]


@dataclass(frozen=True)
class State:
    """A variable that stays from step to step.

    Attributes
    ----------
    variable : str
        Its name in the model's state: ``"v"``.
    shape : tuple of int
        Without the batch.
    default : numpy.ndarray
        At rest; broadcasts to the shape.
    """

    variable: str
    shape: Shape
    default: Array


@dataclass(frozen=True)
class Inside:
    """What a step works with.

    Attributes
    ----------
    scope : Scope
    p : mapping of str to Term
        The parameters, prepared.
    inputs, states : sequence of Term
    time : Term or None
        The index of the step in float32.
    lead : int
        How many axes stand before the layer's: 1 for the batch, 2 for steps and batch.
    """

    scope: Scope
    p: Terms
    inputs: Sequence[Term]
    states: Sequence[Term]
    time: Term | None
    lead: int


@dataclass(frozen=True)
class Recipe:
    """How a layer computes.

    Attributes
    ----------
    title : str
        What its function is called.
    step : function of Inside, returning outputs and new states
    outputs : tuple of (name, shape)
        Of each output; the first is what the layer hands on.
    parameters : dict of str to numpy.ndarray
        Those that change nothing are left out.
    prepare : function of (Scope, parameters), optional
        What is computed of the parameters once, before the first step.
    states : tuple of State
    pointwise : bool
        Whether the step works on all steps at once.
    timed : bool
        Whether it reads the index of the step.
    doc : str
    """

    title: str
    step: Callable[[Inside], tuple[Sequence[Term], Sequence[Term]]]
    outputs: tuple[tuple[str, Shape], ...]
    parameters: Mapping[str, Array] = field(default_factory=dict)
    prepare: Callable[[Scope, Terms], Mapping[str, Term]] | None = None
    states: tuple[State, ...] = ()
    pointwise: bool = False
    timed: bool = False
    doc: str = ""


@dataclass(frozen=True)
class Setting:
    """What a recipe depends on beside its layer.

    Attributes
    ----------
    width : str
        The network's dtype.
    sums : str
        The dtype in which inputs are summed.
    dt : Quantity or PER_STEP or UNKNOWN
    shape_in, shape_out : tuple of int
    """

    width: str
    sums: str
    dt: TimeStep
    shape_in: Shape
    shape_out: Shape


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
