"""The reference simulator: the discrete dynamics of the model, exact to the bit.

>>> from snnbridge.simulate import simulate
"""

from __future__ import annotations

from snnbridge.simulate.coefficients import coefficients
from snnbridge.simulate.result import Block, Simulation, State
from snnbridge.simulate.run import simulate
from snnbridge.simulate.unknowns import missing_values

__all__ = ["Block", "Simulation", "State", "coefficients", "missing_values", "simulate"]
