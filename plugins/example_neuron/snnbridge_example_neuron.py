"""Izhikevich's neuron: E. M. Izhikevich, Simple Model of Spiking Neurons, IEEE TNN 14 (2003)."""

import numpy as np

from snnbridge import NeuronKind, hookimpl


def step(x, state, parameters):
    """One millisecond: v in two halves for stability, then u; all in the network's width."""
    a, b, c, d = (parameters[name] for name in "abcd")
    v, u = state["v"], state["u"]
    for _ in range(2):
        v = v + 0.5 * (0.04 * v * v + 5 * v + 140 - u + x)
    u = u + a * (b * v - u)
    spikes = v >= 30
    return spikes, {"v": np.where(spikes, c, v), "u": np.where(spikes, u + d, u)}


KIND = NeuronKind(
    name="izhikevich",
    summary="Membrane potential and recovery, quadratic",
    step=step,
    parameters={
        "a": "rate of recovery",
        "b": "how recovery follows the membrane potential",
        "c": "membrane potential after a spike, mV",
        "d": "what a spike adds to recovery",
    },
    state={"v": -65.0, "u": -13.0},
)


@hookimpl
def snnbridge_neurons():
    return [KIND]
