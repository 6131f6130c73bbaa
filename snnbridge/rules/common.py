"""What the tables of several frameworks share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from snnbridge.model import (
    UNKNOWN,
    Clock,
    Compare,
    Floor,
    Form,
    InputGain,
    Inputs,
    Neuron,
    NeuronRule,
    Refractory,
    Reset,
    ResetTiming,
    Scheme,
    SpikeSource,
    Synapse,
    SynapseKind,
    SynapseOrder,
    SynapseRule,
    Trace,
    Width,
)
from snnbridge.rules.arguments import Argument
from snnbridge.rules.table import FrameworkClass

#: A neuron that spikes at most once in a step and tells of it at once.
SPIKING = NeuronRule(
    form=Form.AFFINE,
    input_gain=InputGain.ONE,
    inputs=Inputs.SUMMED,
    compare=Compare.GREATER,
    reset_timing=ResetTiming.NOW,
    spike_from=SpikeSource.NEW,
    floor=Floor.MAXIMUM,
    refractory=Refractory.NONE,
    clock=Clock.COUNTER,
    spiking=True,
    max_spikes=1,
    output_delay=0,
    width=Width.FLOAT32,
    trace=Trace.RESET,
)
#: A neuron that shows its membrane potential and never spikes.
READOUT = replace(SPIKING, reset=Reset.NONE, spiking=False, trace=Trace.RAW)


def stated(parameter: str, default: Any = UNKNOWN, help: str = "", **more: Any) -> Argument:
    """Make an argument that states one parameter; without a default the framework demands it."""
    if default is not UNKNOWN:
        more["default"] = default
    return Argument(parameter=parameter, help=help, **more)


def joint(default: Any = UNKNOWN, help: str = "", **more: Any) -> Argument:
    """Make an argument that states something together with others."""
    if default is not UNKNOWN:
        more["default"] = default
    return Argument(joint=True, help=help, **more)


class Table:
    """Collects the classes of one framework.

    Parameters
    ----------
    framework, source : str
        The source names the module and the versions for which it was measured.
    """

    def __init__(self, framework: str, source: str) -> None:
        self.framework, self.source = framework, source
        self.classes: list[FrameworkClass] = []

    def neuron(
        self,
        kind: str,
        rule: NeuronRule,
        equation: str,
        arguments: Mapping[str, Argument],
        **more: Any,
    ) -> FrameworkClass:
        """Add a neuron, and the synapse that it holds."""
        return self._add(kind, Neuron, rule, equation, arguments, **more)

    def synapse(
        self,
        kind: str,
        order: SynapseOrder,
        equation: str,
        arguments: Mapping[str, Argument],
        *,
        scheme: Scheme | Any = UNKNOWN,
        form: Form = Form.AFFINE,
        input_gain: InputGain = InputGain.ONE,
        inputs: Inputs = Inputs.SUMMED,
        width: Width = Width.FLOAT32,
        **more: Any,
    ) -> FrameworkClass:
        """Add an exponential synapse."""
        rule = SynapseRule(
            kind=SynapseKind.EXPONENTIAL,
            order=order,
            scheme=scheme,
            form=form,
            input_gain=input_gain,
            inputs=inputs,
            width=width,
        )
        return self._add(kind, Synapse, rule, equation, arguments, **more)

    def _add(
        self,
        kind: str,
        layer: Any,
        rule: Any,
        equation: str,
        arguments: Mapping[str, Argument],
        **more: Any,
    ) -> FrameworkClass:
        made = FrameworkClass(
            framework=self.framework,
            kind=kind,
            layer=layer,
            rule=rule,
            equation=equation,
            source=self.source,
            arguments=arguments,
            **more,
        )
        self.classes.append(made)
        return made
