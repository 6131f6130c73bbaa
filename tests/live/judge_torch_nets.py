"""Nets as people write them, exported beside their frameworks: ``python judge_torch_nets.py ...``.

``exported`` saves each net of `NETS` where it is called, runs it, builds it anew and runs that;
``told`` says what `export` tells of each net of `CASES`.
"""

import copy
import json
import sys
import warnings
from importlib import import_module
from pathlib import Path

import judge_torch as judge
import numpy as np
import snntorch as snn
import torch
import torch.nn.functional as F
from judge_torch import (
    STEPS,
    all_at_once,
    dyadic,
    first,
    run_batch_first,
    run_squeezed,
    spikes,
)
from torch import nn


def leaky(**more):
    return snn.Leaky(**{"beta": 0.5, "threshold": 0.25, "reset_mechanism": "zero", **more})


class Loop(nn.Module):
    """A net in the way of snnTorch's tutorials: modules by name, and what one step does."""

    def __init__(self, step, start=None, **modules):
        super().__init__()
        self.step, self.start = step, start
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x):
        for module in self.modules():
            if hasattr(module, "reset_mem"):
                module.reset_mem()
        frames = x if self.start is None else [self.start(self, x)] * STEPS
        return torch.stack([self.step(self, frame) for frame in frames])


def fire(neuron, x):
    """Run a neuron that keeps its own state."""
    return first(neuron(x))


def stepwise(net):
    return lambda x: all_at_once(net, x)


# Nets: each gives (net, input, function of the input, arguments of export and of build)


def snntorch_direct():
    """Images that a convolution sees once, before the loop."""
    net = dyadic(Loop(
        lambda net, x: fire(net.lif2, net.fc(fire(net.lif1, x).flatten(1))),
        start=lambda net, x: net.pool(net.conv(x)),
        conv=nn.Conv2d(1, 2, 3), pool=nn.MaxPool2d(2), lif1=leaky(), fc=nn.Linear(18, 4),
        lif2=leaky(),
    ))  # fmt: skip
    x = spikes(1, 8, 8)[:1].expand(STEPS, -1, -1, -1, -1).contiguous()
    return net, x, lambda x: all_at_once(net, x[0]), {"sample": x[0]}, {}


def snntorch_one_pool():
    """One pool behind two convolutions, and tied weights."""
    fc = nn.Linear(8, 8)

    def step(net, x):
        x = fire(net.lif1, net.pool(net.conv1(x)))
        x = fire(net.lif2, net.pool(net.conv2(x)))
        x = fire(net.lif3, net.fc(x.flatten(1)))
        return fire(net.lif4, net.fc(x))

    net = dyadic(Loop(
        step, conv1=nn.Conv2d(1, 2, 3), lif1=leaky(), pool=nn.MaxPool2d(2),
        conv2=nn.Conv2d(2, 2, 3, padding=1), lif2=leaky(), fc=fc, lif3=leaky(), lif4=leaky(),
    ))  # fmt: skip
    x = spikes(1, 10, 10)
    return net, x, stepwise(net), {"sample": x}, {}


def snntorch_tied():
    fc = nn.Linear(5, 5)
    net = nn.Sequential(fc, leaky(init_hidden=True), fc, leaky(init_hidden=True, output=True))
    return dyadic(net), spikes(5), judge.run_snntorch(net), {}, {}


def snntorch_modules():
    """Each kind of module that stands between neurons."""
    net = dyadic(nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.AvgPool2d(2, divisor_override=1),
        leaky(init_hidden=True), nn.AdaptiveAvgPool2d(2), nn.Dropout(0.5), nn.Flatten(),
        nn.Linear(8, 4), nn.BatchNorm1d(4, affine=False), leaky(init_hidden=True),
        nn.Identity(), nn.Linear(4, 3),
        leaky(init_hidden=True, output=True),
    ))  # fmt: skip
    x = spikes(1, 10, 10)
    net.train()
    net(x[0])
    net.eval()
    for module in net:
        if hasattr(module, "reset_mem"):
            module.reset_mem()
    run = judge.run_snntorch(copy.deepcopy(net))
    return net.train(), x, run, {"sample": x[0]}, {}


def snntorch_one_axis():
    net = dyadic(nn.Sequential(
        nn.Conv1d(2, 3, 3), nn.MaxPool1d(2), leaky(init_hidden=True), nn.AvgPool1d(2), nn.Flatten(),
        nn.Linear(6, 3), leaky(init_hidden=True, output=True),
    ))  # fmt: skip
    x = spikes(2, 10)
    return net, x, judge.run_snntorch(copy.deepcopy(net)), {"sample": x[0]}, {}


def snntorch_own_recurrence():
    """A loop that the net's own forward closes, with the reset that RLeaky has, too."""

    def step(net, x):
        net.last = fire(net.lif, net.fc(x) + net.rec(net.last))
        return net.last

    net = dyadic(Loop(
        step, fc=nn.Linear(6, 5), rec=nn.Linear(5, 5, bias=False),
        lif=leaky(reset_mechanism="subtract"),
    ))  # fmt: skip

    def run(x):
        net.last = torch.zeros(x.shape[1], 5)
        return all_at_once(net, x)

    edges = [("fc", "lif"), ("lif", "rec", 1), ("rec", "lif")]
    return net, spikes(6), run, {"connections": edges}, {}


def snntorch_functions():
    """Pools that are no modules, as snnTorch's tutorials write them."""

    def step(net, x):
        x = fire(net.lif1, F.max_pool2d(net.conv1(x), 2))
        x = fire(net.lif2, F.avg_pool2d(net.conv2(x), kernel_size=2, stride=1))
        x = fire(net.lif3, F.avg_pool2d(x, 2, divisor_override=1))
        x = F.adaptive_avg_pool2d(F.adaptive_avg_pool2d(x, (2, 1)), 1)
        return fire(net.lif4, net.fc(x.view(x.shape[0], -1)))

    net = dyadic(Loop(
        step, conv1=nn.Conv2d(1, 2, 3), lif1=leaky(), conv2=nn.Conv2d(2, 2, 3, padding=1),
        lif2=leaky(), lif3=leaky(), fc=nn.Linear(2, 4), lif4=leaky(),
    ))  # fmt: skip
    x = spikes(1, 12, 12)
    return net, x, stepwise(net), {"sample": x}, {}


def snntorch_loop_from_zeros():
    """A loop that the net's own forward closes over the steps, from zeros."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.rec = nn.Linear(6, 5), nn.Linear(5, 5)
            self.lif = leaky(reset_mechanism="subtract")

        def forward(self, x):
            spk, mem, found = torch.zeros(x.shape[1], 5), self.lif.init_leaky(), []
            for frame in x:
                spk, mem = self.lif(self.fc(frame) + self.rec(spk), mem)
                found.append(spk)
            return torch.stack(found)

    net = dyadic(Net())
    x = spikes(6)
    return net, x, net, {"sample": x}, {}


def snntorch_residual():
    """Spikes that jump over a layer: added to a current in place, and to spikes."""

    def step(net, x):
        one = fire(net.lif1, net.conv1(x))
        current = net.conv2(one)
        current += one
        two = fire(net.lif2, current)
        three = fire(net.lif3, net.conv3(two)) + two
        return fire(net.lif4, net.fc(three.flatten(1)))

    net = dyadic(Loop(
        step, conv1=nn.Conv2d(1, 2, 3), lif1=leaky(), conv2=nn.Conv2d(2, 2, 3, padding=1),
        lif2=leaky(), conv3=nn.Conv2d(2, 2, 3, padding=1), lif3=leaky(), fc=nn.Linear(32, 4),
        lif4=leaky(),
    ))  # fmt: skip
    x = spikes(1, 6, 6)
    return net, x, stepwise(net), {"sample": x}, {}


def snntorch_lapicque():
    net = dyadic(nn.Sequential(nn.Linear(6, 5), snn.Lapicque(R=4.0, C=2.0, init_hidden=True)))
    return net, spikes(6), judge.run_snntorch(net), {}, {}


def snntorch_subclass():
    class Mine(snn.Leaky):
        """No other neuron."""

    net = nn.Sequential(nn.Linear(6, 5), Mine(0.5, reset_mechanism="zero", init_hidden=True))
    return dyadic(net), spikes(6), judge.run_snntorch(net), {}, {}


def snntorch_normed_weights():
    norm = nn.utils.parametrizations.weight_norm
    net = nn.Sequential(norm(nn.Linear(6, 5)), leaky(init_hidden=True))
    return net, spikes(6), judge.run_snntorch(net), {}, {}


def norse_over_time():
    import norse.torch as norse

    p, dt = norse.LIFParameters(v_th=torch.as_tensor(0.25)), 2.0**-10

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.fc = norse.LIFRecurrent(6, 5, p, dt=dt), nn.Linear(5, 3)
            self.last = norse.IAF(dt=dt)

        def forward(self, x):
            return self.last(self.fc(self.first(x)[0]))[0]

    net = dyadic(Net())
    x = spikes(6)
    return net, x, stepwise(net), {"sample": x}, {}


def norse_over_time_then_by_step():
    import norse.torch as norse

    p, dt = norse.LIFParameters(v_th=torch.as_tensor(0.25)), 2.0**-10

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = norse.LIFRecurrent(6, 5, p, dt=dt), norse.IAFCell(dt=dt)
            self.fc = nn.Linear(5, 3)

        def forward(self, x):
            frames, state, found = self.fc(self.first(x)[0]), None, []
            for n in range(len(frames)):
                out, state = self.last(frames[n], state)
                found.append(out)
            return torch.stack(found)

    net = dyadic(Net())
    x = spikes(6)
    return net, x, stepwise(net), {"sample": x}, {}


def analog():
    return dyadic(nn.Sequential(
        nn.Conv2d(1, 2, 3, bias=False), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(18, 4),
        nn.ReLU(),
    ))  # fmt: skip


def sinabs_from_model():
    from sinabs.from_torch import from_model

    net = from_model(analog(), input_shape=(1, 8, 8), num_timesteps=STEPS, spike_threshold=0.25)
    x = spikes(1, 8, 8)
    sample = x.transpose(0, 1).flatten(0, 1)
    return net, x, run_squeezed(net), {"sample": sample}, {"num_timesteps": STEPS}


def sinabs_images():
    """Images for neurons that know an axis of time, beside modules that do not."""
    import sinabs.layers as sl

    net = dyadic(nn.Sequential(
        sl.Repeat(nn.Conv2d(1, 2, 3)), sl.IAF(spike_threshold=0.5), sl.Repeat(sl.SumPool2d(2)),
        sl.Repeat(nn.Flatten()), nn.Linear(18, 4), sl.LIF(tau_mem=10.0, norm_input=False),
    ))  # fmt: skip
    x = spikes(1, 8, 8)
    return net, x, run_batch_first(net), {"sample": x.transpose(0, 1)}, {}


def sinabs_merged():
    """Two ways that sinabs' own module joins."""
    import sinabs.layers as sl

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1, self.fc2, self.merge = nn.Linear(6, 5), nn.Linear(6, 5), sl.Merge()
            self.first, self.last = sl.IAF(spike_threshold=0.5), sl.IAF(spike_threshold=0.5)

        def forward(self, x):
            return self.last(self.merge(self.first(self.fc1(x)), self.fc2(x)))

    net = dyadic(Net())
    x = spikes(6)
    return net, x, run_batch_first(net), {"sample": x.transpose(0, 1)}, {}


def spikingjelly_residual():
    """A block that adds its input to its spikes, all steps in one call."""
    from spikingjelly.activation_based import functional, layer, neuron

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = layer.Conv2d(2, 2, 3, padding=1), layer.BatchNorm2d(2)
            self.sn = neuron.IFNode(v_threshold=0.25)

        def forward(self, x):
            return x + self.sn(self.norm(self.conv(x)))

    net = dyadic(nn.Sequential(
        layer.Conv2d(1, 2, 3), neuron.IFNode(v_threshold=0.25), Block(), Block(),
        layer.Flatten(), layer.Linear(72, 4), neuron.IFNode(v_threshold=0.25),
    )).eval()  # fmt: skip
    functional.set_step_mode(net, "m")
    x = spikes(1, 8, 8)

    def run(x):
        functional.reset_net(net)
        return net(x)

    return net, x, run, {"sample": x}, {}


def spikingjelly_normed():
    from spikingjelly.activation_based import layer, neuron

    norm = layer.ThresholdDependentBatchNorm2d(1.0, 0.5, 2)
    net = dyadic(nn.Sequential(
        layer.Conv2d(1, 2, 3), norm, neuron.LIFNode(v_threshold=0.25),
        layer.SeqToANNContainer(nn.Flatten(), nn.Linear(72, 4)), neuron.IFNode(v_threshold=0.25),
    )).eval()  # fmt: skip
    x = spikes(1, 8, 8)
    run = judge.run_spikingjelly(net[:3]), judge.run_spikingjelly(net[4:])
    return net, x, lambda x: run[1](net[3](run[0](x))), {"sample": x}, {}


NETS = (
    snntorch_direct, snntorch_one_pool, snntorch_tied, snntorch_modules, snntorch_one_axis,
    snntorch_own_recurrence, snntorch_functions, snntorch_loop_from_zeros, snntorch_residual,
    snntorch_lapicque, snntorch_subclass, snntorch_normed_weights, norse_over_time,
    norse_over_time_then_by_step, sinabs_from_model, sinabs_images, sinabs_merged,
    spikingjelly_normed, spikingjelly_residual,
)  # fmt: skip


def exported():
    return {make.__name__: one(make, Path(make.__name__)) for make in NETS}


def one(make, folder):
    from snnbridge import read

    torch.manual_seed(1)
    folder.mkdir()
    net, x, run, arguments, more = make()
    framework = make.__name__.partition("_")[0]
    helper = import_module(f"snnbridge.frameworks.{framework}")
    before = [] if "connections" in arguments else snapshot(net)
    helper.export(net, folder / "net.pt", **arguments)
    changed = [] if "connections" in arguments else differing(before, snapshot(net))
    out = run(x)
    np.savez(folder / "run.npz", input=x.numpy(), output=out.detach().numpy())
    built = helper.build(read(folder / "net.pt"), **more)
    again = run_squeezed if more else judge.RUNS[framework]
    wrong = int((again(built)(x) != out).sum())
    return {"changed": changed, "differing": wrong}


def snapshot(net):
    """Return all that a run may change: states, statistics, modes and hooks."""
    found = {"random": torch.get_rng_state()}
    for name, module in net.named_modules():
        found[f"{name}.training"] = module.training
        found[f"{name}.hooks"] = list(module._forward_hooks)
        for key, value in {**vars(module), **vars(module).get("_memories", {})}.items():
            found[f"{name}.{key}"] = value
        found |= {f"{name}.{key}": x.clone() for key, x in module._buffers.items() if x is not None}
    return found


def differing(before, after):
    same = {k for k in before if k in after and alike(before[k], after[k])}
    return sorted({*before, *after} - same)


def alike(a, b):
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a, b)
    return a is b or (not isinstance(a, dict) and a == b) or isinstance(a, dict)


# Cases: each gives a net, and the arguments of export


def chain(*modules):
    return nn.Sequential(nn.Linear(6, 5), *modules, leaky(init_hidden=True)), {}


def image(*modules):
    return nn.Sequential(nn.Conv2d(1, 2, 3), *modules, leaky(init_hidden=True)), {}


def loop(step, **more):
    net = Loop(step, fc1=nn.Linear(6, 5), lif1=leaky(), fc2=nn.Linear(5, 5), lif2=leaky(), **more)
    return net, {"sample": spikes(6)}


class Leaky(nn.Module):
    """A neuron of one's own with a known name."""

    def forward(self, x):
        return (x > 0.5).float()


class Louder(snn.Leaky):
    """A neuron that does something else."""

    def forward(self, x, mem=None):
        return super().forward(2 * x, mem)


def shared_in_a_chain():
    lif = leaky(init_hidden=True)
    return nn.Sequential(nn.Linear(6, 6), lif, nn.Linear(6, 6), lif), {}


def two_parts(net, x):
    a = net.fc1(x)
    return fire(net.lif1, a[:, ::2])


def now_and_then(net, x):
    """Take the spikes of this step, and in every other step those of the one before."""
    count, last = getattr(net, "held", (0, None))
    spikes = fire(net.lif1, net.fc1(x))
    net.held = count + 1, spikes
    return fire(net.lif2, net.fc2(last if count % 2 else spikes))


def noisy():
    from rockpool.nn.combinators import Sequential
    from rockpool.nn.modules import LIFTorch, LinearTorch

    return Sequential(LinearTorch((6, 5)), LIFTorch((5,), noise_std=0.5)), {}


def odd_spikes():
    import sinabs.layers as sl

    class Own:
        """A spike function."""

    return nn.Sequential(nn.Linear(6, 5), sl.IAF(spike_fn=Own)), {}


class Steps(nn.Module):
    """A net that hands on the states of its neurons, changed between two steps."""

    def __init__(self, change, neuron=None):
        super().__init__()
        self.fc, self.lif = nn.Linear(6, 5), neuron or leaky()
        self.change = change

    def forward(self, x):
        state, found = None, []
        for n, frame in enumerate(x):
            spk, state = self.lif(self.fc(frame), state)
            state = self.change(spk, state, n)
            found.append(spk)
        return torch.stack(found)


def stepping(change, neuron=None):
    return Steps(change, neuron), {"sample": spikes(6)}


def changed_in_place(spk, state, n):
    return state.mul_(0.5)


def norse_cell():
    import norse.torch as norse

    return norse.LIFBoxCell(dt=2.0**-10)


def fed_by_potential():
    def step(net, x):
        _, mem = net.lif1(net.fc1(x))
        return fire(net.lif2, net.fc2(mem))

    return loop(step)


def no_sample():
    net, _ = loop(lambda net, x: fire(net.lif1, net.fc1(x)))
    return net, {}


def one_step_from_zeros():
    net, _ = loop(lambda net, x: fire(net.lif1, net.fc1(x) + net.fc2(torch.zeros(len(x), 5))))
    return net, {"sample": spikes(6)[:1]}


def with_edges(*edges):
    net, _ = loop(lambda net, x: fire(net.lif1, net.fc1(x)))
    return net, {"connections": edges}


CASES = {
    "shared neuron": lambda: loop(
        lambda net, x: fire(net.lif1, net.fc2(fire(net.lif1, net.fc1(x))))
    ),
    "shared neuron in a chain": shared_in_a_chain,
    "changed in place": lambda: loop(
        lambda net, x: fire(net.lif1, F.relu(net.fc1(x), inplace=True))
    ),
    "scaled in place": lambda: loop(lambda net, x: fire(net.lif1, net.fc1(x).mul_(2))),
    "transposed": lambda: loop(lambda net, x: fire(net.lif1, net.fc1(x).t())),
    "a part": lambda: loop(two_parts),
    "a function": lambda: loop(lambda net, x: fire(net.lif1, 0.5 * net.fc1(x))),
    "a scaled input": lambda: loop(lambda net, x: fire(net.lif1, net.fc1(0.5 * x))),
    "now and then": lambda: loop(now_and_then),
    "spread": lambda: loop(lambda net, x: fire(net.lif1, net.fc1(x) + net.fc1(x)[:1])),
    "twice": lambda: loop(lambda net, x: fire(net.lif1, (y := net.fc1(x)) + y)),
    "more of it": lambda: loop(
        lambda net, x: fire(net.lif2, torch.add(net.fc1(x), net.fc2(x[..., :5]), alpha=2))
    ),
    "zeros": one_step_from_zeros,
    "random": lambda: loop(lambda net, x: fire(net.lif1, F.dropout(net.fc1(x)))),
    "own reset": lambda: stepping(lambda spk, state, n: state - 0.4 * spk),
    "own leak": lambda: stepping(changed_in_place),
    "now and then zero": lambda: stepping(
        lambda spk, state, n: torch.zeros_like(state) if n == 3 else state
    ),
    "begun anew": lambda: stepping(lambda spk, state, n: None, norse_cell()),
    "handed on": lambda: stepping(lambda spk, state, n: state.detach().clone()),
    "potential": fed_by_potential,
    "copied": lambda: loop(lambda net, x: fire(net.lif1, net.fc1(x.double().float()).clone())),
    "no sample": no_sample,
    "unused": lambda: loop(lambda net, x: fire(net.lif1, net.fc1(x))),
    "input": lambda: with_edges(("input", "fc1"), ("fc1", "lif1")),
    "no module": lambda: with_edges(("fc1", "lif")),
    "no edge": lambda: with_edges("fc1"),
    "state_quant": lambda: chain(leaky(init_hidden=True, state_quant=lambda mem: mem)),
    "inhibition": lambda: chain(leaky(init_hidden=True, inhibition=True)),
    "dilation": lambda: image(nn.MaxPool2d(2, dilation=2)),
    "ceil_mode": lambda: image(nn.MaxPool2d(2, ceil_mode=True)),
    "divisor_override": lambda: image(nn.AvgPool2d(2, divisor_override=3)),
    "padding_mode": lambda: image(nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular")),
    "track_running_stats": lambda: image(nn.BatchNorm2d(2, track_running_stats=False)),
    "start_dim": lambda: chain(nn.Flatten(0)),
    "overlapping": lambda: (image(nn.AdaptiveAvgPool2d(4))[0], {"sample": spikes(1, 9, 9)[0]}),
    "adaptive": lambda: image(nn.AdaptiveAvgPool2d(3)),
    "noise": noisy,
    "spike_fn": odd_spikes,
    "relu": lambda: chain(nn.ReLU()),
    "own class": lambda: chain(Leaky()),
    "own forward": lambda: chain(Louder(0.5, init_hidden=True)),
    "dropout": lambda: chain(nn.Dropout(0.25)),
    "images": lambda: image(),
}
FRAMEWORKS = {"begun anew": "norse", "noise": "rockpool", "spike_fn": "sinabs"}


def told():
    return {name: said(name, case) for name, case in CASES.items()}


def said(name, case):
    """Return what `export` says of a net: its error, its warnings and its lines."""
    net, arguments = case()
    helper = import_module(f"snnbridge.frameworks.{FRAMEWORKS.get(name, 'snntorch')}")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            ledger = helper.export(net, "case.pt", **arguments)
        except ValueError as error:
            return {"error": str(error)}
    own = [str(w.message) for w in caught if w.category is UserWarning]
    lines = [f"{entry.what}: {entry.reason}" for entry in ledger.told]
    return {"error": "", "warnings": own, "lines": lines, "losses": len(ledger.losses)}


def trained():
    """Return what a net trains, and what the one trains that is built of it; frozen by name too."""
    from snnbridge import read
    from snnbridge.frameworks import sinabs, snntorch

    net = nn.Sequential(
        nn.Linear(6, 5),
        leaky(init_hidden=True, learn_beta=True, learn_threshold=True),
        nn.Linear(5, 4, bias=False),
        snn.Synaptic(alpha=0.5, beta=0.5, learn_alpha=True, init_hidden=True),
    )
    net[0].weight.requires_grad_(False)
    snntorch.export(net, "trained.pt")
    checkpoint = read("trained.pt")
    found = [names(net), names(snntorch.build(checkpoint))]
    checkpoint.frozen_layers = ["0", "2"]
    found.append(names(snntorch.build(checkpoint)))
    import sinabs.layers as sl

    net = nn.Sequential(nn.Linear(6, 5), sl.LIF(tau_mem=10.0, tau_syn=5.0))
    net[1].tau_syn.requires_grad_(False)
    sinabs.export(net, "trained.pt")
    return [*found, names(net), names(sinabs.build(read("trained.pt")))]


def names(net):
    return sorted(name for name, held in net.named_parameters() if held.requires_grad)


def refused():
    """Return what is said where a net cannot be built, or is given another shape."""
    from snnbridge import read

    found = []
    net, _, _, arguments, _ = sinabs_from_model()
    helper = import_module("snnbridge.frameworks.sinabs")
    helper.export(net, "refused.pt", **arguments)
    found.append(error_of(lambda: helper.build(read("refused.pt"))))
    net, x, _, arguments, _ = sinabs_images()
    helper.export(net, "refused.pt", **arguments)
    built = helper.build(read("refused.pt"))
    found.append(error_of(lambda: built(x.transpose(0, 1).flatten(0, 1))))
    net, _, _, arguments, _ = snntorch_own_recurrence()
    net.lif = leaky()
    helper = import_module("snnbridge.frameworks.snntorch")
    helper.export(net, "refused.pt", **arguments)
    found.append(error_of(lambda: helper.build(read("refused.pt"))))
    helper.export(chain(nn.ReLU())[0], "refused.pt")
    found.append(error_of(lambda: helper.build(read("refused.pt"))))
    return found


def error_of(function):
    from snnbridge import SNNBridgeError

    try:
        function()
    except (ValueError, RuntimeError, SNNBridgeError) as error:
        return str(error)
    return ""


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    action, arguments = sys.argv[1:3]
    torch.manual_seed(0)
    print(json.dumps(globals()[action](**json.loads(arguments))))
