"""Build nets from files in Spyx, load the files, and run them: ``judge_spyx_pairs.py JOBS``.

The jobs name files; beside each file stands its input, channels first, and its output is put there.
"""

import json
import sys
from pathlib import Path

import flax.nnx as nnx
import jax
import judge_spyx
import numpy as np
from flax import serialization

from snnbridge import read
from snnbridge.frameworks import spyx


def emptied(net):
    """Set all parameters of a net to zero, so that what it computes is what it loads."""
    nnx.update(net, jax.tree_util.tree_map(lambda array: array * 0, nnx.state(net)))
    return net


def run(net, x):
    """Run a net on input of (time, batch, channels, ...), and return its output so."""
    return np.moveaxis(judge_spyx.eager(net, np.moveaxis(x, 2, -1)), -1, 2)


def outcome(file):
    """Run one file; return what went wrong, if anything, and the keys that do not fit the net."""
    try:
        net = emptied(spyx.build(read(file)))
        state = nnx.state(net)
        tree = serialization.from_bytes(nnx.to_pure_dict(state), file.read_bytes())
        nnx.replace_by_pure_dict(state, tree)
        nnx.update(net, state)
        out = run(net, np.load(file.with_suffix(".in.npy")))
    except Exception as error:  # noqa: BLE001  # whatever the framework raises is its answer
        return f"{type(error).__name__}: {error}", []
    np.save(file.with_suffix(".out.npy"), out.astype(np.float32))
    return None, []


if __name__ == "__main__":
    jobs = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print(json.dumps([outcome(Path(file)) for file in jobs["files"]]))
