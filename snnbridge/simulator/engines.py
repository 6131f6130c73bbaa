"""What a format needs that writes networks for another engine: a network laid out as it runs.

:func:`prepared` lays out a checkpoint as the nodes of a :class:`Network`, each with its sources and
their delays, in an order in which every node finds what it reads.
"""

from __future__ import annotations

from snnbridge.simulator.coefficients import clock_step
from snnbridge.simulator.lower import width_of
from snnbridge.simulator.network import Key, Network, Node, delay_steps
from snnbridge.simulator.ordering import components
from snnbridge.simulator.packing import refuse_odd
from snnbridge.simulator.result import CLOCK, NEVER, counting, initial_value
from snnbridge.simulator.simulator import prepared

__all__ = [
    "CLOCK",
    "NEVER",
    "Key",
    "Network",
    "Node",
    "clock_step",
    "components",
    "counting",
    "delay_steps",
    "initial_value",
    "prepared",
    "refuse_odd",
    "width_of",
]
