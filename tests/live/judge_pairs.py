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


def run_sinabs(net):
    """Run images through stateless modules, which know no axis of time."""
    for module in net:
        if not hasattr(module, "v_mem"):
            module.forward = judge_torch.across_steps(module)
    return judge_torch.run_batch_first(net)


RUNS = {**judge_torch.RUNS, "sinabs": run_sinabs}


def outcome(framework, file):
    """Run one file; return what went wrong, if anything, and the keys that do not fit the net."""
    from snnbridge import read

    strange = []
    try:
        net = import_module(f"snnbridge.frameworks.{framework}").build(read(file))
        held, own = torch.load(file, weights_only=True), net.state_dict()
        strange = sorted(set(held) ^ set(own))
        x = torch.from_numpy(np.load(file.with_suffix(".in.npy")))
        with contextlib.redirect_stdout(sys.stderr):
            out = RUNS[framework](net)(x)
            out = torch.stack(out) if isinstance(out, list) else out
    except Exception as error:  # noqa: BLE001  # whatever a framework raises is its answer
        return f"{type(error).__name__}: {error}", strange
    np.save(file.with_suffix(".out.npy"), out.detach().numpy().astype(np.float32))
    return None, strange


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    jobs = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print(json.dumps([outcome(jobs["framework"], Path(file)) for file in jobs["files"]]))
