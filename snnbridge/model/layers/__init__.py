"""The kinds of layers that a checkpoint is a graph of.

Shapes never hold the batch or the time. Images are channels first; a framework that keeps the
channels last hands its kernels in as transposed views, and says in :class:`Flatten` in which
order it runs over them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from snnbridge.model.layers.base import Layer
from snnbridge.model.layers.dynamics import Neuron, Synapse
from snnbridge.model.layers.plain import (
    BatchNorm,
    Delay,
    Flatten,
    Input,
    Linear,
    Output,
    Scale,
)
from snnbridge.model.layers.structure import Connection, Opaque, Subgraph
from snnbridge.model.layers.windows import (
    AvgPool,
    Conv,
    Conv1d,
    Conv2d,
    MaxPool,
    Padding,
    Pool,
    SumPool,
)

__all__ = [
    "KINDS", "AvgPool", "BatchNorm", "Connection", "Conv", "Conv1d", "Conv2d", "Delay", "Flatten",
    "Input", "Layer", "Linear", "MaxPool", "Neuron", "Opaque", "Output", "Padding", "Pool",
    "Scale", "Subgraph", "SumPool", "Synapse",
]  # fmt: skip

#: Every kind of layer, by name.
KINDS: Mapping[str, type[Layer]] = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (
            Input, Output, Linear, Conv1d, Conv2d, SumPool, AvgPool, MaxPool, Flatten, Scale,
            BatchNorm, Delay, Synapse, Neuron, Subgraph, Opaque,
        )
    }
)  # fmt: skip
