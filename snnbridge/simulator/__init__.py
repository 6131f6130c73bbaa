"""The reference simulator: the discrete dynamics of the model, exact to the bit.

>>> from snnbridge import Simulator, simulate
"""

from __future__ import annotations

from snnbridge.simulator.coefficients import coefficients
from snnbridge.simulator.result import Block, Simulation, State
from snnbridge.simulator.simulator import Simulator, simulate
from snnbridge.simulator.unknowns import missing_values, refuse_unknown

__all__ = [
    "Block",
    "Simulation",
    "Simulator",
    "State",
    "coefficients",
    "missing_values",
    "refuse_unknown",
    "simulate",
]
