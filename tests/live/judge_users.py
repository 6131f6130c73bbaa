"""Nets as users of each framework write them, run and saved there: ``judge_users.py NAME FOLDER``.

For each kind of net the folder gets the file that the framework's helper writes, ``<kind>.pt`` or
what its users call it, and ``<kind>.npz`` with input and output, (time, batch, channels, ...).
"""

import json
import math
import sys
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np

STEPS, BATCH = 40, 4
SHAPES = {
    "mlp": (12,), "conv": (1, 8, 8), "recurrent": (12,), "analog": (1, 8, 8), "image": (1, 8, 10),
    "cube": (1, 8, 8),
}  # fmt: skip
#: Images, channel first, of neurons of which each has a time constant of its own.
EACH = {"image": (4, 6, 8), "cube": (6, 6, 6)}


def snntorch():
    """Return classes of the user's own with a loop over time in each."""
    import snntorch as snn
    import torch
    from torch import nn

    class Net(nn.Module):
        def forward(self, x):
            first, second, out = self.lif1.reset_mem(), self.lif2.reset_mem(), []
            for frame in x:
                spikes, first = self.lif1(self.into(frame), first)
                spikes, second = self.lif2(self.fc2(spikes.flatten(1)), second)
                out.append(spikes)
            return torch.stack(out)

    class Mlp(Net):
        def __init__(self):
            super().__init__()
            self.fc1, self.lif1 = nn.Linear(12, 16), snn.Leaky(beta=0.9)
            self.fc2, self.lif2 = nn.Linear(16, 4), snn.Leaky(beta=0.8)

        def into(self, frame):
            return self.fc1(frame)

    class Conv(Net):
        def __init__(self):
            super().__init__()
            self.conv1, self.pool, self.lif1 = nn.Conv2d(1, 4, 3), nn.AvgPool2d(2), snn.Leaky(0.9)
            self.fc2, self.lif2 = nn.Linear(36, 4), snn.Leaky(beta=0.8)

        def into(self, frame):
            return self.pool(self.conv1(frame))

    class Each(Net):
        def __init__(self, maps):
            super().__init__()
            each = 0.5 + torch.rand(maps) / 2
            self.conv1, self.lif1 = nn.Conv2d(1, maps[0], 3, bias=False), snn.Leaky(each)
            self.fc2, self.lif2 = nn.Linear(math.prod(maps), 4, bias=False), snn.Leaky(0.8)

        def into(self, frame):
            return self.conv1(frame)

    class Recurrent(Mlp):
        def __init__(self):
            super().__init__()
            self.lif1 = snn.RLeaky(beta=0.9, linear_features=16)

        def forward(self, x):
            spikes, first = self.lif1.init_rleaky()
            second, out = self.lif2.reset_mem(), []
            for frame in x:
                spikes, first = self.lif1(self.fc1(frame), spikes, first)
                last, second = self.lif2(self.fc2(spikes), second)
                out.append(last)
            return torch.stack(out)

    def run(net, x):
        return net(x)

    nets = {"mlp": Mlp(), "conv": Conv(), "recurrent": Recurrent()}
    return nets | {kind: Each(maps) for kind, maps in EACH.items()}, run, 4.0


def norse():
    """Return chains of cells."""
    import norse.torch as norse
    import torch
    from torch import nn

    def chain(*layers):
        return norse.SequentialState(*layers, nn.Linear(16, 4), norse.LIFCell(dt=0.001))

    nets = {
        "mlp": chain(nn.Linear(12, 16), norse.LIFCell(dt=0.001)),
        "conv": chain(nn.Conv2d(1, 4, 3), norse.LIFCell(dt=0.001), nn.AvgPool2d(3), nn.Flatten()),
        "recurrent": chain(norse.LIFRecurrentCell(12, 16, dt=0.001)),
    }
    for kind, maps in EACH.items():
        each = norse.LIFParameters(tau_mem_inv=100 + 200 * torch.rand(maps))
        nets[kind] = norse.SequentialState(
            nn.Conv2d(1, maps[0], 3), norse.LIFCell(each, dt=0.001), nn.Flatten(),
            nn.Linear(math.prod(maps), 4), norse.LIFCell(dt=0.001),
        )  # fmt: skip

    def run(net, x):
        state, out = None, []
        for frame in x:
            spikes, state = net(frame, state)
            out.append(spikes)
        return torch.stack(out)

    return nets, run, 12.0


def sinabs():
    """Return chains; those over images take batch and time as one axis."""
    import sinabs.layers as sl
    import torch
    from sinabs import reset_states
    from sinabs.activation import SingleSpike
    from sinabs.from_torch import from_model
    from torch import nn

    once = {"spike_fn": SingleSpike}
    together = {"batch_size": BATCH, **once}
    nets = {
        "mlp": nn.Sequential(
            nn.Linear(12, 16), sl.LIF(tau_mem=20.0, norm_input=False, **once),
            nn.Linear(16, 4), sl.IAF(**once),
        ),
        "conv": nn.Sequential(
            nn.Conv2d(1, 4, 3), sl.IAFSqueeze(**together), nn.AvgPool2d(3), nn.Flatten(),
            nn.Linear(16, 4), sl.LIFSqueeze(tau_mem=20.0, norm_input=False, **together),
        ),
        "recurrent": nn.Sequential(
            nn.Linear(12, 16),
            sl.LIFRecurrent(
                tau_mem=20.0, norm_input=False, rec_connect=nn.Linear(16, 16, bias=False), **once
            ),
            nn.Linear(16, 4), sl.IAF(**once),
        ),
        "analog": from_model(
            nn.Sequential(
                nn.Conv2d(1, 4, 3, bias=False), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(),
                nn.Linear(36, 4), nn.ReLU(),
            ),
            input_shape=SHAPES["analog"], batch_size=BATCH,
        ),
    }  # fmt: skip
    for kind, maps in EACH.items():
        each = 5.0 + 20.0 * torch.rand(maps)
        nets[kind] = nn.Sequential(
            nn.Conv2d(1, maps[0], 3), sl.LIFSqueeze(tau_mem=each, norm_input=False, **together),
            nn.Flatten(), nn.Linear(math.prod(maps), 4), sl.IAFSqueeze(**together),
        )  # fmt: skip
    reset_states(nets["analog"])  # from_model has run it

    def run(net, x):
        x = x.transpose(0, 1)
        if x.dim() == 3:
            return net(x).transpose(0, 1)
        return net(x.flatten(0, 1)).unflatten(0, x.shape[:2]).transpose(0, 1)

    return nets, run, 4.0


def spikingjelly():
    """Return chains that run over all steps at once."""
    from spikingjelly.activation_based import functional, layer, neuron
    from torch import nn

    nets = {
        "mlp": nn.Sequential(
            layer.Linear(12, 16), neuron.LIFNode(tau=2.0), layer.Linear(16, 4), neuron.LIFNode()
        ),
        "conv": nn.Sequential(
            layer.Conv2d(1, 4, 3, bias=False), layer.BatchNorm2d(4), neuron.IFNode(),
            layer.MaxPool2d(3), layer.Flatten(), layer.Linear(16, 4), neuron.LIFNode(),
        ),
        "recurrent": nn.Sequential(
            layer.Linear(12, 16), layer.LinearRecurrentContainer(neuron.IFNode(), 16, 16),
            layer.Linear(16, 4), neuron.LIFNode(),
        ),
    }  # fmt: skip
    for net in nets.values():
        functional.set_step_mode(net, "s")

    def run(net, x):
        import torch

        functional.reset_net(net)
        out = torch.stack([net(frame) for frame in x])
        functional.reset_net(net)
        return out

    return nets, run, 5.0


def rockpool():
    """Return chains of modules that know their time step; Rockpool has no convolutions."""
    import torch
    from rockpool.nn.combinators import Sequential
    from rockpool.nn.modules import LIFTorch, LinearTorch

    how = {"dt": 1e-3, "max_spikes_per_dt": torch.tensor(1.0)}
    nets = {
        "mlp": Sequential(
            LinearTorch((12, 16), has_bias=False), LIFTorch((16,), **how),
            LinearTorch((16, 4), has_bias=False), LIFTorch((4,), **how),
        ),
        "recurrent": Sequential(
            LinearTorch((12, 16), has_bias=False), LIFTorch((16,), has_rec=True, **how),
            LinearTorch((16, 4), has_bias=False), LIFTorch((4,), **how),
        ),
    }  # fmt: skip

    def run(net, x):
        net.reset_state()
        out = net(x.transpose(0, 1))[0].transpose(0, 1)
        net.reset_state()
        return out

    return nets, run, 2.0


def on_pytorch(framework, folder):
    """Run and save the nets of a framework on PyTorch."""
    import torch

    torch.manual_seed(3)
    nets, run, gain = globals()[framework]()
    helper = import_module(f"snnbridge.frameworks.{framework}")
    for kind, net in nets.items():
        net.eval()
        x = (torch.rand(STEPS, BATCH, *SHAPES[kind]) < 0.4).float()
        with torch.no_grad():
            for name, held in net.named_parameters():
                if held.dim() > 1 and "alpha" not in name and "tau" not in name:
                    held.mul_(gain)
            out = run(net, x).detach()
        helper.export(net, folder / f"{kind}.pt", sample=sample_of(framework, kind, x))
        np.savez(folder / f"{kind}.npz", input=x.numpy(), output=out.numpy())


def sample_of(framework, kind, x):
    """Return an input as a net of the framework takes it."""
    if framework == "snntorch":
        return x
    if framework in ("norse", "spikingjelly"):
        return x[0]
    by_sample = x.transpose(0, 1)
    return by_sample.flatten(0, 1) if framework == "sinabs" and x.dim() == 5 else by_sample


def spyx(folder):
    """Run and save chains of Spyx, whose images have the channel last."""
    import flax.nnx as nnx
    import jax
    import judge_spyx
    import spyx.nn as snn

    from snnbridge.frameworks import spyx as helper

    r = nnx.Rngs(1)
    nets = {
        "mlp": snn.Sequential(
            nnx.Linear(12, 16, rngs=r), snn.LIF((16,), 0.9, rngs=r),
            nnx.Linear(16, 4, use_bias=False, rngs=r), snn.LIF((4,), 0.8, rngs=r),
        ),
        "conv": snn.Sequential(
            nnx.Conv(1, 4, (3, 3), padding="VALID", rngs=r), snn.IF((6, 6, 4)),
            snn.SumPool((3, 3), (3, 3), "VALID"), snn.Flatten(),
            nnx.Linear(16, 4, use_bias=False, rngs=r), snn.LIF((4,), 0.8, rngs=r),
        ),
        "recurrent": snn.Sequential(
            nnx.Linear(12, 16, rngs=r), snn.RLIF((16,), 0.9, rngs=r),
            nnx.Linear(16, 4, use_bias=False, rngs=r), snn.LIF((4,), 0.8, rngs=r),
        ),
    }  # fmt: skip
    for kind, (maps, *size) in EACH.items():
        nets[kind] = snn.Sequential(
            nnx.Conv(1, maps, (3, 3), padding="VALID", rngs=r), snn.LIF((*size, maps), rngs=r),
            snn.Flatten(), nnx.Linear(math.prod(size) * maps, 4, use_bias=False, rngs=r),
            snn.LIF((4,), 0.8, rngs=r),
        )  # fmt: skip
    for kind, net in nets.items():
        decays = [(layer, layer.beta[...]) for layer in net.layers if hasattr(layer, "beta")]
        state = jax.tree_util.tree_map(
            lambda held: held * 4 if held.ndim > 1 else held, nnx.state(net, nnx.Param)
        )
        nnx.update(net, state)
        for layer, decay in decays:
            layer.beta[...] = decay
        x = (np.random.default_rng(4).random((STEPS, BATCH, *SHAPES[kind])) < 0.4).astype("f4")
        last = np.moveaxis(x, 2, -1)
        out = np.moveaxis(judge_spyx.eager(net, last), -1, 2)
        helper.export(net, folder / f"{kind}.msgpack", input_shape=last.shape[2:])
        np.savez(folder / f"{kind}.npz", input=x, output=out)


def brainpy(folder):
    """Run and save networks of BrainPy in training mode, whose images have the channel last."""
    import brainpy as bp
    import brainpy.math as bm
    import judge_brainpy_pairs

    from snnbridge.frameworks import brainpy as helper

    bm.set_environment(mode=bm.training_mode, dt=1.0)
    bm.random.seed(5)
    soft = {"V_rest": 0.0, "V_reset": 0.0, "V_th": 1.0, "tau": 10.0}
    wide = {"W_initializer": bp.init.Normal(0.0, 8.0)}

    class Recurrent(bp.DynamicalSystem):
        def __init__(self):
            super().__init__()
            self.fc, self.back = bp.dnn.Dense(12, 16, **wide), bp.dnn.Dense(16, 16, **wide)
            self.lif, self.out = bp.dyn.Lif(16, **soft), bp.dnn.Dense(16, 4, **wide)
            self.last = bp.dyn.Lif(4, **soft)

        def update(self, x):
            spikes = self.lif(self.fc(x) + self.back(self.lif.spike.value))
            return self.last(self.out(spikes))

    nets = {
        "mlp": bp.Sequential(
            bp.dnn.Dense(12, 16, **wide), bp.dyn.Lif(16, **soft),
            bp.dnn.Dense(16, 4, **wide), bp.dyn.Lif(4, **soft),
        ),
        "conv": bp.Sequential(
            bp.dnn.Conv2d(1, 4, 3, padding="VALID", w_initializer=bp.init.Normal(0.0, 8.0)),
            bp.dyn.Lif((6, 6, 4), keep_size=True, **soft), bp.dnn.MaxPool2d(3, 3),
            bp.dnn.Flatten(), bp.dnn.Dense(16, 4, **wide), bp.dyn.Lif(4, **soft),
        ),
        "recurrent": Recurrent(),
    }  # fmt: skip
    for kind, (maps, *size) in EACH.items():
        each = {**soft, "tau": bm.asarray(2 + 10 * np.random.default_rng(6).random((*size, maps)))}
        nets[kind] = bp.Sequential(
            bp.dnn.Conv2d(1, maps, 3, padding="VALID", w_initializer=bp.init.Normal(0.0, 8.0)),
            bp.dyn.Lif((*size, maps), keep_size=True, **each), bp.dnn.Flatten(),
            bp.dnn.Dense(math.prod(size) * maps, 4, **wide), bp.dyn.Lif(4, **soft),
        )  # fmt: skip
    for kind, net in nets.items():
        x = (np.random.default_rng(4).random((STEPS, BATCH, *SHAPES[kind])) < 0.4).astype("f4")
        out = judge_brainpy_pairs.run(net, x)
        names = edges_of(net) if kind == "recurrent" else None
        shape = x.shape[3:] + x.shape[2:3] if x.ndim == 5 else None
        helper.export(net, folder / f"{kind}.bp", connections=names, input_shape=shape)
        np.savez(folder / f"{kind}.npz", input=x, output=out)


def edges_of(net):
    """Name the edges of the recurrent network by the names that BrainPy gave its nodes."""
    fc, back, lif, out, last = (x.name for x in (net.fc, net.back, net.lif, net.out, net.last))
    return [(fc, lif), (lif, back, 1), (back, lif), (lif, out), (out, last)]


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    name, folder = sys.argv[1], Path(sys.argv[2])
    if name in ("brainpy", "spyx"):
        globals()[name](folder)
    else:
        on_pytorch(name, folder)
    print(json.dumps(sorted(path.name for path in folder.iterdir())))
