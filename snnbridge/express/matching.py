"""How one step compares with another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from snnbridge.express.demands import threshold_for
from snnbridge.express.step import Step
from snnbridge.ledger import Status
from snnbridge.model import Compare, Reset


def status(old: Step, new: Step) -> Status | None:
    """Say how the step that will run compares with the one that is asked for.

    Returns
    -------
    Status or None
        ``REWRITTEN`` if it spikes the same in the same arithmetic, ``ROUNDED`` if in real
        arithmetic only, None if it is another step.
    """
    if not _is_same_kind(old, new):
        return None
    same_form = old.rule.form is new.rule.form and old.rule.width is new.rule.width
    power = np.frexp(factor(old) / factor(new))[0] == 0.5
    if old.rule.spiking is True:  # only the spikes leave the neuron
        old, new = old.scaled(), new.scaled()
    if same_form and bool(power.all()) and all(_is_same(a, b) for a, b in _pairs(old, new)):
        return Status.REWRITTEN
    if old.rule.spiking is True:
        old, new = old.shifted(), new.shifted()
    near = 1e-6 * np.abs(old.threshold)
    close = all(np.allclose(a, b, rtol=1e-5, atol=near.max(initial=0)) for a, b in _pairs(old, new))
    return Status.ROUNDED if close else None


def _is_same_kind(old: Step, new: Step) -> bool:
    """Whether two steps spike, and are reset, in the same way."""
    if old.rule.spiking is not True or new.rule.spiking is not True:
        return old.rule.spiking is new.rule.spiking
    switches = ("reset", "output_delay", "spike_from", "reset_timing")
    same = all(getattr(old.rule, name) == getattr(new.rule, name) for name in switches)
    return same and _most(old) == _most(new) and bool((old.output_gain == new.output_gain).all())


def _most(step: Step) -> Any:
    """Return the most spikes in a step; float32 does not count up to more than 2**24."""
    most = step.rule.max_spikes
    return None if isinstance(most, int) and most >= 1 << 24 else most


def factor(step: Step) -> Any:
    """Return how often an input counts in the membrane potential."""
    return step.gain if step.current is None else step.gain * step.current.gain


def _pairs(old: Step, new: Step) -> Iterator[tuple[Any, Any]]:
    """Yield what decides two steps; thresholds for one comparison."""
    yield from ((getattr(old, n), getattr(new, n)) for n in ("beta", "gain", "constant", "initial"))
    if old.rule.spiking is True:
        after = {Reset.SUBTRACT: ("amount",), Reset.SET: ("reset",)}
        names = ("floor", *after.get(old.rule.reset, ()))  # type: ignore[arg-type]
        yield from ((getattr(old, name), getattr(new, name)) for name in names)
        compare = new.rule.compare
        yield (
            threshold_for(old, compare) if isinstance(compare, Compare) else old.threshold,
            new.threshold,
        )
    if old.current is not None or new.current is not None:
        zero = np.zeros_like(old.beta)
        yield tuple(s.current.alpha if s.current else zero for s in (old, new))  # type: ignore[misc]


def _is_same(a: Any, b: Any) -> bool:
    return bool((a.astype(np.float32) == b.astype(np.float32)).all())
