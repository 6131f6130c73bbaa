"""The step of a synapse in standard operators."""

from __future__ import annotations

from collections.abc import Sequence

from snnbridge.model import Form, SynapseKind, SynapseOrder, SynapseRule
from snnbridge_plugins.onnx.recipes.arithmetic import fma, shift_12, truncated
from snnbridge_plugins.onnx.recipes.neurons import Coefficients
from snnbridge_plugins.onnx.recipes.terms import Term


def synapse_step(
    rule: SynapseRule, p: Coefficients, i: Term, second: Term | None, inputs: Sequence[Term]
) -> tuple[Term, Term | None, Term]:
    """Add one step of a synapse to the scope of its terms.

    Parameters
    ----------
    rule : SynapseRule
    p : mapping of str to Term
        As :func:`snnbridge.simulator.coefficients` names them; a gain of 1 is left out.
    i, second : Term
        The states; `second` is None for an exponential synapse.
    inputs : sequence of Term

    Returns
    -------
    i, second, output : Term
    """
    x = [p["gain"] * one if "gain" in p else one for one in inputs]
    if rule.form is Form.INTEGER_SHIFT_12:
        x = [truncated(one, 4096.0) / 4096.0 for one in x]
    if rule.kind is SynapseKind.EXPONENTIAL:
        i, out = _filtered(rule, p, i, x, "")
    elif rule.kind is SynapseKind.EXPONENTIAL_DIFFERENCE:
        assert second is not None
        i, slow = _filtered(rule, p, i, x, "")
        second, fast = _filtered(rule, p, second, x, "_rise")
        out = slow - fast
    else:
        assert second is not None
        i = _driven(rule, p, i, second)
        second = _added(_decayed(rule, p, second, "_rise"), x)
        out = i
    return i, second, p["output_gain"] * out if "output_gain" in p else out


def _driven(rule: SynapseRule, p: Coefficients, i: Term, rise: Term) -> Term:
    """Return the current of a dual exponential or alpha synapse after a step."""
    alpha = rule.kind is SynapseKind.ALPHA
    if rule.form is Form.EXPONENTIAL_EULER:
        return fma(p["leak"], (rise if alpha else p["tau"] * rise) - i, i)
    drive = rise / p["tau"] if alpha and "tau" in p else rise
    if rule.form is Form.DERIVATIVE:
        return i + p["leak"] * (-i / p["tau"] + drive)
    return _decayed(rule, p, i, "") + drive


def _added(i: Term, x: Sequence[Term]) -> Term:
    for one in x:
        i = i + one
    return i


def _filtered(
    rule: SynapseRule, p: Coefficients, i: Term, x: Sequence[Term], which: str
) -> tuple[Term, Term]:
    """Return an exponential filter's state and output."""
    if rule.order is SynapseOrder.DECAY_ADD_USE:
        i = _added(_decayed(rule, p, i, which), x)
        return i, i
    if rule.order is SynapseOrder.ADD_DECAY_USE:
        i = _decayed(rule, p, _added(i, x), which)
        return i, i
    if rule.order is SynapseOrder.ADD_USE_DECAY:
        out = _added(i, x)
        return _decayed(rule, p, out, which), out
    i = _decayed(rule, p, i, which)
    return _added(i, x), i


def _decayed(rule: SynapseRule, p: Coefficients, i: Term, which: str) -> Term:
    k = p[f"leak{which}"]
    if rule.form is Form.AFFINE:
        return k * i
    if rule.form is Form.QUOTIENT:
        return i - i / k
    if rule.form is Form.DERIVATIVE:
        return i + k * (-i / p[f"tau{which}"])
    if rule.form is Form.EXPONENTIAL_EULER:
        return fma(k, -i, i)
    if rule.form is Form.INTEGER_SHIFT_12:
        return shift_12(i, k)
    return i - k * i
