"""The frameworks whose classes a network can be expressed in."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from snnbridge.express.classes import Classes
from snnbridge.express.targets import brainpy, norse, rockpool, sinabs, snntorch, spikingjelly, spyx

#: By the name of the framework.
TARGETS: Mapping[str, Classes] = MappingProxyType(
    {
        module.TARGET.name: module.TARGET
        for module in (brainpy, norse, rockpool, sinabs, snntorch, spikingjelly, spyx)
    }
)
#: Those whose nets are modules of PyTorch.
ON_PYTORCH = ("norse", "rockpool", "sinabs", "snntorch", "spikingjelly")
