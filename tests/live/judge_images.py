"""Runs beside Spyx, BrainPy or PyTorch: nets of one shape over images, each in its own order.

A convolution with stride and padding, neurons on its images, a pool, a flat view, a dense layer and
neurons. A framework makes and runs one whole; of another's file it runs the layers without a
state, and the neurons between them are stepped by their rule.
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np

warnings.filterwarnings("ignore")

STEPS, BATCH, THRESHOLD = 40, 4, np.float32(0.5)
IMAGE, MAPS, CLASSES = (8, 12, 2), (4, 6, 3), 5
FLAT = 18


def spikes():
    x = np.random.default_rng(3).random((STEPS, BATCH, *IMAGE)) < 0.4
    return x.astype(np.float32)


def small(*shape, seed):
    """Give weights of few bits, so that every sum is exact whatever its order."""
    found = np.random.default_rng(seed).integers(-16, 17, shape) / 16
    return found.astype(np.float32)


# A net of each framework


def spyx_saves(folder):
    import flax.nnx as nnx
    import jax.numpy as jnp
    import spyx.nn as snn

    from snnbridge.frameworks import spyx

    r = nnx.Rngs(0)
    conv = nnx.Conv(2, 3, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)), rngs=r)
    net = snn.Sequential(
        conv, snn.LIF(MAPS, 0.5, threshold=0.5, rngs=r), snn.SumPool((2, 2), (2, 2), "VALID"),
        snn.Flatten(), nnx.Linear(FLAT, CLASSES, rngs=r),
        snn.LIF((CLASSES,), 0.5, threshold=0.5, rngs=r),
    )  # fmt: skip
    conv.kernel.value = jnp.asarray(small(3, 3, 2, 3, seed=1))
    conv.bias.value = jnp.asarray(small(3, seed=2))
    net.layers[4].kernel.value = jnp.asarray(small(FLAT, CLASSES, seed=3))
    spyx.export(net, Path(folder, "net.msgpack"), input_shape=IMAGE)
    state, found = net.initial_state(BATCH), []
    for frame in spikes():
        out, state = net(jnp.asarray(frame), state)
        found.append(np.asarray(out))
    return _kept(folder, np.stack(found))


def brainpy_net():
    import brainpy as bp
    import brainpy.math as bm

    bm.clear_name_cache(ignore_warn=True)
    bm.set_dt(1.0)
    how = {"tau": 2.0, "V_th": 0.5, "V_reset": 0.0, "method": "euler"}
    with bm.training_environment():
        return bp.Sequential(
            bp.dnn.Conv2d(2, 3, 3, stride=2, padding=((1, 1), (1, 1))),
            bp.dyn.Lif(MAPS, keep_size=True, **how), bp.dnn.MaxPool2d(2, 2), bp.dnn.Flatten(),
            bp.dnn.Dense(FLAT, CLASSES), bp.dyn.Lif(CLASSES, **how),
        )  # fmt: skip


def run_brainpy(net):
    import brainpy as bp
    import brainpy.math as bm

    bp.reset_state(net, BATCH)
    found = bm.for_loop(net.step_run, (bm.arange(STEPS), bm.asarray(spikes())))
    return np.asarray(found)


def brainpy_saves(folder):
    import brainpy.math as bm

    from snnbridge.frameworks import brainpy

    net = brainpy_net()
    conv, dense = net[0], net[4]
    conv.w.value, dense.W.value = (
        bm.asarray(small(*shape, seed=n)) for n, shape in enumerate([(3, 3, 2, 3), (FLAT, CLASSES)])
    )
    conv.b.value = bm.asarray(small(1, 1, 3, seed=2))
    brainpy.export(net, Path(folder, "net.bp"))
    return _kept(folder, run_brainpy(net))


def torch_saves(folder):
    import snntorch as snn
    import torch
    from torch import nn

    from snnbridge.frameworks import snntorch

    how = {"beta": 0.5, "threshold": 0.5, "init_hidden": True}
    net = nn.Sequential(
        nn.Conv2d(2, 3, 3, stride=2, padding=1), snn.Leaky(**how), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(FLAT, CLASSES), snn.Leaky(**how, output=True),
    )  # fmt: skip
    x = torch.from_numpy(_first(spikes()))
    with torch.no_grad():
        for layer, shape in ((net[0], (3, 2, 3, 3)), (net[4], (CLASSES, FLAT))):
            layer.weight.copy_(torch.from_numpy(small(*shape, seed=len(shape))))
            layer.bias.copy_(torch.from_numpy(small(shape[0], seed=7)))
        snntorch.export(net, Path(folder, "net.pt"), sample=x[0])
        for neurons in (net[1], net[5]):
            neurons.reset_mem()  # the sample has run
        found = torch.stack([net(frame)[0] for frame in x])
    return _kept(folder, found.numpy())


def _kept(folder, found):
    np.save(Path(folder, "output.npy"), found)
    return int(found.sum())


def _first(x):
    return np.ascontiguousarray(np.moveaxis(x, -1, 2))


# The rule of the neurons of each


def of_spyx(v, x):
    z = (v > THRESHOLD).astype(np.float32)
    return np.float32(0.5) * v + x - z * THRESHOLD, z


def of_brainpy(v, x):
    v = v + (x - v) / np.float32(2)
    z = (v >= THRESHOLD).astype(np.float32)
    return v - THRESHOLD * z, z


def of_torch(v, x):
    v = np.float32(0.5) * v + x - (v > THRESHOLD) * THRESHOLD
    return v, (v > THRESHOLD).astype(np.float32)


POOLS = {"spyx": "sum", "brainpy": "max", "torch": "avg"}


def run(source, convolve, pool, dense, x):
    """Step a net whose layers without a state are a framework's own."""
    rule = {"spyx": of_spyx, "brainpy": of_brainpy, "torch": of_torch}[source]
    u, v = np.zeros_like(convolve(x[0])), np.float32(0)
    found = []
    for frame in x:
        u, z = rule(u, np.asarray(convolve(frame)))
        v, out = rule(v + np.zeros((BATCH, CLASSES), np.float32), np.asarray(dense(pool(z))))
        found.append(out)
    return np.stack(found)


# The layers of each, with the arrays of a file


def torch_runs(folder, file, source):
    import torch
    from torch import nn
    from torch.nn import functional

    state = torch.load(Path(folder, file), weights_only=True)
    names = {a.ndim: key.removesuffix(".weight") for key, a in state.items() if a.ndim > 1}
    layers = {4: nn.Conv2d(2, 3, 3, stride=2, padding=1), 2: nn.Linear(FLAT, CLASSES)}
    net = nn.ModuleDict({names[axes]: layer for axes, layer in layers.items()})
    net.load_state_dict({k: a for k, a in state.items() if a.ndim}, strict=True)

    def pool(z):
        z = torch.from_numpy(z)
        if POOLS[source] == "max":
            return functional.max_pool2d(z, 2)
        return functional.avg_pool2d(z, 2) * (4 if POOLS[source] == "sum" else 1)

    with torch.no_grad():
        found = run(
            source,
            lambda frame: layers[4](torch.from_numpy(frame)).numpy(),
            pool,
            lambda z: layers[2](z.flatten(1)).numpy(),
            _first(spikes()),
        )
    return _differing(folder, found)


def spyx_runs(folder, file, source):
    import flax.nnx as nnx
    import jax.numpy as jnp
    from flax import serialization

    arrays = _by_axes(serialization.msgpack_restore(Path(folder, file).read_bytes()), "kernel")
    r = nnx.Rngs(9)
    layers = {
        4: nnx.Conv(2, 3, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)), rngs=r),
        2: nnx.Linear(FLAT, CLASSES, rngs=r),
    }
    for axes, layer in layers.items():
        layer.kernel.value = jnp.asarray(arrays[axes]["kernel"])
        layer.bias.value = jnp.asarray(arrays[axes]["bias"]).ravel()

    def pool(z):
        window = {"window_shape": (2, 2), "strides": (2, 2)}
        if POOLS[source] == "max":
            return nnx.max_pool(z, **window)
        return nnx.avg_pool(z, **window) * (4 if POOLS[source] == "sum" else 1)

    found = run(source, layers[4], pool, lambda z: layers[2](z.reshape(BATCH, -1)), spikes())
    return _differing(folder, found)


def brainpy_runs(folder, file, source):
    import brainpy as bp
    import brainpy.math as bm

    net = brainpy_net()
    arrays = _by_axes(bp.checkpoints.load_pytree(str(Path(folder, file))), "w")
    for axes, layer, weight in ((4, net[0], "w"), (2, net[4], "W")):
        getattr(layer, weight).value = bm.asarray(arrays[axes]["w"])
        layer.b.value = bm.asarray(arrays[axes]["b"]).reshape(layer.b.shape)
    with bm.training_environment():
        kind = bp.dnn.MaxPool2d if POOLS[source] == "max" else bp.dnn.AvgPool2d
        pool = kind(2, 2)
    scale = 4 if POOLS[source] == "sum" else 1
    found = run(
        source,
        lambda frame: bm.as_numpy(net[0](bm.asarray(frame))),
        lambda z: pool(bm.asarray(z)) * scale,
        lambda z: bm.as_numpy(net[4](net[3](z))),
        spikes(),
    )
    return _differing(folder, found)


def _by_axes(tree, weight):
    """Find the weights in a tree by their axes, each with its bias."""
    found = {}
    for node in tree.values():
        if isinstance(node, dict):
            own = {str(key).rpartition(".")[2].lower(): value for key, value in node.items()}
            if hasattr(own.get(weight), "ndim"):
                found[own[weight].ndim] = own
            found |= _by_axes(node, weight)
    return found


def _differing(folder, found):
    return int((found != np.load(Path(folder, "output.npy"))).sum())


# A file in the framework of its source


def spyx_loads(folder, file):
    """Build the net of a file, with its own neurons."""
    import jax.numpy as jnp

    from snnbridge import read
    from snnbridge.frameworks import spyx

    net = spyx.build(read(Path(folder, file), format="spyx"))
    state, found = net.initial_state(BATCH), []
    for frame in spikes():
        out, state = net(jnp.asarray(frame), state)
        found.append(np.asarray(out))
    return _differing(folder, np.stack(found))


def brainpy_loads(folder, file):
    """Load a file into a fresh net as its users do."""
    import brainpy as bp

    net = brainpy_net()
    told = bp.load_state(net, bp.checkpoints.load_pytree(str(Path(folder, file))))
    assert not told.missing_keys, told.missing_keys
    return _differing(folder, run_brainpy(net))


if __name__ == "__main__":
    action, arguments = sys.argv[1:3]
    print(json.dumps(globals()[action](**json.loads(arguments))))
