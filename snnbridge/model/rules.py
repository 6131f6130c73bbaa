"""The discrete rule of a neuron or a synapse, as data.

One family covers the neurons that the frameworks run. A step of a neuron with membrane
potential ``v`` and input ``x`` is::

    h <- update(v, x)                 beta*v + g*x + c,  c = (1 - beta)*v_rest + bias
    refractory: v is held, or clamped to rest
    s <- h > theta | h >= theta | min(trunc(h / theta) * [h > 0], n_max)
    v <- h - s*a (subtract) | v_reset where s > 0 (set) | h (none);  v <- max(v, v_min)
    z <- output_gain * s, delivered some steps later

Floating point is not associative, so the *form* in which the update is computed is part of the
rule. Each switch may be ``UNKNOWN``: a file that does not state a rule is never completed by a
guess.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields

from snnbridge.model.values import UNKNOWN, Unknown


class Scheme(enum.Enum):
    """How the decay ``beta`` of one step follows from the parameters that the source states."""

    STATED = "stated"  # beta = decay
    CLAMPED = "clamped"  # beta = min(max(decay, 0), 1)
    EXACT = "exact"  # beta = exp(-dt / tau)
    EULER = "euler"  # beta = 1 - dt / tau
    EULER_INVERSE = "euler inverse"  # beta = 1 - dt * tau_inv
    EULER_LOGIT = "euler logit"  # beta = 1 - sigmoid(logit)
    LOGIT = "logit"  # beta = sigmoid(logit)
    BIT_SHIFT = "bit shift"  # beta = 1 - 2 ** -dash
    RC = "rc"  # beta = 1 - dt / (resistance * capacitance), g = dt / capacitance
    RUNGE_KUTTA_4 = "runge-kutta 4"  # beta = 1 - k + k**2/2 - k**3/6 + k**4/24, k = dt / tau
    INTEGRATE = "integrate"  # beta = 1, no leak


class Form(enum.Enum):
    """The order of the floating-point or integer operations of the update."""

    AFFINE = "affine"  # (beta*v + g*x) + c
    DIFFERENCE = "difference"  # v + k*((v_rest - v) + x), k = 1 - beta
    BOX = "box"  # v + k*((x + v_rest) - v)
    QUOTIENT = "quotient"  # v + ((v_rest - v) + x) / tau
    DERIVATIVE = "derivative"  # v + dt*(((v_rest - v) + resistance*x) / tau), or its stages
    # fma((dt*phi) * (1/tau), (v_rest - v) + resistance*x, v), phi = exprel(-dt/tau), all in the
    # network's width and fma rounding once
    EXPONENTIAL_EULER = "exponential euler"
    INTEGER_SHIFT_12 = "integer shift 12"  # state in units of 2**-12, rounded towards zero
    FIXED_Q8_8 = "fixed q8.8"  # 16-bit words, floor shifts, wrapping


class InputGain(enum.Enum):
    """The factor ``g`` on the input.

    The forms other than affine add the input inside their brackets, as their equations show,
    where it is ``COMPLEMENT``, and ``g*x`` after the leak otherwise.
    """

    ONE = "one"  # g = 1
    COMPLEMENT = "complement"  # g = resistance * (1 - beta)
    TIME_STEP = "time step"  # g = resistance * dt
    STATED = "stated"  # g = gain


class Inputs(enum.Enum):
    """How several inputs of one layer meet its state; without meaning where there is one."""

    SUMMED = "summed"  # x = x1 + x2, then the update
    IN_TURN = "in turn"  # the update adds x1, then x2


class Floor(enum.Enum):
    """How a lower bound is kept; without meaning where there is none."""

    MAXIMUM = "maximum"  # max(v, v_min)
    SHIFTED = "shifted"  # max(v - v_min, 0) + v_min


class Compare(enum.Enum):
    """When a neuron spikes."""

    GREATER = ">"
    GREATER_EQUAL = ">="


class Reset(enum.Enum):
    """What a spike does to the membrane potential."""

    SUBTRACT = "subtract"  # v - s*reset_amount
    SET = "set"  # v_reset
    NONE = "none"


class ResetTiming(enum.Enum):
    """When the reset of a spike acts."""

    NOW = "now"  # in the step of the spike
    NEXT_BEFORE_LEAK = "next, before the leak"
    NEXT_AFTER_LEAK = "next, after leak and input"
    RESIDUAL = "residual"  # now, minus what the next step's threshold took already


class SpikeSource(enum.Enum):
    """The membrane potential that is compared with the threshold."""

    NEW = "new"  # after the update of this step
    OLD = "old"  # before it


class Refractory(enum.Enum):
    """What a neuron does while it is refractory."""

    NONE = "none"
    HOLD = "hold"  # v keeps its value
    CLAMP = "clamp"  # v is set to v_rest
    HOLD_TESTED = "hold, tested"  # v is held, threshold and reset still act


class Clock(enum.Enum):
    """How the end of the refractory period is found."""

    COUNTER = "counter"  # whole steps
    FLOAT32_TIME = "float32 time"  # float32(step) * float32(dt) - t_last_spike <= tau_ref


class Width(enum.Enum):
    """The arithmetic of the state."""

    FLOAT32 = "float32"
    FLOAT64 = "float64"
    INT64 = "int64"
    INT16 = "int16"


class Trace(enum.Enum):
    """The membrane potential that a recording of the source shows."""

    RAW = "raw"  # before the reset
    RESET = "reset"  # after it


class SynapseKind(enum.Enum):
    """The linear filter of a synapse."""

    EXPONENTIAL = "exponential"  # one state i
    DUAL_EXPONENTIAL = "dual exponential"  # g driven by h, which rises with the input
    ALPHA = "alpha"  # as dual exponential, with one time constant
    EXPONENTIAL_DIFFERENCE = "exponential difference"  # a * (g_decay - g_rise)


class SynapseOrder(enum.Enum):
    """The order of decay, input and output within a step of a synapse."""

    DECAY_ADD_USE = "decay, add, use"  # i = alpha*i + x; out = i
    ADD_DECAY_USE = "add, decay, use"  # i = alpha*(i + x); out = i
    ADD_USE_DECAY = "add, use, decay"  # i = i + x; out = i; i = alpha*i
    DECAY_USE_ADD = "decay, use, add"  # i = alpha*i; out = i; i = i + x


_SELDOM = ("inputs", "floor")


class _Switches:
    """What rules have in common: which of their switches are unknown."""

    __slots__ = ()

    def unknown(self) -> tuple[str, ...]:
        """Return the names of the switches that the source does not state.

        ``inputs`` and ``floor`` are left out: only a layer with several inputs, or with a lower
        bound, has a use for them.
        """
        return tuple(
            field.name
            for field in fields(self)  # type: ignore[arg-type]
            if getattr(self, field.name) is UNKNOWN and field.name not in _SELDOM
        )

    def __repr__(self) -> str:
        stated = (
            f"{field.name}={value.value if isinstance(value, enum.Enum) else value!r}"
            for field in fields(self)  # type: ignore[arg-type]
            if (value := getattr(self, field.name)) is not UNKNOWN
        )
        return f"{type(self).__name__}({', '.join(stated)})"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class NeuronRule(_Switches):
    """The switches of one neuron's step; the module's text has the equations.

    Parameters
    ----------
    scheme, form, input_gain, inputs, compare, reset, reset_timing, spike_from, floor, \
refractory, clock, width, trace
        One member of the enumeration each, or ``UNKNOWN``.
    spiking : bool or UNKNOWN
        ``False`` for a readout, which shows its membrane potential and never spikes.
    max_spikes : int or None or UNKNOWN
        The most spikes in one step; ``None`` for no limit.
    output_delay : int or UNKNOWN
        Steps from a spike to its delivery.

    Examples
    --------
    >>> NeuronRule(compare=Compare.GREATER, reset=Reset.SET).unknown()[:2]
    ('scheme', 'form')
    """

    scheme: Scheme | Unknown = UNKNOWN
    form: Form | Unknown = UNKNOWN
    input_gain: InputGain | Unknown = UNKNOWN
    inputs: Inputs | Unknown = UNKNOWN
    compare: Compare | Unknown = UNKNOWN
    reset: Reset | Unknown = UNKNOWN
    reset_timing: ResetTiming | Unknown = UNKNOWN
    spike_from: SpikeSource | Unknown = UNKNOWN
    floor: Floor | Unknown = UNKNOWN
    refractory: Refractory | Unknown = UNKNOWN
    clock: Clock | Unknown = UNKNOWN
    spiking: bool | Unknown = UNKNOWN
    max_spikes: int | Unknown | None = UNKNOWN
    output_delay: int | Unknown = UNKNOWN
    width: Width | Unknown = UNKNOWN
    trace: Trace | Unknown = UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SynapseRule(_Switches):
    """The switches of one synapse's step.

    Parameters
    ----------
    kind, order, scheme, form, input_gain, inputs, width
        One member of the enumeration each, or ``UNKNOWN``.
    """

    kind: SynapseKind | Unknown = UNKNOWN
    order: SynapseOrder | Unknown = UNKNOWN
    scheme: Scheme | Unknown = UNKNOWN
    form: Form | Unknown = UNKNOWN
    input_gain: InputGain | Unknown = UNKNOWN
    inputs: Inputs | Unknown = UNKNOWN
    width: Width | Unknown = UNKNOWN


#: The parameters that a neuron may state, and what each means.
NEURON_PARAMETERS = {
    "tau": "membrane time constant",
    "tau_inv": "inverse of the membrane time constant",
    "decay": "factor of the membrane potential per step",
    "logit": "log-odds of the decay, or of the inverse time constant",
    "dash": "bit shift of the decay",
    "resistance": "membrane resistance",
    "capacitance": "membrane capacitance",
    "gain": "factor on the input",
    "bias": "constant input",
    "v_rest": "potential that the membrane leaks to",
    "v_reset": "potential after a spike",
    "threshold": "potential at which the neuron spikes",
    "reset_amount": "what a spike subtracts; threshold - v_reset where it is not stated, or the "
    "threshold where there is no v_reset",
    "v_min": "lower bound of the membrane potential",
    "v_init": "membrane potential before the first step",
    "tau_ref": "refractory period",
    "output_gain": "factor on the emitted spike",
}

#: The parameters that a synapse may state, and what each means.
SYNAPSE_PARAMETERS = {
    "tau": "time constant of the decay",
    "tau_inv": "its inverse",
    "tau_rise": "time constant of the rise",
    "decay": "factor of the state per step",
    "dash": "bit shift of the decay",
    "gain": "factor on the output",
    "input_gain": "factor on the input",
}
