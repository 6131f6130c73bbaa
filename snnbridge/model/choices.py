"""The enumerations that the switches of a rule choose from."""

from __future__ import annotations

import enum


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
    STATED = "stated"  # g = gain; for a synapse input_gain, without any normalisation


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
