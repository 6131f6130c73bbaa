from .coefficients import coefficients
from .result import Block, Simulation, State
from .simulator import Simulator, simulate
from .unknowns import missing_values, refuse_unknown

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
