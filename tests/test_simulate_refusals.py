"""What cannot be simulated is refused before the first step, with the layer and the values."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from snnbridge import (
    PER_STEP,
    CheckpointError,
    Connection,
    Delay,
    Linear,
    Parameter,
    Quantity,
    Simulator,
    SNNCheckpoint,
    Synapse,
    rules,
)
from snnbridge.model import (
    Form,
    Inputs,
    Refractory,
    Reset,
    ResetTiming,
    Scheme,
    SpikeSource,
    Width,
)

LEAKY = rules.snntorch.Leaky("lif", shape=(1,), beta=0.5, reset_delay=False)
LATE = ResetTiming.NEXT_AFTER_LEAK
CLASHES = [
    (
        {"refractory": Refractory.HOLD, "reset_timing": LATE},
        "refractory='hold' and reset_timing='next, after leak and input'",
    ),
    (
        {
            "refractory": Refractory.CLAMP,
            "spike_from": SpikeSource.OLD,
            "reset_timing": ResetTiming.NOW,
        },
        "refractory='clamp' and spike_from='old'",
    ),
    ({"reset": Reset.SET}, "reset_timing='residual' and reset='set'"),
    ({"spike_from": SpikeSource.OLD}, "reset_timing='residual' and spike_from='old'"),
    ({"max_spikes": None}, "max_spikes=None and compare='>'"),
    ({"form": Form.QUOTIENT}, "'quotient' is made of the scheme 'euler', not 'clamped'"),
    (
        {"form": Form.INTEGER_SHIFT_12, "inputs": Inputs.IN_TURN},
        "'integer shift 12' does not add its inputs in turn",
    ),
    (
        {"form": Form.INTEGER_SHIFT_12, "scheme": Scheme.STATED},
        "'integer shift 12' needs the width 'int16', 'int64' or 'float64', not 'float32'",
    ),
]


def net(*layers, **more):
    names = [layer.name for layer in layers]
    edges = [Connection(a, b) for a, b in itertools.pairwise(names)]
    return SNNCheckpoint(layers, connections=edges, **more)


@pytest.mark.parametrize(
    ("switches", "message"), CLASHES, ids=lambda x: x if type(x) is str else ""
)
def test_switches_that_do_not_go_together_are_named_with_their_values(switches, message):
    parameters = {**LEAKY.parameters, "tau_ref": Parameter(2, "step"), "v_reset": Parameter(0.0)}
    layer = replace(LEAKY, rule=replace(LEAKY.rule, **switches), parameters=parameters)
    with pytest.raises(CheckpointError, match=f"layer 'lif': .*{message}"):
        Simulator(net(layer))


def test_a_form_of_neurons_is_refused_in_a_synapse():
    synapse = rules.snntorch.Synaptic.synapse("syn", shape=(1,), alpha=0.5)
    fixed = replace(synapse, rule=replace(synapse.rule, form=Form.FIXED_Q8_8, width=Width.INT16))
    assert isinstance(fixed, Synapse)
    with pytest.raises(CheckpointError, match=r"layer 'syn': the form 'fixed q8\.8' is that of"):
        Simulator(net(fixed))


def test_mixed_widths_are_refused_with_both_layers():
    wide = rules.sc_neurocore.StochasticLIFNeuron("wide", shape=(1,))
    with pytest.raises(CheckpointError, match="'lif' computes in float32 and layer 'wide' in f"):
        Simulator(net(LEAKY, wide, dt=Quantity(1.0, "ms")))


def test_a_time_constant_in_seconds_is_refused_where_a_step_has_no_duration():
    lif = rules.brainpy.Lif("lif", shape=(1,), tau=5.0)
    with pytest.raises(CheckpointError, match=r"layer 'lif': tau is 5\.0 ms, but the time step is"):
        Simulator(net(lif, dt=PER_STEP))
    delay = Delay("late", Parameter(2.0, "ms"))
    fc = Linear("fc", np.ones((1, 1), np.float32))
    with pytest.raises(CheckpointError, match="layer 'late': delay is"):
        Simulator(net(fc, delay, dt=PER_STEP))
