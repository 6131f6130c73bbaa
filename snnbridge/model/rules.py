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
import types
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from snnbridge.errors import CheckpointError
from snnbridge.model.choices import (
    Clock,
    Compare,
    Floor,
    Form,
    InputGain,
    Inputs,
    Refractory,
    Reset,
    ResetTiming,
    Scheme,
    SpikeSource,
    SynapseKind,
    SynapseOrder,
    Trace,
    Width,
)
from snnbridge.model.values import UNKNOWN, Unknown


def switches(kind: type) -> dict[str, type[enum.Enum] | None]:
    """Return each switch of a rule and the enumeration that its values belong to, if any.

    Parameters
    ----------
    kind : type
        :class:`NeuronRule` or :class:`SynapseRule`.

    Examples
    --------
    >>> switches(NeuronRule)["compare"]
    <enum 'Compare'>
    """
    return _switches(kind)


@cache
def _switches(kind: type) -> dict[str, type[enum.Enum] | None]:
    return {
        name: next((t for t in _alternatives(hint) if _is_choice(t)), None)
        for name, hint in typing.get_type_hints(kind).items()
    }


def _alternatives(hint: Any) -> Iterable[Any]:
    return typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)


def _is_choice(candidate: Any) -> bool:
    return (
        isinstance(candidate, type)
        and issubclass(candidate, enum.Enum)
        and candidate is not Unknown
    )


#: The switches without an enumeration: what each must be.
_PLAIN: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "spiking": ("True, False", lambda value: isinstance(value, bool)),
    "max_spikes": (
        "a whole number of at least 1, None",
        lambda value: value is None or (type(value) is int and value >= 1),
    ),
    "output_delay": (
        "a whole number of at least 0",
        lambda value: type(value) is int and value >= 0,
    ),
}
_SELDOM = ("inputs", "floor")


def _expected(name: str, choice: type[enum.Enum] | None) -> str:
    return _PLAIN[name][0] if choice is None else ", ".join(map(str, choice))


def _fits(name: str, choice: type[enum.Enum] | None, value: object) -> bool:
    return _PLAIN[name][1](value) if choice is None else isinstance(value, choice)


class _Switches:
    """What rules have in common: which of their switches are unknown, and what each may be."""

    __slots__ = ()

    def __post_init__(self) -> None:
        for name, choice in switches(type(self)).items():
            value = getattr(self, name)
            if value is not UNKNOWN and not _fits(name, choice, value):
                raise CheckpointError(
                    f"{name} of a {type(self).__name__} must be {_expected(name, choice)} or "
                    f"UNKNOWN, found {value!r}"
                )

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

    Raises
    ------
    CheckpointError
        For a value that the switch does not have; the text of a member is none: write
        ``Compare(">=")``.

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

    Raises
    ------
    CheckpointError
        For a value that the switch does not have.

    Examples
    --------
    >>> SynapseRule(kind=SynapseKind.ALPHA)
    SynapseRule(kind='alpha')
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
