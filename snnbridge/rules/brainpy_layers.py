"""BrainPy's layers without dynamics (``brainpy.dnn``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snnbridge.model import (
    AvgPool,
    BatchNorm,
    Conv1d,
    Conv2d,
    Flatten,
    Layer,
    Linear,
    MaxPool,
)
from snnbridge.rules.arguments import Argument
from snnbridge.rules.table import FrameworkClass


def _static(kind: str, layer: type[Layer], **arguments: Argument) -> FrameworkClass:
    return FrameworkClass(
        framework="brainpy",
        kind=kind,
        layer=layer,
        arguments=arguments,
        source="brainpy.dnn; BrainPy 2.4.3 to 2.9.0",
    )


def _padding(value: Any) -> Any:
    """BrainPy names its paddings in capitals; "VALID" is none."""
    named = {"SAME": "same", "VALID": 0}
    return named.get(value.upper(), value) if isinstance(value, str) else value


def _window(**own: Argument) -> Mapping[str, Argument]:
    return {
        **own,
        "stride": Argument(setting="stride", default=1, help="stride"),
        "padding": Argument(
            setting="padding", default="SAME", help="zeros around it", convert=_padding
        ),
    }


_CONV = {
    **_window(),
    "rhs_dilation": Argument(setting="dilation", default=1, help="dilation of the kernel"),
    "groups": Argument(setting="groups", default=1, help="groups of channels"),
}
_POOL = _window(kernel_size=Argument(setting="window", help="window"))
_NORM = {"epsilon": Argument(setting="epsilon", default=1e-5, help="added to the variance")}

LAYERS = (
    _static("Dense", Linear),
    _static("Linear", Linear),
    _static("Conv1d", Conv1d, **_CONV),
    _static("Conv2d", Conv2d, **_CONV),
    _static("BatchNorm1d", BatchNorm, **_NORM),
    _static("BatchNorm2d", BatchNorm, **_NORM),
    _static("MaxPool", MaxPool, **_POOL),
    _static("MaxPool2d", MaxPool, **_POOL),
    _static("AvgPool", AvgPool, **_POOL),
    _static("AvgPool2d", AvgPool, **_POOL),
    _static(
        "Flatten",
        Flatten,
        order=Argument(setting="order", default="channels last", help="order of the elements"),
    ),
)
