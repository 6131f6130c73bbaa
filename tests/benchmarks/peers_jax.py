"""The workloads as a scan by hand in JAX, and as a net of BrainPy; called by peers_simulator.py."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp


def weights_of(arrays):
    """Return the weights (in, out), and those of the way back where there is one."""
    weights = [jnp.asarray(arrays[k].T) for k in sorted(arrays) if k.startswith("fc")]
    back = jnp.asarray(arrays["rec.weight"].T) if "rec.weight" in arrays else None
    return weights, back


def scan(workload, arrays):
    """Return the workload as one compiled scan."""
    if workload == "W4":
        return None
    weights, back = weights_of(arrays)
    x = jnp.asarray(arrays["input"])

    def step(state, row):
        after = []
        for i, (weight, (v, z)) in enumerate(zip(weights, state, strict=True)):
            current = row @ weight
            if i == 0 and back is not None:
                current = current + z @ back
            v = 0.9 * v + current - (v > 1)
            row = (v > 1).astype(jnp.float32)
            after.append((v, row))
        return after, row

    zeros = [(jnp.zeros((x.shape[1], w.shape[1])),) * 2 for w in weights]
    run = jax.jit(lambda: jax.lax.scan(step, zeros, x)[1])
    return lambda: run().block_until_ready()


def brainpy(workload, arrays):
    """Return the workload as BrainPy's layers in its compiled loop."""
    if workload == "W4":
        return None
    import brainpy as bp
    import brainpy.math as bm

    weights, back = weights_of(arrays)
    weights = [bm.asarray(w) for w in weights]
    x = bm.asarray(arrays["input"])
    bm.set(mode=bm.BatchingMode(x.shape[1]), dt=1.0)
    neurons = [
        bp.dyn.Lif(
            w.shape[1],
            tau=-1 / math.log(0.9),
            V_th=1.0,
            V_reset=0.0,
            V_initializer=bp.init.ZeroInit(),
        )
        for w in weights
    ]

    bp.share.save(fit=False)

    def step(row):
        for i, (weight, neuron) in enumerate(zip(weights, neurons, strict=True)):
            current = row @ weight
            if i == 0 and back is not None:
                current = current + neuron.spike.value @ back
            # Lif multiplies its input by 1 - beta; the other peers do not.
            row = neuron.update(current * 10.0)
        return row

    def work():
        for neuron in neurons:
            neuron.reset(x.shape[1])
        return bm.for_loop(step, x).block_until_ready()

    return work
