"""A checkpoint as a live net of modules, in a framework's own classes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from snnbridge.errors import CheckpointError, LossyWrite
from snnbridge.express import ON_PYTORCH, TARGETS, express
from snnbridge.frameworks.building.graph import graph_of
from snnbridge.frameworks.building.groups import Group, groups_of
from snnbridge.frameworks.building.nesting import check_names, nested, tree_of
from snnbridge.frameworks.building.planning import Plan, planned
from snnbridge.frameworks.building.torch_layers import (
    BUILT,
    frozen,
    no_module,
    refuse_unknown,
)
from snnbridge.ledger import Ledger
from snnbridge.model import BatchNorm, Layer, SNNCheckpoint, Synapse, some_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """How the modules of one framework are made.

    Parameters
    ----------
    name : str
    neuron : function of a Group, returning a module
    sequential : function of an ordered dictionary of modules, returning a module
    plain : mapping of type of Layer to function of a layer
        Modules that the framework has of its own; that of a BatchNorm is also given how many axes
        stand behind the channels.
    standard : mapping of type of Layer to function of a layer
        The modules of what it is built on: PyTorch's.
    chains : bool
        Whether its nets are chains alone, whose modules it names itself.
    stateful : bool
        Whether its neurons take a state and give (output, state).
    synapses : set of str
        Its classes that are a synapse without a neuron.
    """

    name: str
    neuron: Callable[[Group], Any]
    sequential: Callable[[Any], Any] | None = None
    plain: Mapping[type[Layer], Callable[..., Any]] = field(default_factory=dict)
    standard: Mapping[type[Layer], Callable[..., Any]] = field(default_factory=lambda: BUILT)
    chains: bool = False
    stateful: bool = False
    synapses: frozenset[str] = frozenset()

    def build(self, checkpoint: SNNCheckpoint, *, allow_loss: bool = False) -> Any:
        """Return a live net of the framework's classes with the checkpoint's values.

        Parameters
        ----------
        checkpoint : SNNCheckpoint
            Layers that feed each other in the same step, recurrent weights within a neuron's class
            beside them; for Rockpool and Spyx a chain. Neurons of another framework become those
            of this one, by :func:`snnbridge.express.express`.
        allow_loss : bool
            Build also what does not quite do the same: spikes at most once in a step, or gives its
            outputs some steps earlier or, in Spyx, later.

        Returns
        -------
        torch.nn.Module, or spyx.nn.Sequential
            Its modules under the layers' names: of a chain the framework's ``Sequential``, with
            others inside for the dots in names. Of layers that branch and join a
            ``torch.fx.GraphModule``, whose ``code`` is what it runs: it takes one argument for each
            `Input` (or each layer that nothing feeds) and gives a tuple where there are several
            `Output` layers (or layers that feed nothing); Norse's takes a state too, and gives
            (output, state).

        Raises
        ------
        CheckpointError
            Naming the layer for which the framework has no module, or whose connections no net of
            its modules has.
        WriteError
            Naming the neuron that none of its classes computes, and why.
        LossyWrite
            If the net would not quite do the same and `allow_loss` is not given.
        UnknownValue
            If the rule of such a neuron is not known.
        """
        checkpoint = expressed_for(checkpoint, self.name, allow_loss=allow_loss)
        groups = groups_of(checkpoint)
        plan = planned(checkpoint, groups)
        if self.chains and not plan.is_chain:
            raise _branching(plan, TARGETS[self.name].label)
        modules = self._modules(checkpoint, groups, plan)
        if self.chains:
            assert self.sequential is not None
            return self.sequential(modules)
        names = _names(modules, groups)
        chain = {names[x]: module for x, module in modules.items()}
        tree = tree_of(chain) if plan.is_chain else None
        if tree is None:
            return graph_of(plan, modules, names, groups if self.stateful else ())
        make = self.sequential or import_module("torch").nn.Sequential
        check_names(chain, make(OrderedDict()))
        return nested(tree, make)

    def _modules(
        self, checkpoint: SNNCheckpoint, groups: Mapping[str, Group], plan: Plan
    ) -> dict[str, Any]:
        """Make the modules, by the names of their layers."""
        axes = plan.axes(checkpoint)
        held = ((name, plan.layers[name]) for name in plan.modules)
        still = checkpoint.frozen_layers
        return {
            name: self._module(frozen(layer) if name in still else layer, groups, axes[name])
            for name, layer in held
        }

    def _module(self, layer: Layer, groups: Mapping[str, Group], axes: int) -> Any:
        if isinstance(layer, Synapse) and groups[layer.name].kind not in self.synapses:
            raise _synapse_alone(layer)
        if layer.name in groups:
            return self.neuron(groups[layer.name])
        refuse_unknown(layer)
        make = self.plain.get(type(layer)) or self.standard.get(type(layer))
        if make is None:
            raise no_module(layer)
        return make(layer, axes) if isinstance(layer, BatchNorm) else make(layer)


def _names(modules: Mapping[str, Any], groups: Mapping[str, Group]) -> dict[str, str]:
    """Return the modules' names by their layers'.

    One without a key, such as the Flatten that `export` names below the layer behind it, stands
    beside the module whose name it has, so that a chain stays one.
    """
    names = {x: groups[x].name if x in groups else x for x in modules}
    taken = set(names.values())
    for layer, name in names.items():
        above, _, own = name.rpartition(".")
        beside = f"{above}_{own}"
        if above in taken and beside not in taken and not modules[layer].state_dict():
            names[layer] = beside
            taken.add(beside)
    return names


def _synapse_alone(layer: Synapse) -> CheckpointError:
    return CheckpointError(
        f"layer {layer.name!r}: a neuron's class holds its synapse, and this one feeds something "
        "else than one neuron, or that neuron takes more than it gives; have what else feeds the "
        "neuron pass its synapse, or give each neuron a synapse of its own"
    )


def _branching(plan: Plan, label: str) -> CheckpointError:
    """Make the error for a framework whose nets are chains, naming the layer that branches."""
    others = ", ".join(x for x in ON_PYTORCH if x != "rockpool")
    remedy = (
        f"a net that build makes for {label} is a chain; build it for one of {others}, or run its "
        "parts in code of your own"
    )
    for name, sources in plan.sources.items():
        if len(plan.fed_by(name)) > 1:
            return CheckpointError(f"layer {name!r} feeds {some_of(plan.fed_by(name))}: {remedy}")
        if len(sources) > 1:
            return CheckpointError(f"layer {name!r} takes what {some_of(sources)} give: {remedy}")
    several = plan.inputs if len(plan.inputs) > 1 else plan.outputs
    return CheckpointError(f"the net has several ends, {some_of(several)}: {remedy}")


def expressed_for(checkpoint: SNNCheckpoint, framework: str, *, allow_loss: bool) -> SNNCheckpoint:
    """Return a network in the classes of a framework.

    Raises
    ------
    LossyWrite
        If it does not quite do the same and `allow_loss` is not given.
    """
    found, entries = express(checkpoint, framework)
    ledger = Ledger(tuple(entries))
    if ledger.losses and not allow_loss:
        reasons = "; ".join(f"{entry.what}: {entry.reason}" for entry in ledger.losses[:4])
        raise LossyWrite(
            f"the net would not quite do the same: {reasons}; allow it with allow_loss=True", ledger
        )
    return found
