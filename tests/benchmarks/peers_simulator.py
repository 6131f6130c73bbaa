"""One framework on one workload, in its own environment; prints milliseconds as JSON.

``python peers_simulator.py PEER WORKLOAD NET.npz RUNS``, called by bench_simulator.py.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version

import numpy as np

THREADS = 2
DISTRIBUTIONS = {"jax scan": "jax"}


def work_of(name, workload, arrays):
    """Return a function that runs a workload once, or None."""
    if name == "jax scan":
        from peers_jax import scan

        return scan(workload, arrays)
    if name == "brainpy":
        from peers_jax import brainpy

        return brainpy(workload, arrays)
    from peers_torch import peer

    return peer(name, workload, arrays, THREADS)


def measured(name, workload, arrays, runs):
    """Return the milliseconds of some runs in steady state, or None."""
    if name == "brian2":
        from peers_brian2 import runs as runs_of

        return runs_of(workload, arrays, runs, THREADS)
    work = work_of(name, workload, arrays)
    if work is None:
        return None
    for _ in range(runs):
        work()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1e3)
    return times


def main(name, workload, path, runs):
    with np.load(path) as held:
        arrays = {key: held[key] for key in held.files}
    times = measured(name, workload, arrays, runs)
    if times is None:
        sys.exit(f"{name} does not run this net")
    print(json.dumps({"ms": times, "version": version(DISTRIBUTIONS.get(name, name))}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
