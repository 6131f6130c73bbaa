"""Load files of nets that were expressed into new nets, built by hand, of the same classes.

``judge_fresh.py load FILES`` prints what keeps each file from being loaded with every key;
``diagonal FILE`` how many spikes of a Norse cell with a loaded diagonal differ from its checkpoint;
``spyx FILE`` writes a net of a class of one's own, and says whether its bytes are flax' own.
"""

import json
import sys
from pathlib import Path


def fresh(path):
    """Build a net with the classes that a file names, their arguments the constructors' own."""
    import torch

    from snnbridge import read

    net = read(path)
    modules = {}
    for name, layer in net.layers.items():
        if "." in name:
            continue
        kind = layer.origin.kind if layer.origin else layer.kind
        modules[name] = module(net, name, layer, kind)
    framework = Path(path).stem.partition("-")[0]
    if framework == "rockpool":
        from rockpool.nn.combinators import Sequential

        return Sequential(*modules.values())
    return torch.nn.ModuleDict(modules)


def module(net, name, layer, kind):
    import norse.torch as norse
    import rockpool.nn.modules as rockpool
    import sinabs.layers as sinabs
    import snntorch
    import torch
    from spikingjelly.activation_based import neuron

    if kind in ("Linear", "LinearTorch"):
        bias = "bias" in layer.parameters
        if kind == "LinearTorch":
            return rockpool.LinearTorch(layer.size, has_bias=bias)
        return torch.nn.Linear(*layer.size, bias=bias)
    framework = layer.origin.framework
    if framework == "rockpool":
        more = {"leak_mode": "decays"} if kind == "LIFTorch" else {}
        return getattr(rockpool, kind)(layer.shape[0], **more)
    if framework == "sinabs":
        more = {"tau_syn": 5.0} if f"{name}.synapse" in net.layers else {}
        floor = {"min_v_mem": -1.0} if "v_min" in layer.parameters else {}
        return getattr(sinabs, kind)(tau_mem=10.0, train_alphas=True, **more, **floor)
    if framework == "snntorch":
        more = {"alpha": 0.5} if kind == "Synaptic" else {}
        return getattr(snntorch, kind)(beta=0.5, **more)
    if framework == "norse":
        return getattr(norse, kind)()
    more = {"c_decay": 0.5, "v_decay": 0.5} if kind == "CUBALIFNode" else {}
    return getattr(neuron, kind)(**more)


def load(*files):
    """Say what a strict load of each file complains of."""
    import torch

    found = {}
    for file in files:
        try:
            fresh(file).load_state_dict(torch.load(file, weights_only=True), strict=True)
        except RuntimeError as error:
            found[Path(file).stem] = str(error)
    return found


def diagonal(path):
    """Export a recurrent cell of Norse whose diagonal was loaded; count differing spikes."""
    import norse.torch as norse
    import torch

    from snnbridge import read, simulate
    from snnbridge.frameworks import norse as helper

    torch.manual_seed(0)
    cell = norse.LIFRecurrentCell(4, 6)
    with torch.no_grad():
        cell.recurrent_weights.add_(5 * torch.eye(6))
        x = (torch.rand(50, 2, 4) < 0.5).float() * 3
        helper.export(torch.nn.Sequential(cell), path)
        state, spikes = None, []
        for step in x:
            out, state = cell(step, state)
            spikes.append(out)
    held = torch.stack(spikes).numpy()
    found = simulate(read(path), x.numpy(), record={"0": "spikes"}).spikes["0"]
    return {"spikes": int(held.sum()), "differing": int((held != found).sum())}


def spyx(path):
    """Export a class of one's own with its connections, and without."""
    import warnings

    import spyx.nn as snn
    from flax import nnx, serialization

    from snnbridge import read
    from snnbridge.frameworks import spyx as helper

    class Net(nnx.Module):
        def __init__(self, rngs):
            self.fc1, self.lif1 = nnx.Linear(20, 32, rngs=rngs), snn.CuBaLIF((32,), rngs=rngs)
            self.fc2, self.li = nnx.Linear(32, 4, rngs=rngs), snn.LI((4,), rngs=rngs)

    net = Net(nnx.Rngs(0))
    edges = [("fc1", "lif1"), ("lif1", "fc2"), ("fc2", "li")]
    helper.export(net, path, connections=edges, input_shape=(20,))
    own = serialization.to_bytes(nnx.to_pure_dict(nnx.state(net)))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        helper.checkpoint_of(net)
    return {
        "same": Path(path).read_bytes() == own,
        "unknown": read(path).unknown(),
        "edges": [[c.source, c.target] for c in read(path).connections],
        "warned": [str(w.message) for w in warned],
    }


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
