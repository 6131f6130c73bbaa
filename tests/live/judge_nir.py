"""Run NIR files by the real importers: ``python judge_nir.py JOBS.json``.

A job names an importer, a file, an archive with the input ``x`` (steps, batch, ...), a time step
in seconds and where the output goes. Runs in the environment that holds the framework, and needs
nothing of snnbridge.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import warnings
from pathlib import Path

import numpy as np


def stepped(module, x):
    """Run a module that returns (output, state) step by step."""
    import torch

    state, found = None, []
    for one in x:
        out, state = module(torch.from_numpy(one), state)
        found.append(out.detach().numpy().copy())
    return np.stack(found)


def norse(graph, x, dt):
    import norse.torch

    return stepped(norse.torch.from_nir(graph, dt=dt), x)


def snntorch(graph, x, dt):
    from snntorch import import_nir

    return stepped(import_nir.import_from_nir(graph), x)


def spikingjelly(graph, x, dt):
    from spikingjelly.activation_based import nir_exchange

    return stepped(nir_exchange.import_from_nir(graph, dt=dt), x)


def sinabs(graph, x, dt):
    import sinabs.nir
    import torch

    steps, batch = x.shape[:2]
    net = sinabs.nir.from_nir(graph, batch_size=batch)
    flat = np.ascontiguousarray(np.moveaxis(x, 1, 0)).reshape(-1, *x.shape[2:])
    out = net(torch.from_numpy(flat))
    out = (out[0] if isinstance(out, tuple) else out).detach().numpy()
    return np.moveaxis(out.reshape(batch, steps, *out.shape[1:]), 1, 0)


def rockpool(graph, x, dt):
    import torch
    from rockpool.nn.modules.torch import nir as rockpool_nir

    out = rockpool_nir.from_nir(graph)(torch.from_numpy(np.moveaxis(x, 1, 0).copy()))
    while isinstance(out, tuple):
        out = out[0]
    return np.moveaxis(out.detach().numpy(), 1, 0)


def spyx(graph, x, dt):
    import spyx.nir

    if x.ndim == 5:  # images, channels last
        x = np.moveaxis(x, 2, -1)
    _, out = spyx.nir.from_nir(graph, x)
    out = np.asarray(out)
    return np.moveaxis(out, -1, 2) if out.ndim == 5 else out


RUN = {f.__name__: f for f in (norse, snntorch, spikingjelly, sinabs, rockpool, spyx)}


def give_up(number, frame):
    """Spyx follows a cycle without end."""
    raise TimeoutError("no answer within 10 seconds")


def main(jobs):
    import nir

    warnings.simplefilter("ignore")
    results = []
    signal.signal(signal.SIGALRM, give_up)
    for job in jobs:
        signal.alarm(10)
        with np.load(job["input"]) as held:
            x = held["x"]
        try:
            with contextlib.redirect_stdout(sys.stderr):
                graph = nir.read(job["file"])
                out = RUN[job["importer"]](graph, x.astype(np.float32), job["dt"])
        except Exception as error:  # noqa: BLE001  # whatever an importer raises is its answer
            results.append({"error": f"{type(error).__name__}: {error}"})
        else:
            np.savez(job["output"], out=np.asarray(out, np.float32))
            results.append({"error": None})
    signal.alarm(0)
    print(json.dumps({"nir": nir.version, "results": results}))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
