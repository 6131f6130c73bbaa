"""Lava-DL's current-based neuron (slayer, CUBA), in integers of 2**-12."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from snnbridge.model import Form, Reset, Scheme, SynapseOrder, Width
from snnbridge.rules.common import SPIKING, Table, joint, stated
from snnbridge.rules.releases import named
from snnbridge.rules.table import Derived

_TABLE = Table("lava", "lava.lib.dl.slayer.neuron.cuba; lava-dl of 2024")
_INTEGER: dict[str, Any] = {"form": Form.INTEGER_SHIFT_12, "width": Width.INT64}


def _decay(name: str) -> Any:
    """State a decay word, 0 to 4096, as the factor that stays."""

    def derive(given: Mapping[str, Any]) -> Derived:
        if given.get(name) is None:
            return {}, {}
        return {"decay": 1 - given[name] / 4096}, {}

    return derive


_TABLE.neuron(
    "CUBA",
    replace(SPIKING, scheme=Scheme.STATED, reset=Reset.SET, **_INTEGER),
    "v = rtz(v*(4096 - vDecay) >> 12) + u; s = [v > threshold]; v = 0 where it spikes; all in "
    "units of 2**-12",
    {
        "vDecay": joint(help="decay word of the potential"),
        "threshold": stated("threshold", help="threshold"),
        "v_reset": stated("v_reset", 0.0, "potential after a spike"),
    },
    derive=_decay("vDecay"),
    synapse=_TABLE.synapse(
        "CUBA.synapse",
        SynapseOrder.DECAY_ADD_USE,
        "u = rtz(u*(4096 - iDecay) >> 12) + trunc(4096*x)",
        {"iDecay": joint(help="decay word of the current")},
        scheme=Scheme.STATED,
        derive=_decay("iDecay"),
        **_INTEGER,
    ),
)

CLASSES = tuple(_TABLE.classes)
__getattr__ = named(CLASSES)
