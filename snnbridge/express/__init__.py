"""A network in the neurons of another framework.

:func:`express` finds, for every neuron, the class and the arguments of the target framework that
compute the same step: the same bits of behaviour, or the same in real arithmetic; what no class
computes is refused with the reason. The steps are compared as numbers, whatever form the source
states them in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from snnbridge.errors import WriteError
from snnbridge.express.adapting import Made
from snnbridge.express.classes import Classes
from snnbridge.express.graph import Loop, own_synapses
from snnbridge.express.naming import named
from snnbridge.express.network import expressed
from snnbridge.express.runner import Runner
from snnbridge.express.step import Current, Inexpressible, Step, current_of, step_of
from snnbridge.express.targets import ON_PYTORCH, TARGETS
from snnbridge.ledger import Entry
from snnbridge.model import Neuron, Opaque, SNNCheckpoint, Synapse

__all__ = [
    "ON_PYTORCH",
    "TARGETS",
    "Classes",
    "Current",
    "Inexpressible",
    "Loop",
    "Made",
    "Runner",
    "Step",
    "current_of",
    "express",
    "expressed",
    "own_synapses",
    "step_of",
]  # fmt: skip


def express(checkpoint: SNNCheckpoint, framework: str) -> tuple[SNNCheckpoint, list[Entry]]:
    """Return a network in the classes of a framework.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
        Its connections and rules known.
    framework : str
        One of :data:`TARGETS`.

    Returns
    -------
    SNNCheckpoint
        Neurons of the framework stay as they are.
    list of Entry
        What became of each layer that changed: rewritten or rounded.

    Raises
    ------
    WriteError
        Naming the first layer that the framework has no class for, and the reason; or if there
        are no neurons, or layers of which it is not known what they compute.
    UnknownValue
        If a rule is not known.

    Examples
    --------
    >>> from snnbridge import PER_STEP, SNNCheckpoint, rules
    >>> leaky = rules.snntorch.Leaky(
    ...     "lif", shape=(2,), beta=0.5, reset_mechanism="zero", reset_delay=False
    ... )
    >>> net = SNNCheckpoint([leaky], connections=(), dt=PER_STEP)
    >>> planned, ledger = express(net, "spikingjelly")
    >>> planned.layers["lif"].origin.kind, ledger[0].status.value
    ('CUBALIFNode', 'rewritten')
    """
    if framework not in TARGETS:
        raise WriteError(f"no framework is called {framework!r}; known are {', '.join(TARGETS)}")
    target = TARGETS[framework]
    _check_layers(checkpoint, target)
    if all(target.has(x) for x in checkpoint.layers.values() if isinstance(x, Neuron | Synapse)):
        return checkpoint, []
    planned, entries = expressed(checkpoint, target)
    planned, names = named(planned, target)
    return planned, [_renamed(entry, names) for entry in entries]


def _check_layers(checkpoint: SNNCheckpoint, target: Classes) -> None:
    """Refuse a network of which not everything is known that would have to be expressed."""
    remedy = (
        "say it with --spec (`snnbridge spec FILE` makes a form), or save the net with "
        "snnbridge.frameworks, inside its framework"
    )
    for layer in checkpoint.layers.values():
        if isinstance(layer, Opaque) and not target.has(layer):
            raise WriteError(
                f"layer {layer.name!r}: it is not known what it computes, so it is not expressed "
                f"in {target.label}; {remedy}"
            )
    if not any(isinstance(layer, Neuron | Synapse) for layer in checkpoint.layers.values()):
        raise WriteError(
            f"there is no neuron to express in {target.label}; if the file does not hold the "
            f"neurons of the net, {remedy}; to write weights alone, leave the framework out"
        )


def _renamed(entry: Entry, names: Mapping[str, str]) -> Entry:
    """Return a line of the ledger on a layer whose name has changed."""
    old = entry.path[1] if entry.path[0] == "layers" else ""
    if old not in names:
        return entry
    reason = f"{entry.reason}, there {names[old]!r}"
    return replace(entry, path=("layers", names[old], *entry.path[2:]), reason=reason)
