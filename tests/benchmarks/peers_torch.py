"""The workloads as nets of the frameworks on torch; called by peers_simulator.py."""

from __future__ import annotations

import math

import torch

#: The time constant in steps of a decay of 0.9.
DECAY_TAU = -1 / math.log(0.9)


def peer(name, workload, arrays, threads):
    """Return a function that runs a workload once, or None where the framework has no such net."""
    torch.set_num_threads(threads)
    x = torch.from_numpy(arrays["input"])
    kind = "image" if workload == "W4" else "dense"
    make = NETS.get((name, kind))
    run = None if make is None else make(arrays)
    if run is None:
        return None

    def work():
        with torch.inference_mode():
            return run(x)

    return work


def linears(arrays):
    layers = []
    for key in sorted(k for k in arrays if k.startswith("fc")):
        out, inputs = arrays[key].shape
        layer = torch.nn.Linear(inputs, out)
        layer.weight.data, layer.bias.data = torch.from_numpy(arrays[key]), torch.zeros(out)
        layers.append(layer)
    return layers


def snntorch_net(arrays):
    import snntorch

    dense = linears(arrays)
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


def spikingjelly_net(arrays):
    from spikingjelly.activation_based import functional, layer, neuron

    if "rec.weight" in arrays:
        return None
    parts = []
    for dense in linears(arrays):
        node = neuron.LIFNode(tau=10.0, decay_input=False, v_reset=None, step_mode="m")
        parts += [layer.SeqToANNContainer(dense), node]
    net = torch.nn.Sequential(*parts)

    def run(x):
        functional.reset_net(net)
        return net(x)

    return run


def conv(arrays, key, **options):
    weight = torch.from_numpy(arrays[f"{key}.weight"])
    made = torch.nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2], bias=False, **options)
    made.weight.data = weight
    return made


def unbiased(arrays, key):
    weight = torch.from_numpy(arrays[f"{key}.weight"])
    made = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    made.weight.data = weight
    return made


def image_blocks(arrays, pool):
    """Return the stateless layers of the image net, block by block; neurons stand between them."""
    return [
        [conv(arrays, "c1", stride=2, padding=1)],
        [conv(arrays, "c2", padding=1)],
        [pool, conv(arrays, "c3", padding=1)],
        [pool, torch.nn.Flatten(), unbiased(arrays, "f1")],
        [unbiased(arrays, "f2")],
    ]


def spikingjelly_image(arrays):
    from spikingjelly.activation_based import functional, layer, neuron

    parts = []
    for block in image_blocks(arrays, torch.nn.AvgPool2d(2, divisor_override=1)):
        fire = neuron.IFNode(v_reset=None, step_mode="m")
        parts += [layer.SeqToANNContainer(*block), fire]
    net = torch.nn.Sequential(*parts)

    def run(x):
        functional.reset_net(net)
        return net(x)

    return run


def sinabs_net(arrays):
    from sinabs.layers import LIF, LIFRecurrent

    options = {"tau_mem": DECAY_TAU, "norm_input": False}
    parts = []
    for i, layer in enumerate(linears(arrays)):
        parts.append(layer)
        if i == 0 and "rec.weight" in arrays:
            back = unbiased(arrays, "rec")
            parts.append(LIFRecurrent(rec_connect=back, **options))
        else:
            parts.append(LIF(**options))
    return batch_first(torch.nn.Sequential(*parts), parts)


def sinabs_image(arrays):
    from sinabs.layers import IAF, SumPool2d

    parts = []
    for block in image_blocks(arrays, SumPool2d(2)):
        parts += [OverTime(*block), IAF()]
    return batch_first(torch.nn.Sequential(*parts), parts)


def batch_first(net, parts):
    """Run a net of sinabs, which takes (batch, time, ...), from rest."""

    def run(x):
        for part in parts:
            if hasattr(part, "reset_states"):
                part.reset_states()
        return net(x.transpose(0, 1).contiguous())

    return run


class OverTime(torch.nn.Sequential):
    """Layers that know no time, applied to all steps at once."""

    def forward(self, x):
        y = super().forward(x.flatten(0, 1))
        return y.unflatten(0, x.shape[:2])


def norse_net(arrays):
    from norse.torch.functional.lif_box import LIFBoxParameters
    from norse.torch.functional.reset import reset_subtract
    from norse.torch.module.lif_box import LIFBoxCell

    if "rec.weight" in arrays:
        return None
    dense = linears(arrays)
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


NETS = {
    ("snntorch", "dense"): snntorch_net,
    ("spikingjelly", "dense"): spikingjelly_net,
    ("spikingjelly", "image"): spikingjelly_image,
    ("norse", "dense"): norse_net,
    ("sinabs", "dense"): sinabs_net,
    ("sinabs", "image"): sinabs_image,
}
