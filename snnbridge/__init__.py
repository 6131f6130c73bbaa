"""snnbridge: every spiking network's checkpoint in, every other framework's out.

The public names are loaded when they are first used, so that the command line starts fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snnbridge import document, rules, spec, storage, wire
    from snnbridge.bridge import Conversion, convert, read, write
    from snnbridge.compare import Difference, differences
    from snnbridge.errors import (
        AmbiguousFormat,
        CheckpointError,
        FormatError,
        FormatUnavailable,
        IntegrityError,
        LossyWrite,
        NotDurable,
        OptionError,
        PluginError,
        ReadError,
        SNNBridgeError,
        SpecError,
        UnknownFormat,
        UnknownValue,
        WriteError,
    )
    from snnbridge.formats import EVERYTHING, Feature, Format, Option, Probe, features
    from snnbridge.hookspecs import hookimpl
    from snnbridge.model import (
        PER_STEP,
        UNKNOWN,
        AvgPool,
        BatchNorm,
        Connection,
        Conv1d,
        Conv2d,
        Delay,
        Flatten,
        Input,
        Layer,
        Linear,
        MaxPool,
        Neuron,
        NeuronRule,
        Opaque,
        Origin,
        Output,
        Parameter,
        Quantity,
        Scale,
        SNNCheckpoint,
        SourceInfo,
        StateVariable,
        Subgraph,
        SumPool,
        Synapse,
        SynapseRule,
    )
    from snnbridge.plan import Entry, Ledger, Status
    from snnbridge.registry import Registry
    from snnbridge.version import __version__

_HOMES = {
    "snnbridge.bridge": ("Conversion", "convert", "read", "write"),
    "snnbridge.compare": ("Difference", "differences"),
    "snnbridge.errors": (
        "AmbiguousFormat", "CheckpointError", "FormatError", "FormatUnavailable",
        "IntegrityError", "LossyWrite", "NotDurable", "OptionError", "PluginError", "ReadError",
        "SNNBridgeError", "SpecError", "UnknownFormat", "UnknownValue", "WriteError",
    ),
    "snnbridge.formats": ("EVERYTHING", "Feature", "Format", "Option", "Probe", "features"),
    "snnbridge.hookspecs": ("hookimpl",),
    "snnbridge.model": (
        "PER_STEP", "UNKNOWN", "AvgPool", "BatchNorm", "Connection", "Conv1d", "Conv2d", "Delay",
        "Flatten", "Input", "Layer", "Linear", "MaxPool", "Neuron", "NeuronRule", "Opaque",
        "Origin", "Output", "Parameter", "Quantity", "SNNCheckpoint", "Scale", "SourceInfo",
        "StateVariable", "Subgraph", "SumPool", "Synapse", "SynapseRule",
    ),
    "snnbridge.plan": ("Entry", "Ledger", "Status"),
    "snnbridge.registry": ("Registry",),
    "snnbridge.version": ("__version__",),
}  # fmt: skip
_MODULES = ("document", "rules", "spec", "storage", "wire")
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [*_HOME, *_MODULES]  # all are text


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"snnbridge.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'snnbridge' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
