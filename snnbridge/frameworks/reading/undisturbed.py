"""Looking at a live net without changing it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

_CONTAINERS = (dict, OrderedDict, list, set)


@contextmanager
def undisturbed(net: Any) -> Iterator[None]:
    """Have a net in evaluation mode; afterwards it is as it was, whatever ran in between.

    That is: its modes, its hooks, its buffers, the states that its modules keep, and the state of
    the random numbers on the CPU.

    Parameters
    ----------
    net : torch.nn.Module
    """
    torch = import_module("torch")
    modules = list(torch.nn.Module.modules(net))  # Rockpool has another meaning for net.modules
    held = [_Held(module) for module in modules]
    try:
        for module in modules:
            module.training = False
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            yield
    finally:
        for module in held:
            module.restore()


class _Held:
    """The attributes of one module, and what its buffers and its memories hold."""

    def __init__(self, module: Any) -> None:
        self.attributes = vars(module)
        self.values = dict(self.attributes)
        self.inner = [(x, type(x)(x)) for x in self.values.values() if type(x) in _CONTAINERS]
        parameters = {id(x) for x in module._parameters.values()}
        tensors = [x for x in self._all() if hasattr(x, "untyped_storage")]
        self.tensors = [(x, x.detach().clone()) for x in tensors if id(x) not in parameters]

    def _all(self) -> Iterator[Any]:
        yield from self.values.values()
        for _, copy in self.inner:
            yield from copy.values() if isinstance(copy, dict) else copy

    def restore(self) -> None:
        """Put everything back."""
        torch = import_module("torch")
        self.attributes.clear()
        self.attributes.update(self.values)
        for container, copy in self.inner:
            container.clear()
            if isinstance(container, list):
                container.extend(copy)
            else:
                container.update(copy)
        with torch.no_grad():
            for tensor, copy in self.tensors:
                if not torch.equal(tensor, copy):
                    tensor.copy_(copy)
