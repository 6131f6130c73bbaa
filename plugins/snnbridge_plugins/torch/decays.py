"""The two forms in which sinabs keeps a decay: a time constant, or with ``train_alphas`` itself."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np

from snnbridge import UNKNOWN, Entry, Layer, Neuron, SNNCheckpoint, Status, Synapse, rules
from snnbridge.model import Array

_TAUS, _ALPHAS = ("tau_mem", "tau_syn"), ("alpha_mem", "alpha_syn")


def in_form_of(
    checkpoint: SNNCheckpoint, keys: Collection[str]
) -> tuple[SNNCheckpoint, list[Entry]]:
    """Put the decays of sinabs' neurons into the form of a template.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    keys : collection of str
        Of the template.

    Returns
    -------
    SNNCheckpoint
    list of Entry
        ``rewritten`` where the decay keeps its bits, ``rounded`` where no time constant gives
        just that.
    """
    own = {key.rpartition(".")[2] for key in keys}
    taus, alphas = (any(name in own for name in names) for names in (_TAUS, _ALPHAS))
    layers, entries = dict(checkpoint.layers), list[Entry]()
    for name, layer in checkpoint.layers.items():
        changed = _changed(layer, taus=taus) if taus != alphas else None
        if changed is not None:
            layers[name], status, what = changed
            reason = f"the template keeps {what}"
            entries.append(Entry(status, ("layers", name), f"layer {name!r}", reason))
    return (replace(checkpoint, layers=layers), entries) if entries else (checkpoint, [])


def _changed(layer: Layer, *, taus: bool) -> tuple[Layer, Status, str] | None:
    known = rules.of(layer) if isinstance(layer, Neuron | Synapse) else None
    held = layer.parameters.get("decay" if taus else "tau")
    if known is None or known.framework != "sinabs" or held is None or held.value is UNKNOWN:
        return None
    name = next((x for x in (_TAUS if taus else _ALPHAS) if x in known.arguments), None)
    if name is None:
        return None
    value = _tau(held.value) if taus else _alpha(held.value)
    if value is None:
        return None
    rest = {k: p for k, p in layer.parameters.items() if k not in ("decay", "tau")}
    made: Any = known.state(replace(layer, parameters=rest), {name: value})  # type: ignore[call-arg]
    kept = not taus or np.array_equal(_alpha(value), held.value)
    what = "time constants" if taus else "decays, as train_alphas=True makes them"
    return made, Status.REWRITTEN if kept else Status.ROUNDED, what


def _alpha(tau: Array) -> Array:
    """Return the decay as sinabs computes it."""
    found: Array = np.exp(np.float32(-1.0) / np.asarray(tau, np.float32))
    return found


def _tau(alpha: Array) -> Array | None:
    """Return the time constant whose decay is nearest; None where there is none."""
    from snnbridge.express.demands import Refused, exponential_tau  # slow to import

    try:
        return exponential_tau(np.asarray(alpha, np.float64), 1.0)
    except Refused:
        return None
