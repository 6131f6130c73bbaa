"""How each framework's importer reads the nodes of NIR, and how a network is written for it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from snnbridge_plugins.nir.importers import norse, rockpool, sinabs, snntorch, spikingjelly, spyx
from snnbridge_plugins.nir.importers.base import Importer

#: By the name of the framework.
IMPORTERS: Mapping[str, Importer] = MappingProxyType(
    {
        module.IMPORTER.name: module.IMPORTER
        for module in (norse, rockpool, sinabs, snntorch, spikingjelly, spyx)
    }
)

__all__ = ["IMPORTERS", "Importer"]
