"""Runs beside the frameworks on PyTorch: builds, runs, saves and loads their nets."""

import json
import sys
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from torch import nn

STEPS, BATCH = 40, 4


def dyadic(net):
    """Round the weights so that every sum is exact in float32: one result for every engine."""
    with torch.no_grad():
        for name, held in net.named_parameters():
            if name.rpartition(".")[2] in ("weight", "bias", "w_rec") or "_weights" in name:
                held.copy_((held.clamp(-1, 1) * 128).round() / 64)
    return net


def spikes(*shape):
    return (torch.rand(STEPS, BATCH, *shape) < 0.4).float()


def by_step(step, x):
    """Run a function over the steps; it keeps its own state."""
    with torch.no_grad():
        return torch.stack([step(frame) for frame in x])


def all_at_once(net, x, *, batch_first=False):
    with torch.no_grad():
        out = net(x.transpose(0, 1) if batch_first else x)
    out = out[0] if isinstance(out, tuple) else out
    return out.transpose(0, 1) if batch_first else out


def first(value):
    return value[0] if isinstance(value, tuple) else value


def run_snntorch(net):
    return lambda x: by_step(lambda frame: first(net(frame)), x)


def run_norse(net):
    def run(x):
        state, found = None, []
        with torch.no_grad():
            for frame in x:
                out, state = net(frame, state)
                found.append(out)
        return torch.stack(found)

    return run


def run_batch_first(net):
    return lambda x: all_at_once(net, x, batch_first=True)


def run_squeezed(net):
    """Run a net whose batch and time are one axis."""

    def run(x):
        if hasattr(net, "reset_states"):
            net.reset_states()
        flat = x.transpose(0, 1).flatten(0, 1)
        with torch.no_grad():
            return net(flat).unflatten(0, (x.shape[1], x.shape[0])).transpose(0, 1)

    return run


def run_spikingjelly(net):
    from spikingjelly.activation_based import functional

    functional.set_step_mode(net, "m")
    take_steps(net)

    def run(x):
        functional.reset_net(net)
        return all_at_once(net, x)

    return run


def take_steps(net):
    """Have the modules of PyTorch, in containers too, run over all steps at once."""
    for layer in net.children():
        kind = type(layer)
        if kind in (nn.Sequential, nn.Module):
            take_steps(layer)
        elif kind.__module__.startswith(("torch.nn", "snnbridge")):
            layer.forward = across_steps(layer)


def across_steps(layer):
    """Run a stateless module over steps and batch alike."""
    forward = type(layer).forward

    def run(x):
        out = forward(layer, x.flatten(0, 1))
        return out.view(*x.shape[:2], *out.shape[1:])

    return run


RUNS = {
    "snntorch": run_snntorch, "norse": run_norse, "sinabs": run_batch_first,
    "spikingjelly": run_spikingjelly, "rockpool": run_batch_first,
}  # fmt: skip


# Nets: each gives (net, input, function of the input, arguments of export)


def snntorch_net(*neurons, size=None):
    net = nn.Sequential(nn.Linear(6, 5), neurons[0], nn.Linear(5, 3), neurons[1])
    return dyadic(net), spikes(6), run_snntorch(net), {}


def snntorch_leaky():
    import snntorch as snn

    how = {"init_hidden": True, "learn_beta": True}
    return snntorch_net(
        snn.Leaky(beta=torch.full((5,), 0.75), **how),
        snn.Leaky(beta=0.5, reset_mechanism="zero", reset_delay=False, output=True, **how),
    )


def snntorch_recurrent():
    import snntorch as snn

    how = {"init_hidden": True, "alpha": 0.5, "beta": 0.75}
    return snntorch_net(
        snn.RSynaptic(linear_features=5, **how),
        snn.Synaptic(reset_mechanism="none", output=True, **how),
    )


def snntorch_traced():
    """A net of one's own, whose connections are seen by running it."""
    import snntorch as snn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3)
            self.lif1 = snn.Leaky(beta=0.5)
            self.pool = nn.AvgPool2d(2)
            self.fc = nn.Linear(18, 4)
            self.lif2 = snn.Leaky(beta=0.75, reset_mechanism="zero")

        def forward(self, x):
            mem1, mem2, out = self.lif1.reset_mem(), self.lif2.reset_mem(), []
            for frame in x:
                spk1, mem1 = self.lif1(self.conv(frame), mem1)
                spk2, mem2 = self.lif2(self.fc(self.pool(spk1).flatten(1)), mem2)
                out.append(spk2)
            return torch.stack(out)

    net, x = dyadic(Net()), spikes(1, 8, 8)
    return net, x, lambda x: all_at_once(net, x), {"sample": x}


def norse_net(*layers):
    import norse.torch as norse

    net = dyadic(norse.SequentialState(*layers))
    return net, spikes(6), run_norse(net), {}


def norse_cells():
    import norse.torch as norse

    p = norse.LIFParameters(
        v_th=torch.as_tensor(0.5),
        tau_mem_inv=torch.as_tensor(250.0),
        tau_syn_inv=torch.as_tensor(500.0),
    )
    return norse_net(
        nn.Linear(6, 5), norse.LIFCell(p, dt=2.0**-10), nn.Linear(5, 3),
        norse.LIFBoxCell(norse.LIFBoxParameters(v_th=torch.as_tensor(0.25)), dt=2.0**-10),
    )  # fmt: skip


def norse_recurrent():
    import norse.torch as norse

    p = norse.LIFParameters(v_th=torch.as_tensor(0.25))
    return norse_net(
        norse.LIFRecurrentCell(6, 5, p, dt=2.0**-10), nn.Linear(5, 3), norse.IAFCell(dt=2.0**-10)
    )


def sinabs_net(*layers):
    net = dyadic(nn.Sequential(*layers))
    return net, spikes(6), run_batch_first(net), {}


def sinabs_layers():
    import sinabs.activation as sa
    import sinabs.layers as sl

    return sinabs_net(
        nn.Linear(6, 5),
        sl.LIF(tau_mem=10.0, tau_syn=5.0, norm_input=False, min_v_mem=-0.5),
        nn.Linear(5, 3),
        sl.IAF(spike_threshold=0.5, spike_fn=sa.SingleSpike, reset_fn=sa.MembraneReset()),
    )


def sinabs_recurrent():
    import sinabs.layers as sl

    return sinabs_net(
        nn.Linear(6, 5),
        sl.LIFRecurrent(tau_mem=10.0, rec_connect=nn.Linear(5, 5), norm_input=False),
        nn.Linear(5, 3),
        sl.LIF(tau_mem=5.0, train_alphas=True),
    )


def spikingjelly_net(*layers, shape=(6,)):
    net = dyadic(nn.Sequential(*layers))
    return net, spikes(*shape), run_spikingjelly(net), {}


def spikingjelly_neurons():
    from spikingjelly.activation_based import layer, neuron

    return spikingjelly_net(
        layer.Linear(6, 5), neuron.LIFNode(tau=4.0, v_threshold=0.25),
        layer.Linear(5, 4), neuron.ParametricLIFNode(init_tau=2.0, v_reset=None, v_threshold=0.25),
        layer.Linear(4, 3), neuron.IFNode(v_threshold=0.5),
    )  # fmt: skip


def spikingjelly_conv():
    from spikingjelly.activation_based import layer, neuron

    net, x, run, _ = spikingjelly_net(
        layer.Conv2d(1, 2, 3, stride=2, padding=1), neuron.LIFNode(tau=2.0, v_threshold=0.25),
        layer.MaxPool2d(2), layer.Flatten(), layer.Linear(8, 3), neuron.IFNode(),
        shape=(1, 8, 8),
    )  # fmt: skip
    return net, x, run, {"sample": x}


def spikingjelly_recurrent():
    from spikingjelly.activation_based import layer, neuron

    inner = neuron.LIFNode(tau=2.0, v_threshold=0.25)
    net = dyadic(nn.Sequential(
        layer.Linear(6, 5), layer.LinearRecurrentContainer(inner, 5, 5), layer.Linear(5, 3),
        neuron.IFNode(),
    ))  # fmt: skip
    return net, spikes(6), run_in_steps(net), {}


def run_in_steps(net):
    from spikingjelly.activation_based import functional

    def run(x):
        functional.reset_net(net)
        return by_step(net, x)

    return run


def rockpool_net(*layers):
    from rockpool.nn.combinators import Sequential

    net = dyadic(Sequential(*layers))
    return net, spikes(6), run_batch_first(net), {}


def rockpool_modules():
    from rockpool.nn.modules import LIFNeuronTorch, LIFTorch, LinearTorch

    return rockpool_net(
        LinearTorch((6, 5), has_bias=True), LIFTorch((5,), dt=1e-3, threshold=8.0),
        LinearTorch((5, 3)), LIFNeuronTorch((3,), dt=1e-3, threshold=4.0),
    )  # fmt: skip


def rockpool_recurrent():
    from rockpool.nn.modules import LIFTorch, LinearTorch

    return rockpool_net(
        LinearTorch((6, 5)), LIFTorch((5,), has_rec=True, threshold=8.0),
        LinearTorch((5, 3)), LIFTorch((3,), leak_mode="decays", threshold=8.0),
    )  # fmt: skip


NETS = (
    snntorch_leaky, snntorch_recurrent, snntorch_traced, norse_cells, norse_recurrent,
    sinabs_layers, sinabs_recurrent, spikingjelly_neurons, spikingjelly_conv,
    spikingjelly_recurrent, rockpool_modules, rockpool_recurrent,
)  # fmt: skip


def made(name):
    return next(make for make in NETS if make.__name__ == name)()


def export(name, folder):
    """Save a net as its helper does; keep its input, its spikes and its state dict."""
    torch.manual_seed(1)
    net, x, run, arguments = made(name)
    helper = import_module(f"snnbridge.frameworks.{name.partition('_')[0]}")
    folder = Path(folder)
    helper.export(net, folder / "net.pt", **arguments)
    torch.save(net.state_dict(), folder / "fresh.pt")
    torch.manual_seed(2)
    torch.save(made(name)[0].state_dict(), folder / "other.pt")
    found = run(x)
    torch.save({"epoch": 3, "model": net.state_dict()}, folder / "ran.pt")
    np.savez(folder / "run.npz", input=x.numpy(), output=found.detach().numpy())
    loaded = torch.load(folder / "net.pt", weights_only=True)
    own = torch.load(folder / "fresh.pt", weights_only=True)
    changed = [k for k in own if k not in loaded or not torch.equal(loaded[k], own[k])]
    more = [k for k in loaded if k not in own]
    return {"same_order": list(loaded) == list(own), "changed": changed, "more": more}


def rebuild(name, folder):
    """Build the net anew from its file, and count the spikes in which it differs."""
    from snnbridge import read

    helper = import_module(f"snnbridge.frameworks.{name.partition('_')[0]}")
    held = np.load(Path(folder) / "run.npz")
    net = helper.build(read(Path(folder) / "net.pt"))
    run = run_in_steps if name == "spikingjelly_recurrent" else RUNS[name.partition("_")[0]]
    found = run(net)(torch.from_numpy(held["input"]))
    return {
        "classes": [type(m).__name__ for m in net.children()],
        "differing": int((found.detach().numpy() != held["output"]).sum()),
    }


def strict(name, folder, files):
    """Load files into nets of other weights, every key; count the spikes in which they differ."""
    held = np.load(Path(folder) / "run.npz")
    found = {}
    for file in files:
        net, _, run, _ = made(name)
        net.load_state_dict(torch.load(Path(folder) / file, weights_only=True), strict=True)
        out = run(torch.from_numpy(held["input"])).detach().numpy()
        found[file] = int((out != held["output"]).sum())
    return found


def load(path):
    """Say what a safe load returns: dtype, shape and values of each tensor."""
    held = torch.load(path, weights_only=True)
    return {
        key: [
            str(value.dtype).removeprefix("torch."),
            list(value.shape),
            value.double().tolist() if not value.is_complex() else None,
        ]
        for key, value in held.items()
    }


def described(path):
    """Say what a safe load returns as the makers of the fixtures do."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "fixtures"))
    from make.torch_files import described as say

    return say(torch.load(path, weights_only=True))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    action, arguments = sys.argv[1:3]
    print(json.dumps(globals()[action](**json.loads(arguments))))
