"""Whether a net goes on with the states that its modules gave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from snnbridge.frameworks.reading.memory import Moment, moment_of, tensors_in


class States:
    """Compares the states that modules are given with those that they gave in their last call.

    Parameters
    ----------
    stateful : set of str
        The modules that keep a state from call to call.

    Attributes
    ----------
    begun : set of str
        Modules that were given a state other than 0 in their first call.
    changed : dict of str to str
        Modules that were given another state than the one they gave, and what it was.
    copied : dict of Moment to Moment
        What tensors are copies of.
    """

    def __init__(self, stateful: set[str]) -> None:
        self.stateful = stateful
        self.begun: set[str] = set()
        self.changed: dict[str, str] = {}
        self.copied: dict[Moment, Moment] = {}
        self._given: dict[str, set[Moment]] = {}

    def look(
        self, module: Any, name: str, states: list[Any], output: Any, told: Callable[[Any], str]
    ) -> list[Any]:
        """Look at one call of a module.

        Parameters
        ----------
        module : torch.nn.Module
        name : str
        states : list of tensor
            What it was given beside its input.
        output : Any
        told : function of a tensor, returning str
            Tells what a state is that the module did not give.

        Returns
        -------
        list of tensor
            The states that it gives.
        """
        if name not in self.stateful:
            return []
        before = self._given.get(name)
        if before is None:
            if any(bool(x.any()) for x in states):
                self.begun.add(name)
        elif not states and len(before) > 1 and type(module).__module__.startswith("norse."):
            self.changed.setdefault(name, "none is given, so that every step begins anew")
        else:
            for state in states:
                if self._origin(state) not in before:
                    self.changed.setdefault(name, told(state))
        given = list(tensors_in(output))
        self._given[name] = {moment_of(x) for x in given}
        return given[1:]

    def _origin(self, tensor: Any) -> Moment:
        """Return what a tensor is a copy of, or itself."""
        found = moment_of(tensor)
        while found in self.copied:
            found = self.copied[found]
        return found
