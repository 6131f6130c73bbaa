"""One argument of a framework's class, and what it states of a layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

#: The default of an argument that the framework demands.
REQUIRED: Any = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One argument of a framework's class.

    Parameters
    ----------
    parameter : str, optional
        The parameter of the model that it states.
    setting : str, optional
        The field of the layer that it states (``stride``, ``groups``).
    choices : mapping, optional
        For an argument that switches the rule: its values, and the switches that each sets.
    unit : str, optional
        The unit of its numbers.
    default
        What the framework takes where nothing is given; :data:`REQUIRED` if it must be given.
    help : str
        What it is, for people.
    convert : function, optional
        From the framework's value to the model's.
    joint : bool
        Whether the class's `derive` says what it states.
    optional : bool
        Whether None is a value of it, though not its default.
    switches : tuple of str
        The switches that a joint argument settles by itself, so that who states them states it.
    words : tuple of str
        The values of a joint argument that is a word.
    """

    parameter: str | None = None
    setting: str | None = None
    choices: Mapping[Any, Mapping[str, Any]] = field(default_factory=dict)
    unit: str | None = None
    default: Any = REQUIRED
    help: str = ""
    convert: Callable[[Any], Any] | None = None
    joint: bool = False
    optional: bool = False
    switches: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    @property
    def takes_none(self) -> bool:
        """Whether None is a value of it."""
        return self.optional or self.default is None

    def offers(self, value: Any) -> bool:
        """Whether a value is one of the choices."""
        try:
            return value in self.choices
        except TypeError:  # a list or a table
            return False
