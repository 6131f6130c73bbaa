"""The reference simulator: the discrete dynamics of the model, exact to the bit.

>>> from snnbridge.simulate import Simulator, simulate
"""

from __future__ import annotations

from snnbridge.simulate.coefficients import coefficients
from snnbridge.simulate.result import Block, Simulation, State
from snnbridge.simulate.simulator import Simulator, simulate
from snnbridge.simulate.unknowns import missing_values

__all__ = [
    "Block",
    "Simulation",
    "Simulator",
    "State",
    "coefficients",
    "missing_values",
    "simulate",
]
