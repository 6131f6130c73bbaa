"""The workloads of dense layers in Brian2's C++ standalone mode; called by peers_simulator.py."""

from __future__ import annotations

import shutil
import tempfile

import brian2 as b2
import numpy as np


def runs(workload, arrays, count, threads):
    """Return the milliseconds of some runs, or None; the compiler's time is not among them.

    Brian2 knows no batch: the samples run one after the other, and their states go on.
    """
    if workload in ("W4", "W6"):
        return None
    folder = tempfile.mkdtemp()
    try:
        b2.set_device("cpp_standalone", build_on_run=False)
        b2.prefs.devices.cpp_standalone.openmp_threads = threads
        b2.defaultclock.dt = 1 * b2.ms
        steps = network(arrays)
        b2.device.build(directory=folder, compile=True, run=False)
        times = []
        for _ in range(2 * count):
            b2.device.run()
            times.append(b2.device._last_run_time * 1e3)
        assert steps
        return times[count:]
    finally:
        shutil.rmtree(folder)


def network(arrays):
    """Make the net in Brian2's own words and queue its run; return its steps."""
    x = arrays["input"]
    in_a_row = x.transpose(1, 0, 2).reshape(-1, x.shape[2])
    when, who = np.nonzero(in_a_row)
    objects = [b2.SpikeGeneratorGroup(x.shape[2], who, when * b2.ms)]
    source = objects[0]
    for key in sorted(k for k in arrays if k.startswith("fc")):
        neurons = b2.NeuronGroup(
            arrays[key].shape[0], "v : 1", threshold="v > 1", reset="v -= 1", method="exact"
        )
        neurons.run_regularly("v *= 0.9", when="start")
        objects += [neurons, connected(source, neurons, arrays[key])]
        if key.startswith("fc0") and "rec.weight" in arrays:
            objects.append(connected(neurons, neurons, arrays["rec.weight"]))
        source = neurons
    b2.Network(objects).run(len(in_a_row) * b2.ms)
    return len(in_a_row)


def connected(source, target, weight):
    """Connect all to all; the weights are (out, in)."""
    made = b2.Synapses(source, target, "w : 1", on_pre="v_post += w")
    made.connect()
    made.w = np.ascontiguousarray(weight.T).ravel()
    return made
