"""Build nets from files in BrainPy, load the files, and run them: ``judge_brainpy_pairs.py JOBS``.

The jobs name files; beside each file stands its input, channels first, and its output is put there.
"""

import json
import sys
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")

import brainpy as bp  # noqa: E402
import brainpy.math as bm  # noqa: E402
import numpy as np  # noqa: E402

from snnbridge import read  # noqa: E402
from snnbridge.frameworks import brainpy  # noqa: E402


def run(net, x):
    """Run a net on input of (time, batch, channels, ...), and return its output so."""
    bp.share.save(fit=False)
    bp.reset_state(net, x.shape[1])
    steps = bm.arange(len(x)), bm.asarray(np.moveaxis(x, 2, -1))
    return np.moveaxis(np.asarray(bm.for_loop(net.step_run, steps)), -1, 2)


def emptied(net):
    """Set all variables of a net to zero, so that what it computes is what it loads."""
    for variable in net.vars().unique().values():
        variable.value = bm.zeros_like(variable.value)
    return net


def outcome(file):
    """Run one file; return what went wrong, if anything, and the keys that do not fit the net."""
    strange = []
    bm.clear_name_cache()
    try:
        net = emptied(brainpy.build(read(file)))
        tree = bp.checkpoints.load_pytree(str(file))
        told = [net.load_state_dict(tree, warn=False), bp.load_state(net, tree)]
        strange = sorted({key for missing, unexpected in told for key in [*missing, *unexpected]})
        out = run(net, np.load(file.with_suffix(".in.npy")))
    except Exception as error:  # noqa: BLE001  # whatever the framework raises is its answer
        return f"{type(error).__name__}: {error}", strange
    np.save(file.with_suffix(".out.npy"), out.astype(np.float32))
    return None, strange


if __name__ == "__main__":
    jobs = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print(json.dumps([outcome(Path(file)) for file in jobs["files"]]))
