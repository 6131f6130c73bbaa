"""Build nets from files in a framework on PyTorch, and run them: ``python judge_pairs.py JOBS``.

The jobs name a framework and files; beside each file stands its input, and its output is put there.
"""

import contextlib
import json
import sys
import warnings
from importlib import import_module
from pathlib import Path

import judge_torch
import numpy as np
import torch


def has_squeezed(checkpoint):
    """Whether batch and time are one axis to a neuron."""
    kinds = [layer.origin.kind for layer in checkpoint.layers.values() if layer.origin]
    return any(kind.endswith("Squeeze") for kind in kinds)


def outcome(framework, file):
    """Run one file; return what went wrong, if anything, and the keys that do not fit the net."""
    from snnbridge import read

    strange, run, more = [], judge_torch.RUNS[framework], {}
    x = torch.from_numpy(np.load(file.with_suffix(".in.npy")))
    try:
        checkpoint = read(file)
        if framework == "sinabs" and has_squeezed(checkpoint):
            run, more = judge_torch.run_squeezed, {"num_timesteps": len(x)}
        net = import_module(f"snnbridge.frameworks.{framework}").build(checkpoint, **more)
        held, own = torch.load(file, weights_only=True), net.state_dict()
        strange = sorted(set(held) ^ set(own))
        with contextlib.redirect_stdout(sys.stderr):
            out = run(net)(x)
            out = torch.stack(out) if isinstance(out, list) else out
    except Exception as error:  # noqa: BLE001  # whatever a framework raises is its answer
        return f"{type(error).__name__}: {error}", strange
    np.save(file.with_suffix(".out.npy"), out.detach().numpy().astype(np.float32))
    return None, strange


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    jobs = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print(json.dumps([outcome(jobs["framework"], Path(file)) for file in jobs["files"]]))
