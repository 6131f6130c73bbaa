"""Runs beside Rockpool: saves, loads and runs its nets."""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from rockpool.nn.combinators import Sequential
from rockpool.nn.modules import ExpSynTorch, LIFNeuronTorch, LIFTorch, LinearTorch


def mlp():
    return (
        LinearTorch((6, 5), has_bias=True), LIFTorch((5,), dt=1e-3, threshold=2.0),
        LinearTorch((5, 3)), LIFNeuronTorch((3,), dt=1e-3, threshold=0.5),
    )  # fmt: skip


def recurrent():
    return (
        LinearTorch((6, 5)), LIFTorch((5,), has_rec=True, threshold=2.0),
        LinearTorch((5, 6)), LIFTorch((6, 3), leak_mode="decays", threshold=2.0),
    )  # fmt: skip


def readout():
    return LinearTorch((6, 4)), LIFTorch((4,), leak_mode="bitshifts"), ExpSynTorch((4,))


NETS = {"mlp": mlp, "recurrent": recurrent, "readout": readout}


def fresh(name):
    net = Sequential(*NETS[name]())
    with torch.no_grad():
        for key, held in net.named_parameters():
            if key.rpartition(".")[2] in ("weight", "w_rec"):
                held.copy_((held.clamp(-1, 1) * 128).round() / 64)
    return net


def run(net, x):
    net.reset_state()
    with torch.no_grad():
        return net(x.transpose(0, 1))[0].transpose(0, 1).numpy()


def save(name, folder):
    """Save a net by Rockpool's own method, with its input and its output."""
    torch.manual_seed(1)
    net = fresh(name)
    x = (torch.rand(40, 4, 6) < 0.4).float()
    net.save(str(Path(folder, "net.json")))
    np.savez(Path(folder, "run.npz"), input=x.numpy(), output=run(net, x))
    return list(net.modules())


def load(name, folder, file):
    """Load a file into a fresh net by Rockpool's own method; count what differs."""
    torch.manual_seed(2)
    net = fresh(name)
    net.load(str(Path(folder, file)))
    held = np.load(Path(folder, "run.npz"))
    return int((run(net, torch.from_numpy(held["input"])) != held["output"]).sum())


if __name__ == "__main__":
    action, arguments = sys.argv[1:3]
    print(json.dumps(globals()[action](**json.loads(arguments))))
