"""Runs beside Spyx: builds, runs, saves and loads its nets."""

import json
import sys
from pathlib import Path

import flax.nnx as nnx
import jax
import jax.numpy as jnp
import numpy as np
import spyx.nn as snn
from flax import serialization

STEPS, BATCH = 40, 4


def dyadic(net):
    """Round the weights so that every sum is exact in float32: one result for every engine."""
    state = nnx.state(net, nnx.Param)

    def round_off(path, array):
        name = str(path[-2] if len(path) > 1 else path[-1])
        small = any(key in name for key in ("beta", "alpha"))
        return jnp.round(jnp.clip(array, -1, 1) * 4) / 4 if small else jnp.round(array * 32) / 16

    nnx.update(net, jax.tree_util.tree_map_with_path(round_off, state))
    return net


def mlp():
    r = nnx.Rngs(1)
    lif, cuba = snn.LIF((8,), rngs=r, threshold=0.75), snn.CuBaLIF((3,), 0.5, 0.75, rngs=r)
    return snn.Sequential(nnx.Linear(6, 8, rngs=r), lif, nnx.Linear(8, 3, rngs=r), cuba), (6,)


def recurrent():
    r = nnx.Rngs(2)
    first, second = snn.RLIF((5,), 0.5, rngs=r), snn.RCuBaLIF((3,), 0.5, 0.5, rngs=r)
    return snn.Sequential(nnx.Linear(6, 5, rngs=r), first, nnx.Linear(5, 3, rngs=r), second), (6,)


def conv():
    r = nnx.Rngs(3)
    image = nnx.Conv(2, 3, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)), rngs=r)
    return snn.Sequential(
        image, snn.IF((4, 6, 3), threshold=0.5), snn.SumPool((2, 2), (2, 2), "VALID"),
        snn.Flatten(), nnx.Linear(18, 5, rngs=r), snn.LIF((5,), 0.5, rngs=r),
    ), (8, 12, 2)  # fmt: skip


def each(maps, size, threshold=0.5):
    """Make a net whose neurons on images have each a decay of their own, as Spyx has by default."""
    r = nnx.Rngs(4)
    neurons = snn.LIF((*size, maps), threshold=threshold, rngs=r)
    dense = nnx.Linear(size[0] * size[1] * maps, 5, rngs=r)
    return snn.Sequential(
        nnx.Conv(2, maps, (3, 3), padding="VALID", rngs=r), neurons, snn.Flatten(), dense,
        snn.LI((5,), rngs=r),
    ), (size[0] + 2, size[1] + 2, 2)  # fmt: skip


def image():
    """Thresholds in an array are kept by flax, too."""
    held = np.random.default_rng(4).integers(4, 16, (4, 6, 3)) / 16
    return each(3, (4, 6), held.astype(np.float32))


def cube():
    return each(4, (4, 4))


NETS = {"mlp": mlp, "recurrent": recurrent, "conv": conv, "image": image, "cube": cube}


def eager(net, x):
    """Step a net operation by operation, as its rules are stated."""
    state, found = net.initial_state(x.shape[1]), []
    for frame in x:
        out, state = net(jnp.asarray(frame), state)
        found.append(np.asarray(out))
    return np.stack(found)


def export(name, folder):
    """Save a net as its helper does and as its users do; keep its input and its spikes."""
    from snnbridge.frameworks import spyx

    made, shape = NETS[name]()
    net = dyadic(made)
    spyx.export(net, Path(folder, "net.msgpack"), input_shape=shape)
    own = serialization.to_bytes(nnx.to_pure_dict(nnx.state(net)))
    x = (np.random.default_rng(0).random((STEPS, BATCH, *shape)) < 0.4).astype(np.float32)
    np.savez(Path(folder, "run.npz"), input=x, output=eager(net, x))
    return {"same_bytes": own == Path(folder, "net.msgpack").read_bytes()}


def load(name, folder, file):
    """Load a file into a fresh net, as users do; count the spikes in which it differs."""
    net, _ = NETS[name]()
    state = nnx.state(net)
    tree = serialization.from_bytes(nnx.to_pure_dict(state), Path(folder, file).read_bytes())
    nnx.replace_by_pure_dict(state, tree)
    nnx.update(net, state)
    held = np.load(Path(folder, "run.npz"))
    return int((eager(net, held["input"]) != held["output"]).sum())


def rebuild(folder):
    """Build the net anew from its file; count the spikes in which it differs."""
    from snnbridge import read
    from snnbridge.frameworks import spyx

    held = np.load(Path(folder, "run.npz"))
    found = eager(spyx.build(read(Path(folder, "net.msgpack"))), held["input"])
    return int((found != held["output"]).sum())


if __name__ == "__main__":
    action, arguments = sys.argv[1:3]
    print(json.dumps(globals()[action](**json.loads(arguments))))
