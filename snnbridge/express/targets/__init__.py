"""The frameworks whose classes a network can be expressed in."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from snnbridge.express.classes import Classes
from snnbridge.express.targets import norse, rockpool, sinabs, snntorch, spikingjelly

#: By the name of the framework.
TARGETS: Mapping[str, Classes] = MappingProxyType(
    {
        module.TARGET.name: module.TARGET
        for module in (norse, rockpool, sinabs, snntorch, spikingjelly)
    }
)
