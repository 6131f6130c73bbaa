"""Nets that branch and join, built of files: ``python judge_graphs.py FRAMEWORK FILES``.

Beside each file stand its inputs, and the outputs of the net are put there.
"""

import copy
import json
import pickle
import sys
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from judge_torch import take_steps
from torch import fx


def reset(framework, net):
    """Reset a net by what its framework has for that."""
    if framework == "snntorch":
        from snntorch import utils

        for container in net.modules():  # it looks at the modules right inside
            utils.reset(container)
    elif framework == "sinabs":
        from sinabs.utils import reset_states

        reset_states(net)
    elif framework == "spikingjelly":
        from spikingjelly.activation_based import functional

        functional.reset_net(net)


def run(framework, net, inputs):
    """Run a net of several inputs and outputs as its framework does."""
    if framework == "norse":
        return by_step(lambda frames, state: net(*frames, state), inputs)
    if framework == "snntorch":
        return by_step(lambda frames, state: (net(*frames), None), inputs)
    if framework == "sinabs":
        return [x.transpose(0, 1) for x in several(net(*(x.transpose(0, 1) for x in inputs)))]
    return several(net(*inputs))


def by_step(step, inputs):
    state, found = None, []
    for frames in zip(*inputs, strict=True):
        out, state = step(frames, state)
        found.append(several(out))
    return [torch.stack(out) for out in zip(*found, strict=True)]


def several(out):
    return out if isinstance(out, tuple) else (out,)


class Traced(fx.Tracer):
    """What pickle does with a graph: its code is traced again, its modules are not."""

    def is_leaf_module(self, module, name):
        return True


def copied(framework, net):
    """Copy a net by pickle, for which neither snnTorch's surrogates nor Norse's tuples are made."""
    if framework not in ("snntorch", "norse"):
        return pickle.loads(pickle.dumps(net))
    net = copy.deepcopy(net)
    return fx.GraphModule(net, Traced().trace(net)) if isinstance(net, fx.GraphModule) else net


def outcome(framework, file):
    """Build, load, run, reset and run again one net; say what is strange."""
    from snnbridge import read

    helper = import_module(f"snnbridge.frameworks.{framework}")
    net = helper.build(read(file))
    net.load_state_dict(torch.load(file, weights_only=True))  # strict
    again = copied(framework, net)
    with np.load(file.with_suffix(".in.npz")) as held:
        inputs = [torch.from_numpy(held[name]) for name in held]
    found = []
    with torch.no_grad():
        for each in (net, again):
            if framework == "spikingjelly":
                import_module("spikingjelly.activation_based.functional").set_step_mode(each, "m")
                take_steps(each)
            found.append(run(framework, each, inputs))
        reset(framework, net)
        found.append(run(framework, net, inputs))
    np.savez(file.with_suffix(".out.npz"), *found[0])
    if not hasattr(net, "graph"):
        helper.export(net, file.with_suffix(".again.pt"))
    same = [all(map(torch.equal, found[0], other)) for other in found[1:]]
    return {
        "kind": type(net).__name__,
        "same": same,
        "keys": sorted(net.state_dict()),
        "code": getattr(net, "code", ""),
    }


def refusal(_, file):
    """Return what is said of a net that cannot be built."""
    from snnbridge import CheckpointError, read
    from snnbridge.frameworks import snntorch

    try:
        snntorch.build(read(file))
    except CheckpointError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    framework, *files = sys.argv[1:]
    ask = refusal if framework == "refused" else outcome
    print(json.dumps([ask(framework, Path(file)) for file in files]))
