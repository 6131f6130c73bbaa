"""The layer classes of the frameworks: their arguments, rules, equations and sources.

>>> from snnbridge import rules
>>> rules.get("brainpy", "Lif").build("lif1", shape=(2,), tau=10.0, V_th=1.0, V_reset=0.0)
...     # doctest: +ELLIPSIS
Neuron('lif1', shape=(2,), tau=10.0 ms, ...)
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
from snnbridge.rules.table import REQUIRED, Argument, FrameworkClass, RuleTable

_MODULES = (
    brainpy, lava, nengo, nir, norse, rockpool, sc_neurocore, sinabs, snntorch, spikingjelly, spyx,
)  # fmt: skip
_TABLE = RuleTable(x for module in _MODULES for x in module.CLASSES)

get = _TABLE.get
of = _TABLE.of
classes = _TABLE.classes

__all__ = ["REQUIRED", "Argument", "FrameworkClass", "RuleTable", "classes", "get", "of"]
