from .coefficients import clock_step
from .lower import width_of
from .network import Key, Network, Node, delay_steps
from .ordering import components
from .packing import refuse_odd
from .result import CLOCK, NEVER, counting, initial_value
from .simulator import prepared

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
