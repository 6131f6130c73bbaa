"""A state dict as its user saved it, and a spec for what it lacks: the spikes of the real net."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from recorded import FIXTURES, Recorded, book
from snnbridge import Registry, read, rules, simulate, spec
from snnbridge_plugins import torch

REGISTRY = Registry([torch])
FOLDERS = ("snntorch-1.0.0", "spikingjelly-2.0.0", "norse-1.1.0", "sinabs-3.1.3", "rockpool-3.1.0")
CASES = [
    (folder, name)
    for folder in FOLDERS
    for name in book(folder, "networks")[0]["cases"]
    if not name.startswith("recurrent")
]
WINDOW = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
POOL = {"window": [2, 2], "stride": [2, 2], "padding": 0}
PLAIN = {
    "Linear": {},
    "LinearTorch": {},
    "Conv2d": WINDOW,
    "AvgPool2d": {"kind": "AvgPool", **POOL, "count_padding": True},
    "SumPool2d": {"kind": "SumPool", **POOL},
    "Flatten": {"kind": "Flatten", "order": "channels first"},
    "BatchNorm2d": {"epsilon": 1e-5},
}


def spec_of(case, path):
    """Say what a file does not: everything about a case but what the keys tell."""
    held = read(path, registry=REGISTRY)
    entries = case.case["checkpoint"]["entries"]
    names, layers = ["input"], {"input": {"kind": "Input", "shape": list(case.shapes["input"])}}
    for number, made in enumerate(case.case["layers"]):
        name, kind = made["name"], made["class"].rpartition(".")[2]
        if not any(key.startswith(f"{name}.") for key in entries):
            name = next((n for n in (str(number),) if n in held.layers), name)
        if kind in PLAIN:
            names.append(name)
            layers[name] = dict(PLAIN[kind])
            continue
        for own, layer in neurons_of(case, made, name, kind, held, entries):
            names.append(own)
            layers[own] = layer
    dt = f"{case.dt.value} s" if hasattr(case.dt, "value") and case.case.get("dt") else "per step"
    return {"dt": dt, "chains": [names], "layers": layers}


def neurons_of(case, made, name, kind, held, entries):
    """Give the synapse, if any, and the neuron: what is in no key of the module."""
    known = rules.get(case.framework, kind)
    given = case.arguments(made)
    stated = {key.rpartition(".")[2] for key in entries if key.startswith(f"{name}.")}
    case.read_parameters(made["name"], given)
    if case.framework == "rockpool":
        case.rockpool(made["name"], kind, given)
    for own, table in ((f"{name}.synapse", known.synapse), (name, known)):
        if table is None or (
            table.kind.endswith(".synapse") and known.synapse_if and not given.get(known.synapse_if)
        ):
            continue
        found = {k: plain(v) for k, v in given.items() if k in table.arguments and k not in stated}
        found = {k: v for k, v in found.items() if v is not None or k == "v_reset"}
        if "max_spikes_per_dt" in table.arguments:
            found.setdefault("max_spikes_per_dt", 65536)
        if case.framework == "rockpool":  # several synapses per neuron: no size follows
            found["shape"] = list(case.seen(f"{name}.spikes").shape[2:])
        if own not in held.layers:
            layer = "Synapse" if table.kind.endswith(".synapse") else "Neuron"
            found |= {"kind": layer, "class": f"{case.framework}.{table.kind}"}
        yield own, found


def plain(value):
    if isinstance(value, dict):
        kind = value["class"].rpartition(".")[2]
        rest = [v for k, v in value.items() if k != "class"]
        return int(rest[0]) if kind == "MaxSpike" else (kind, rest[0])
    if isinstance(value, str):
        return value.rpartition(".")[2]
    return value.tolist() if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize(("folder", "name"), CASES)
def test_a_plain_state_dict_and_a_spec_do_what_the_net_did(folder, name, tmp_path):
    case = Recorded(folder, "networks", name)
    path = FIXTURES / folder / case.case["checkpoint"]["file"]
    checkpoint = read(path, registry=REGISTRY, spec=spec_of(case, path))
    last = case.case["layers"][-1]["name"]
    end = checkpoint.connections[-1].target
    if f"{last}.spikes" in case.arrays:
        found = simulate(checkpoint, case.seen("input"), record={end: "spikes"}).spikes[end]
        assert np.array_equal(found, case.seen(f"{last}.spikes"))
    else:  # a readout
        found = simulate(checkpoint, case.seen("input"), record={end: "v"}).traces[end, "v"]
        assert np.allclose(found, case.seen(f"{last}.v"), rtol=1e-5, atol=1e-6)


def saved(path, **tensors):
    save_file(tensors, path)
    return path


def test_a_file_without_the_keys_of_a_neuron_says_how_to_add_one(tmp_path):
    path = saved(tmp_path / "net.safetensors", **{"fc.weight": np.zeros((2, 3), np.float32)})
    form = spec.skeleton(read(path, registry=REGISTRY))
    assert '[layers.lif1] with class = "norse.LIFCell"' in form


def test_what_no_key_of_a_class_holds_is_unknown(tmp_path):
    path = saved(tmp_path / "net.safetensors", **{"plif.w": np.zeros((), np.float32)})
    checkpoint = read(path, registry=REGISTRY)
    assert ("layers", "plif", "threshold") in checkpoint.unknown()


def test_a_spec_adds_the_neurons_and_the_currents_of_norse(tmp_path):
    weight = np.linspace(-1, 2, 12, dtype=np.float32).reshape(4, 3)
    path = saved(tmp_path / "net.safetensors", **{"fc.weight": weight})
    lif = {"class": "norse.LIFCell", "defaults": True, "tau_mem_inv": 300.0}
    stated = {"dt": "1 ms", "chains": [["fc", "lif"]], "layers": {"lif": lif}}
    checkpoint = read(path, registry=REGISTRY, spec=stated)
    x = (np.random.default_rng(0).random((60, 1, 3)) < 0.5).astype(np.float32)
    found = simulate(checkpoint, x, record={"lif": "spikes"}).spikes["lif"]
    v, i, spikes = np.zeros((2, 1, 4), np.float32)[0], np.zeros((1, 4), np.float32), []
    for step in x:
        i = i + step @ weight.T
        v = v + np.float32(0.001) * np.float32(300) * (-v + i)
        i = i - np.float32(0.001) * np.float32(200) * i
        spikes.append(v > 1)
        v = np.where(v > 1, np.float32(0), v)
    assert found.any()
    assert np.array_equal(found.astype(bool), np.array(spikes))
