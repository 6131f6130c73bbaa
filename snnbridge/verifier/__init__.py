"""Do two networks do the same? The same stimulus into both, and every spike compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from snnbridge.compare import differences
from snnbridge.errors import CheckpointError
from snnbridge.model import SNNCheckpoint
from snnbridge.simulator.stimulus import Stimulus
from snnbridge.verifier.comparison import Comparison
from snnbridge.verifier.execution import Engine, Execution
from snnbridge.verifier.result import VERDICTS, Divergence, LayerAgreement, Verification

__all__ = [
    "VERDICTS",
    "Comparison",
    "Divergence",
    "Execution",
    "LayerAgreement",
    "Verification",
    "verify",
]

#: What a network computes with; the rest of a checkpoint does not bear on its behaviour.
_BEHAVIOUR = ("layers", "connections", "dt", "state", "step")


def verify(
    left: SNNCheckpoint,
    right: SNNCheckpoint | Engine,
    *,
    steps: int = 100,
    seed: int = 0,
    rate: float = 0.1,
    inputs: Stimulus | Mapping[str, Stimulus] | None = None,
    tolerance: float = 0.0,
    latency: bool = False,
    rounding: bool = False,
    progress: Callable[[str, int, int], object] | None = None,
) -> Verification:
    """Compare what two networks do under the same stimulus.

    Parameters
    ----------
    left : SNNCheckpoint
    right : SNNCheckpoint or function
        Layers are matched by name; where the names differ, by order and size. A function, such
        as ``snnbridge.bridge.engine`` returns, runs a file outside of the simulator: from arrays
        (steps, batch, ...) by input layer to such arrays by (layer, variable).
    steps, seed : int
        Of the stimulus that is made: random spikes, and constant currents that drive single
        neurons of the left network to their threshold.
    rate : float
        Probability of a spike per input and step.
    inputs : array, spike list, or mapping of them, optional
        A stimulus of your own, as :func:`snnbridge.simulate` takes it, by the left network's
        input layers.
    tolerance : float
        How far two membrane potentials may differ, as a share of the threshold, without the
        verdict becoming indeterminate although they come closer to the threshold than that.
    latency : bool
        Compare each layer as many steps later, or earlier, as what enters the network takes more or
        fewer steps to reach it on the right: another number of steps in all is no difference then.
    rounding : bool
        Whether the two are known to round otherwise. Samples that were made to hit a threshold then
        count no longer from where rounding decides, in that layer and in all that it reaches.
    progress : function of (phase, done, total), optional

    Returns
    -------
    Verification

    Raises
    ------
    UnknownValue
        Listing what a network does not state.
    CheckpointError
        If a network cannot be simulated, or the two cannot be matched; for a latency of an engine.

    Examples
    --------
    >>> import numpy as np
    >>> from snnbridge import Connection, Linear, SNNCheckpoint, rules, verify
    >>> def net(threshold):
    ...     lif = rules.snntorch.Leaky(
    ...         "lif", shape=(2,), beta=0.5, threshold=threshold)
    ...     return SNNCheckpoint([Linear("fc", np.eye(2, dtype=np.float32)), lif],
    ...                          connections=[Connection("fc", "lif")])
    >>> verify(net(1.0), net(1.0)).verdict, verify(net(1.0), net(1.5)).verdict
    ('identical', 'different')
    """
    _refuse_options(steps, seed, rate, tolerance)
    if not isinstance(right, SNNCheckpoint):
        if latency:
            raise CheckpointError("an engine's delays are not known; leave latency out")
        return Execution(left, right, tolerance).run(inputs, steps, seed, rate, progress)
    if not any(d.path[0] in _BEHAVIOUR for d in differences(left, right)):
        return Verification("identical")
    return Comparison(left, right, tolerance, latency, rounding).run(
        inputs, steps, seed, rate, progress
    )


def _refuse_options(steps: int, seed: int, rate: float, tolerance: float) -> None:
    for name, value, least in (("steps", steps, 1), ("seed", seed, 0)):
        if not hasattr(value, "__index__") or value < least:
            raise CheckpointError(
                f"{name} must be a whole number of at least {least}, not {value!r}"
            )
    if not 0 <= rate <= 1 or not 0 <= tolerance < float("inf"):
        raise CheckpointError(
            "rate must be between 0 and 1, tolerance at least 0 and finite; "
            f"found {rate} and {tolerance}"
        )
