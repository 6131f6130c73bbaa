"""What every layer has, and how layers check what they are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, fields
from typing import NoReturn, TypeAlias

from snnbridge.errors import CheckpointError
from snnbridge.model.checks import key_problem, name_problem, sizes
from snnbridge.model.values import (
    UNKNOWN,
    Array,
    Origin,
    Parameter,
    PerStep,
    Quantity,
    Shape,
    TimeStep,
    Unknown,
    describe,
    parameter,
)

Weight: TypeAlias = Parameter | Array | Unknown


_NAMES: dict[type, tuple[str, ...]] = {}


def field_names(kind: type) -> tuple[str, ...]:
    """Return the names of a layer's fields; `dataclasses.fields` is slow for many layers."""
    if kind not in _NAMES:
        _NAMES[kind] = tuple(f.name for f in fields(kind))
    return _NAMES[kind]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Layer:
    """What every layer has: a name, and what its source says of it.

    Parameters
    ----------
    name : str
        Unique within its graph: any UTF-8 text without NUL.
    origin : Origin, optional
        The framework's own class of the layer.
    dt : Quantity or PER_STEP or UNKNOWN, optional
        The layer's own time step; ``None`` for that of the checkpoint.

    Raises
    ------
    CheckpointError
        Naming the layer, what was expected and what was found.
    """

    name: str
    _: KW_ONLY
    origin: Origin | None = None
    dt: TimeStep | None = None

    def __post_init__(self) -> None:
        if problem := name_problem(self.name):
            raise CheckpointError(f"a layer {problem}")
        if self.origin is not None and not isinstance(self.origin, Origin):
            self._refuse(f"origin must be an Origin or None, not {self.origin!r}")
        if self.dt is not None and not isinstance(self.dt, Quantity | PerStep | Unknown):
            self._refuse(f"dt must be a Quantity, PER_STEP, UNKNOWN or None, not {self.dt!r}")

    @property
    def kind(self) -> str:
        """The name of the layer's class: ``"Linear"``, ``"Neuron"``."""
        return type(self).__name__

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """The layer's parameters by name."""
        found = {}
        for name in field_names(type(self)):
            value = getattr(self, name)
            if isinstance(value, Parameter):
                found[name] = value
        return found

    def unknown(self) -> tuple[str, ...]:
        """Return what the source does not state of this layer, as dotted names."""
        names = [name for name in field_names(type(self)) if getattr(self, name) is UNKNOWN]
        names += [name for name, p in self.parameters.items() if p.value is UNKNOWN]
        return tuple(names)

    def _refuse(self, reason: str) -> NoReturn:
        raise CheckpointError(f"layer {self.name!r} ({self.kind}): {reason}")

    def _set(self, name: str, value: object) -> None:
        """Set a field of the frozen layer, while it is made."""
        object.__setattr__(self, name, value)

    def _wrap(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            if value is not None:
                self._set(name, self._parameter(name, value))

    def _parameter(self, name: str, value: Weight | float) -> Parameter:
        try:
            return parameter(value)
        except CheckpointError as error:
            self._refuse(f"{name}: {error}")

    def _wrap_all(self) -> None:
        """Wrap the values of a field `parameters`, and check their names."""
        if not isinstance(self.parameters, Mapping):
            self._refuse(f"parameters must be a mapping of names, not {self.parameters!r}")
        for name in self.parameters:
            if problem := key_problem(name):
                self._refuse(f"a parameter {problem}")
        held = {name: self._parameter(name, value) for name, value in self.parameters.items()}
        self._set("parameters", held)

    def _shape(self, name: str) -> Shape | Unknown:
        """Return a field as a shape."""
        value: object = getattr(self, name)
        if value is UNKNOWN:
            return UNKNOWN
        shape = sizes(value)
        if shape is None:
            self._refuse(
                f"{name} must be at most 64 whole numbers of at least 0 and below 2**62, found "
                f"{value!r}"
            )
        return shape

    def _require_shape(self, name: str, *, ndim: int) -> None:
        value = getattr(self, name).value
        if value is not UNKNOWN and value.ndim != ndim:
            self._refuse(f"{name} must have {ndim} axes, found shape {value.shape}")

    def _require_per_output(self, name: str, outputs: int | None) -> None:
        held: Parameter | None = getattr(self, name)
        if held is None or held.value is UNKNOWN or outputs is None:
            return
        if held.value.shape not in ((), (1,), (outputs,)):
            self._refuse(
                f"{name} must have shape ({outputs},), one value for each output, "
                f"found {held.value.shape}"
            )

    def __repr__(self) -> str:
        shown = []
        for f in fields(self)[1:]:
            value = getattr(self, f.name)
            if value is not None and f.repr:
                text = describe(value.value) if isinstance(value, Parameter) else describe(value)
                shown.append(f"{f.name.lstrip('_')}={text}")
        return f"{self.kind}({', '.join([repr(self.name), *shown])})"
