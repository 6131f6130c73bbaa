"""One framework on one workload, in its own environment; prints milliseconds as JSON.

``python peers_simulator.py PEER WORKLOAD NET.npz RUNS``, called by bench_simulator.py.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np

THREADS = 2


def torch_peer(name, workload, arrays):
    import torch

    torch.set_num_threads(THREADS)
    x = torch.from_numpy(arrays["input"])
    if workload == "W4":
        return spikingjelly_image(torch, arrays, x) if name == "spikingjelly" else None
    makers = {"snntorch": snntorch_net, "spikingjelly": spikingjelly_net, "norse": norse_net}
    run = makers[name](torch, arrays, workload)
    if run is None:
        return None

    def work():
        with torch.inference_mode():
            return run(x)

    return work


def linears(torch, arrays):
    layers = []
    for key in sorted(k for k in arrays if k.startswith("fc")):
        out, inputs = arrays[key].shape
        layer = torch.nn.Linear(inputs, out)
        layer.weight.data, layer.bias.data = torch.from_numpy(arrays[key]), torch.zeros(out)
        layers.append(layer)
    return layers


def snntorch_net(torch, arrays, workload):
    import snntorch

    dense = linears(torch, arrays)
    back = torch.from_numpy(arrays["rec.weight"]) if "rec.weight" in arrays else None

    cells = [snntorch.Leaky(beta=0.9) for _ in dense]

    def run(x):
        states = [cell.init_leaky() for cell in cells]
        last = torch.zeros(x.shape[1], dense[0].out_features)
        outputs = []
        for row in x:
            for i, (layer, cell) in enumerate(zip(dense, cells, strict=True)):
                row = layer(row)
                if i == 0 and back is not None:
                    row = row + last @ back.T
                row, states[i] = cell(row, states[i])
                if i == 0:
                    last = row
            outputs.append(row)
        return torch.stack(outputs)

    return run


def spikingjelly_net(torch, arrays, workload):
    from spikingjelly.activation_based import functional, layer, neuron

    if "rec.weight" in arrays:
        return None
    parts = []
    for dense in linears(torch, arrays):
        node = neuron.LIFNode(tau=10.0, decay_input=False, v_reset=None, step_mode="m")
        parts += [layer.SeqToANNContainer(dense), node]
    net = torch.nn.Sequential(*parts)

    def run(x):
        functional.reset_net(net)
        return net(x)

    return run


def spikingjelly_image(torch, arrays, x):
    from spikingjelly.activation_based import functional, layer, neuron

    def fire():
        return neuron.IFNode(v_reset=None, step_mode="m")

    def conv(key, **options):
        weight = torch.from_numpy(arrays[f"{key}.weight"])
        made = torch.nn.Conv2d(
            weight.shape[1], weight.shape[0], weight.shape[2], bias=False, **options
        )
        made.weight.data = weight
        return made

    def dense(key):
        weight = torch.from_numpy(arrays[f"{key}.weight"])
        made = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        made.weight.data = weight
        return made

    pool = torch.nn.AvgPool2d(2, divisor_override=1)
    blocks = [
        [conv("c1", stride=2, padding=1)],
        [conv("c2", padding=1)],
        [pool, conv("c3", padding=1)],
        [pool, torch.nn.Flatten(), dense("f1")],
        [dense("f2")],
    ]
    parts = []
    for block in blocks:
        parts += [layer.SeqToANNContainer(*block), fire()]
    net = torch.nn.Sequential(*parts)

    def work():
        with torch.inference_mode():
            functional.reset_net(net)
            return net(x)

    return work


def norse_net(torch, arrays, workload):
    from norse.torch.functional.lif_box import LIFBoxParameters
    from norse.torch.functional.reset import reset_subtract
    from norse.torch.module.lif_box import LIFBoxCell

    if "rec.weight" in arrays:
        return None
    dense = linears(torch, arrays)
    p = LIFBoxParameters(tau_mem_inv=torch.as_tensor(100.0), reset_method=reset_subtract)

    cells = [LIFBoxCell(p) for _ in dense]

    def run(x):
        states = [None] * len(dense)
        outputs = []
        for row in x:
            for i, (layer, cell) in enumerate(zip(dense, cells, strict=True)):
                row, states[i] = cell(layer(row), states[i])
            outputs.append(row)
        return torch.stack(outputs)

    return run


def jax_peer(workload, arrays):
    import jax
    import jax.numpy as jnp

    if workload == "W4":
        return None
    weights = [jnp.asarray(arrays[k].T) for k in sorted(arrays) if k.startswith("fc")]
    back = jnp.asarray(arrays["rec.weight"].T) if "rec.weight" in arrays else None
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


def main(name, workload, path, runs):
    with np.load(path) as held:
        arrays = {key: held[key] for key in held.files}
    work = jax_peer(workload, arrays) if name == "jax" else torch_peer(name, workload, arrays)
    if work is None:
        sys.exit(f"{name} does not run this net")
    for _ in range(runs):
        work()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1e3)
    print(json.dumps(times))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
