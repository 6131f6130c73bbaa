"""The layer classes of the frameworks: their arguments, rules, equations and sources.

A class is called as its framework's constructor is, with the layer's name first:

>>> from snnbridge import rules
>>> rules.brainpy.Lif("lif1", shape=(2,), tau=10.0, V_th=1.0, V_reset=0.0)
...     # doctest: +ELLIPSIS
Neuron('lif1', shape=(2,), tau=10.0 ms, ...)

:func:`get` finds a class by name, and that of an older release.
"""

from __future__ import annotations

from snnbridge.rules import (
    brainpy,
    lava,
    nengo,
    nir,
    norse,
    rockpool,
    sc_neurocore,
    sinabs,
    snntorch,
    spikingjelly,
    spyx,
)
from snnbridge.rules.arguments import REQUIRED, Argument
from snnbridge.rules.releases import RuleTable, release
from snnbridge.rules.table import FrameworkClass

_MODULES = (
    brainpy, lava, nengo, nir, norse, rockpool, sc_neurocore, sinabs, snntorch, spikingjelly, spyx,
)  # fmt: skip
_TABLE = RuleTable(x for module in _MODULES for x in module.CLASSES)

get = _TABLE.get
of = _TABLE.of
classes = _TABLE.classes
releases = _TABLE.releases

__all__ = [
    "REQUIRED", "Argument", "FrameworkClass", "RuleTable", "brainpy", "classes", "get", "lava",
    "nengo", "nir", "norse", "of", "release", "releases", "rockpool", "sc_neurocore", "sinabs",
    "snntorch", "spikingjelly", "spyx",
]  # fmt: skip
