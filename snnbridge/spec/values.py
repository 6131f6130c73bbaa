"""The values of a spec: numbers with units, held against what they are for."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from snnbridge.errors import SpecError
from snnbridge.model import PER_STEP, Parameter, Quantity, TimeStep
from snnbridge.model.values import SECONDS
from snnbridge.rules import Argument

#: What states nothing, so that a form is a valid spec.
UNSTATED = "?"
_NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*)", re.DOTALL)
_TIMES = (*SECONDS, "step")
_RATES = tuple(f"1/{unit}" for unit in _TIMES)
#: Parameters that are compared and added, so that one layer has them in one unit.
POTENTIALS = ("v_rest", "v_reset", "v_min", "v_init", "threshold", "reset_amount")
_UNITS = {
    "tau": _TIMES,
    "tau_rise": _TIMES,
    "tau_ref": _TIMES,
    "delay": _TIMES,
    "tau_inv": _RATES,
    **dict.fromkeys(POTENTIALS, ("V", "mV", "uV", "nV")),
}
_ABOVE_ZERO = ("tau", "tau_rise", "tau_inv", "capacitance")
_NOT_BELOW_ZERO = ("tau_ref", "delay")
_MOST = 1 << 63


def argument_value(argument: Argument, held: Any, where: str) -> Any:
    """Read what a spec states for a framework's argument.

    Parameters
    ----------
    argument : Argument
    held
        As the file has it: a number, ``"10 ms"``, a list of numbers, a word, ``"none"``.
    where : str
        Layer and key, for the message.

    Raises
    ------
    SpecError
        For what is no value of the argument.
    """
    if argument.choices:
        return held
    if held is None or (argument.takes_none and isinstance(held, str) and held == "none"):
        if not argument.takes_none:
            raise SpecError(f"{where} cannot be none; expected {argument.help or 'a value'}")
        return None
    if argument.parameter is not None:
        return parameter_value(argument.parameter, held, where, argument.unit)
    if argument.joint:
        return _plain(argument, held, where)
    return setting_value(held, where)


def parameter_value(name: str, held: Any, where: str, unit: str | None = None) -> Parameter:
    """Read a parameter of the model: numbers, with a unit that fits it.

    Raises
    ------
    SpecError
        For what is no number, not finite, out of range, or in a unit of something else.
    """
    value, own = _numbers(held, where)
    expected = _UNITS.get(name, ())
    if own is not None and own not in expected:
        units = f"in one of {', '.join(expected)}" if expected else "without a unit"
        raise SpecError(f"{where} must be stated {units}, found {short(held)}")
    if name in _ABOVE_ZERO and not (value > 0).all():
        raise SpecError(f"{where} must be above 0, found {short(held)}")
    if name in _NOT_BELOW_ZERO and not (value >= 0).all():
        raise SpecError(f"{where} must be at least 0, found {short(held)}")
    return Parameter(value, own or unit)


def _plain(argument: Argument, held: Any, where: str) -> Any:
    """Read an argument that is no parameter of its own: a flag, a word or plain numbers."""
    if isinstance(argument.default, bool):
        return flag(held, where)
    if isinstance(argument.default, str) and not isinstance(held, bool | float | Mapping):
        return tuple(held) if isinstance(held, list) else held
    value, unit = _numbers(held, where)
    if unit not in (None, argument.unit):
        expected = f"in {argument.unit}" if argument.unit else "without a unit"
        raise SpecError(f"{where} must be stated {expected}, found {short(held)}")
    return value if value.ndim else value.item()


def setting_value(held: Any, where: str) -> Any:
    """Read a setting of a layer: whole numbers, lists of them, words and flags.

    Raises
    ------
    SpecError
        For a number that is too large or not finite, or a table.
    """
    if isinstance(held, list):
        return tuple(setting_value(x, where) for x in held)
    if isinstance(held, bool | str):
        return held
    if isinstance(held, int) and abs(held) < _MOST:
        return held
    if isinstance(held, float) and math.isfinite(held):
        return held
    raise SpecError(f"{where} must be a number, a word or a list of them, found {short(held)}")


def _numbers(held: Any, where: str) -> tuple[Any, str | None]:
    """Return an array of numbers and their unit."""
    unit = None
    if isinstance(held, Parameter):
        held, unit = held.value, held.unit
    elif isinstance(held, str) and (found := _NUMBER.fullmatch(held.strip())):
        held, unit = float(found[1]), found[2].strip() or None
    if not _all_numbers(held):
        raise SpecError(f"{where} must be a number or a list of numbers, found {short(held)}")
    try:
        value = np.asarray(held)
    except ValueError:
        raise SpecError(f"{where} must be lists of one length, found {short(held)}") from None
    if value.size == 0 or not np.isfinite(value).all():
        raise SpecError(f"{where} must be finite numbers, found {short(held)}")
    return value, unit


def _all_numbers(held: Any) -> bool:
    if isinstance(held, list | tuple):
        return all(_all_numbers(x) for x in held)
    if isinstance(held, np.ndarray | np.generic):
        return held.dtype.kind in "iuf"
    if isinstance(held, bool):
        return False
    return isinstance(held, float) or (isinstance(held, int) and abs(held) < _MOST)


def time_step(held: Any) -> TimeStep:
    """Read a time step: ``"0.1 ms"`` or ``"per step"``.

    Raises
    ------
    SpecError
        For anything else.
    """
    if held == "per step":
        return PER_STEP
    found = _NUMBER.fullmatch(held.strip()) if isinstance(held, str) else None
    if found is None or found[2] not in SECONDS or not 0 < float(found[1]) < math.inf:
        raise SpecError(
            f'dt must be like "0.1 ms" (in {", ".join(SECONDS)}) or "per step", not {short(held)}'
        )
    return Quantity(float(found[1]), found[2])


def flag(held: Any, where: str) -> bool:
    """Read true or false.

    Raises
    ------
    SpecError
        For anything else.
    """
    if not isinstance(held, bool):
        raise SpecError(f"{where} must be true or false, not {short(held)}")
    return held


def table(value: Any, where: str) -> dict[str, Any]:
    """Read a table, without what it leaves open.

    Raises
    ------
    SpecError
        For anything else.
    """
    if not isinstance(value, Mapping):
        raise SpecError(f"{where} must be a table, found {short(value)}")
    return {key: held for key, held in value.items() if is_stated(held)}


def is_stated(held: Any) -> bool:
    """Whether a spec says something there, and does not leave it open."""
    if isinstance(held, Mapping):
        return any(is_stated(value) for value in held.values())
    return not (isinstance(held, str | list) and held in (UNSTATED, [UNSTATED], [[UNSTATED]]))


def short(value: Any) -> str:
    """Write a value of any size in a few words."""
    if isinstance(value, list | tuple | dict) and len(value) > 8:
        return f"a {'table' if isinstance(value, dict) else 'list'} of {len(value)} entries"
    try:
        text = repr(value)
    except ValueError:  # Python writes no number of so many digits
        return "a number of too many digits"
    return text if len(text) <= 80 else text[:77] + "..."
