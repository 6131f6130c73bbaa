"""What the arguments of BrainPy's classes with dynamics have in common (``brainpy.dyn``)."""

from __future__ import annotations

from snnbridge.model import Form, Scheme
from snnbridge.rules.arguments import Argument

SOURCE = "brainpy.dyn and brainpy.neurons; BrainPy 2.3.4 to 2.9.0"
_EXPONENTIAL = {"scheme": Scheme.EXACT, "form": Form.EXPONENTIAL_EULER}
METHOD = Argument(
    choices={
        "exp_auto": _EXPONENTIAL,
        "exp_euler_auto": _EXPONENTIAL,
        "euler": {"scheme": Scheme.EULER, "form": Form.DERIVATIVE},
        "rk4": {"scheme": Scheme.RUNGE_KUTTA_4, "form": Form.DERIVATIVE},
    },
    default="exp_auto",
    help="integration method",
)


def time_constant(default: float, parameter: str = "tau", help: str = "time constant") -> Argument:
    """Return an argument in milliseconds."""
    return Argument(parameter=parameter, unit="ms", default=default, help=help)
