"""Modules that take (batch, time, ...) as sinabs' do, made where it is there."""

from __future__ import annotations

from importlib import import_module
from typing import Any

#: The package of each class, and the axes of one sample, channels included.
_KINDS = {
    "Conv1d": ("torch.nn", 2),
    "Conv2d": ("torch.nn", 3),
    "PaddedConv1d": ("snnbridge.frameworks.building.padded", 2),
    "PaddedConv2d": ("snnbridge.frameworks.building.padded", 3),
    "AvgPool1d": ("torch.nn", 2),
    "AvgPool2d": ("torch.nn", 3),
    "MaxPool1d": ("torch.nn", 2),
    "MaxPool2d": ("torch.nn", 3),
    "SumPool2d": ("sinabs.layers", 3),
    "BatchNorm1d": ("torch.nn", 1),
    "BatchNorm2d": ("torch.nn", 3),
}


def __getattr__(name: str) -> Any:
    """Make a class when it is asked for, under its name here, so that pickle finds it."""
    if name not in _KINDS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    package, axes = _KINDS[name]
    kind = getattr(import_module(package), name)
    names = {"axes": axes, "__module__": __name__, "__doc__": f"{name} on (batch, time, ...)."}
    globals()[name] = found = type(name, (_OverTime, kind), names)
    return found


class _OverTime:
    """A module that is run on all steps alike.

    Its state dict and its arguments are those of the class that it is made of.
    """

    axes: int

    def forward(self, x: Any) -> Any:
        """Run the module on (batch, time, ...).

        Raises
        ------
        ValueError
            If the input has other axes.
        """
        if x.ndim != self.axes + 2:
            raise ValueError(
                f"{type(self).__name__} takes (batch, time) and {self.axes} axes after them, found "
                f"the shape {tuple(x.shape)}; for (batch*time, ...) build the net with batch_size= "
                "or num_timesteps="
            )
        out = super().forward(x.flatten(0, 1))  # type: ignore[misc]
        return out.unflatten(0, x.shape[:2])


def over_time(module: Any) -> Any:
    """Have a module take (batch, time, ...); those that do it anyway stay as they are."""
    name = type(module).__name__
    if name in _KINDS:
        module.__class__ = globals().get(name) or __getattr__(name)
    return module
