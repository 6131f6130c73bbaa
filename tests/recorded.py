"""Recordings of real frameworks as networks of the model, for the simulator to reproduce."""

from __future__ import annotations

import itertools
import json
from functools import cache
from pathlib import Path

import numpy as np

from snnbridge import rules
from snnbridge.model import (
    PER_STEP,
    AvgPool,
    BatchNorm,
    Connection,
    Conv2d,
    Flatten,
    Input,
    Linear,
    Neuron,
    Quantity,
    Scale,
    SNNCheckpoint,
    SumPool,
    Synapse,
)

FIXTURES = Path(__file__).parent.parent / "fixtures"
#: What no rule of the model says: (framework, first words of a case).
OUTSIDE = {
    "snntorch": ("Leaky.inhibition",),  # a neuron that silences all others
    "spikingjelly": ("SynapseFilter",),  # a filter that decays where its input is not 1
    # A reset that adds its value at every step; a readout shown before its lower bound.
    "sinabs": ("LIF.reset_value", "ExpLeak.min_v_mem"),
}


@cache
def book(folder, name):
    base = FIXTURES / folder / "behaviour" / name
    with np.load(f"{base}.npz") as held:
        arrays = {key: held[key] for key in held.files}
    return json.loads(Path(f"{base}.json").read_text(encoding="utf-8")), arrays


def cases():
    """Yield (folder, book, case) of everything that is recorded and has a rule."""
    for path in sorted(FIXTURES.glob("*/behaviour/*.json")):
        folder, framework = path.parent.parent.name, path.parent.parent.name.rpartition("-")[0]
        for name in book(folder, path.stem)[0]["cases"]:
            if not name.startswith(OUTSIDE.get(framework, ("-",))):
                yield folder, path.stem, name


class Recorded:
    """One case: its network, its input, and what was recorded of each layer."""

    def __init__(self, folder, stem, name):
        head, stored = book(folder, stem)
        self.framework, self.case = head["framework"], head["cases"][name]
        self.constructors = head["constructors"]
        same = self.case.get("same_as", {})
        self.arrays = {k: stored[same.get(k, f"{name}/{k}")] for k in self.case["arrays"]}
        self.dyadic = self.case["dyadic"]
        self.images_last = self.framework == "spyx" and self.arrays["input"].ndim == 5
        self.layers, self.edges, self.feedback, self.first = {}, [], [], {}
        self.dt = PER_STEP
        x = self.seen("input")
        self.layers["input"] = Input("input", x.shape[2:])
        self.shapes = {"input": x.shape[2:]}
        for made in self.case["layers"]:
            self.add(made)
        for source, target, delay in self.case["connections"]:
            self.connect(source, target, delay)
        self.net = SNNCheckpoint(self.layers, connections=self.edges + self.feedback, dt=self.dt)

    def seen(self, key):
        """Return a recorded array, channels first."""
        x = self.arrays[key]
        return np.moveaxis(x, -1, 2) if self.images_last and x.ndim == 5 else x

    def arguments(self, made):
        given = {**self.constructors.get(made["class"], {}), **made["arguments"]}
        flat = dict(given)
        while isinstance(flat.get("p") or flat.get("lif"), dict):
            flat |= flat.pop("p", None) or flat.pop("lif")
        return flat

    # Layers

    def add(self, made):
        kind = made["class"].rpartition(".")[2]
        maker = getattr(self, f"add_{kind}", None)
        if maker is not None:
            maker(made["name"], self.arguments(made))
            return
        self.neuron(made["name"], kind, self.arguments(made))

    def put(self, layer, shape):
        self.layers[layer.name] = layer
        self.shapes[layer.name] = shape

    def source_shape(self, name):
        return next(self.shapes[s] for s, t, _ in self.case["connections"] if t == name)

    def add_Linear(self, name, given):
        weight, bias = self.arrays.get(f"{name}.weight"), self.arrays.get(f"{name}.bias")
        if weight is None:
            weight = self.arrays[f"{name}.kernel"].T
        self.put(Linear(name, weight, bias), weight.shape[:1])

    def add_LinearTorch(self, name, given):
        weight = self.arrays[f"{name}.weight"].T
        self.put(Linear(name, weight, self.arrays.get(f"{name}.bias")), weight.shape[:1])

    def add_Conv2d(self, name, given):
        self.conv(name, self.arrays[f"{name}.weight"])

    def add_Conv(self, name, given):
        self.conv(name, self.arrays[f"{name}.kernel"].transpose(3, 2, 0, 1))

    def conv(self, name, weight, padding=0):
        options = {"stride": 1, "padding": padding, "dilation": 1, "groups": 1}
        _, height, width = self.source_shape(name)
        less = np.array(weight.shape[2:]) - 1 - 2 * padding
        layer = Conv2d(name, weight, self.arrays[f"{name}.bias"], **options)
        self.put(layer, (weight.shape[0], height - less[0], width - less[1]))

    def add_AvgPool2d(self, name, given):
        self.pool(AvgPool, name, count_padding=True)

    def add_SumPool2d(self, name, given):
        self.pool(SumPool, name)

    add_SumPool = add_SumPool2d

    def pool(self, kind, name, **more):
        channels, height, width = self.source_shape(name)
        layer = kind(name, window=(2, 2), stride=(2, 2), padding=0, **more)
        self.put(layer, (channels, height // 2, width // 2))

    def add_Flatten(self, name, given):
        order = "channels last" if self.images_last else "channels first"
        self.put(Flatten(name, order=order), (int(np.prod(self.source_shape(name))),))

    def add_BatchNorm2d(self, name, given):
        stored = ("running_mean", "running_var", "weight", "bias")
        layer = BatchNorm(name, *(self.arrays[f"{name}.{k}"] for k in stored), epsilon=given["eps"])
        self.put(layer, self.source_shape(name))

    def add_LinearRecurrentContainer(self, name, given):
        weight, n = self.arrays[f"{name}.weight"], given["in_features"]
        self.put(Linear(name, weight[:, :n], self.arrays[f"{name}.bias"]), weight.shape[:1])
        self.put(Linear(f"{name}.feedback", weight[:, n:]), weight.shape[:1])
        self.edges.append(Connection(f"{name}.feedback", "sub_module"))

    def add_ElementWiseRecurrentContainer(self, name, given):
        self.put(Scale(f"{name}.feedback", np.float32([-0.5])), self.shapes["input"])
        self.edges.append(Connection(f"{name}.feedback", "sub_module"))
        self.put(Scale(name, np.float32([1.0])), self.shapes["input"])

    # Neurons

    def neuron(self, name, kind, given):
        found = rules.get(self.framework, kind)
        known = {*found.arguments, *(found.synapse.arguments if found.synapse else ())}
        arguments = {k: _argument(v) for k, v in given.items() if k in known}
        self.read_parameters(name, arguments)
        if self.framework == "norse":
            self.dt = Quantity(given["dt"], "s")
        if self.framework == "rockpool":
            self.dt = Quantity(0.001, "s")
        if self.framework == "sc-neurocore" and "dt" in given:
            self.dt = Quantity(given["dt"], "ms")
        shape = next(
            self.seen(f"{name}.{k}").shape[2:]
            for k in ("v", "spikes", "i")
            if f"{name}.{k}" in self.arrays
        )
        receptors = 1
        if self.framework == "rockpool":
            receptors = self.rockpool(name, kind, arguments)
        if found.layer is Synapse:
            chain = (found.build(name, shape=shape[:1], **arguments),)
        else:
            chain = found.chain(name, receptors=receptors, shape=shape, **arguments)
        for layer in chain:
            self.put(layer, shape)
        self.edges += [Connection(a.name, b.name) for a, b in itertools.pairwise(chain)]
        self.first[name] = chain[0].name
        self.recurrence(name, kind)

    def read_parameters(self, name, arguments):
        """Take what the constructor does not say from what was read off the module."""
        read = next(e["parameters"] for e in self.case["equations"] if e["layer"] == name)
        if self.framework == "spyx":
            arguments |= {k: v for k, v in read.items() if k in ("alpha", "beta", "threshold")}
        if arguments.get("alpha_mem") is None and "train_alphas" in str(self.case["layers"]):
            trained = any(x["arguments"].get("train_alphas") for x in self.case["layers"])
            if trained:
                arguments |= {k: v for k, v in read.items() if k in ("alpha_mem", "alpha_syn")}
        for key, value in arguments.items():
            if isinstance(value, list):
                arguments[key] = np.array(value, np.float32)

    def rockpool(self, name, kind, arguments):
        if arguments.get("threshold") is None:
            arguments.pop("threshold", None)
        if arguments.get("bias") is None:
            arguments.pop("bias", None)
        for key in ("leak_mode", "max_spikes_per_dt"):
            if arguments.get(key, 0) is None:
                del arguments[key]
        if kind == "ExpSynTorch":
            return 1
        receptors = self.arrays[f"{name}.i"].shape[3] if f"{name}.i" in self.arrays else 1
        for key in ("tau_syn", "beta"):
            value = arguments.get(key)
            if isinstance(value, np.ndarray) and value.ndim == 2 and receptors == 1:
                arguments[key] = value[:, 0]
        return receptors

    def recurrence(self, name, kind):
        if kind == "LIFRecurrentCell":
            for key, source, delay in (
                ("input_weights", "input", 0),
                ("recurrent_weights", name, 1),
            ):
                weight = self.arrays[f"{name}.{key}"]
                self.put(Linear(f"{name}.{key}", weight), weight.shape[:1])
                self.edges.append(Connection(source, f"{name}.{key}", delay))
                self.edges.append(Connection(f"{name}.{key}", self.first[name]))
        for key, delay in (("w_rec", 1), ("recurrent_w", 0)):
            if f"{name}.{key}" in self.arrays:
                weight = self.arrays[f"{name}.{key}"].T
                self.put(Linear(f"{name}.{key}", weight), weight.shape[:1])
                self.edges.append(Connection(name, f"{name}.{key}", delay))
                self.feedback.append(Connection(f"{name}.{key}", self.first[name]))
        self.layer_of_feedback(name)

    def layer_of_feedback(self, name):
        inner = f"{name}.recurrent"
        if f"{inner}.V" in self.arrays:
            self.put(Scale(inner, self.arrays[f"{inner}.V"]), self.shapes[name])
        elif f"{inner}.weight" in self.arrays:
            weight = self.arrays[f"{inner}.weight"]
            if weight.ndim == 2:
                self.put(Linear(inner, weight, self.arrays[f"{inner}.bias"]), weight.shape[:1])
            else:
                self.shapes[inner] = self.shapes[name]
                options = {"stride": 1, "padding": 1, "dilation": 1, "groups": 1}
                self.put(
                    Conv2d(inner, weight, self.arrays[f"{inner}.bias"], **options),
                    self.shapes[name],
                )
        if inner in self.layers and inner not in str(self.case["connections"]):
            self.edges += [Connection(name, inner, 1), Connection(inner, self.first[name])]
        inner = f"{name}.rec_connect"
        if f"{inner}.weight" in self.arrays:
            weight = self.arrays[f"{inner}.weight"]
            self.put(Linear("rec_connect", weight, self.arrays[f"{inner}.bias"]), weight.shape[:1])

    def connect(self, source, target, delay):
        if source == target or (source == "input" and self.is_recurrent_cell(target)):
            return  # the weights between them are layers, connected already
        if target.endswith("container") and source == "sub_module":
            target += ".feedback"
        if target == "rc" and source == "sub_module":
            target = "rc.feedback"
        if target == "rec_connect":
            delay = 0  # the delay stands behind the layer, so that its bias waits too
        if source == "rec_connect":
            delay = 1
        if source not in self.layers and f"{source}.recurrent" in self.layers:
            source = f"{source}.recurrent"
        self.edges.append(Connection(source, self.first.get(target, target), delay))

    def is_recurrent_cell(self, name):
        return f"{name}.input_weights" in self.arrays

    # Truth

    def truth(self):
        """Yield (layer, variable, recorded) of all that was recorded of neurons and synapses."""
        for name in self.first:
            layer = self.layers[name]
            spiking = isinstance(layer, Neuron) and layer.rule.spiking is True
            if spiking:
                yield name, "output", self.seen(f"{name}.spikes")
            if isinstance(layer, Neuron):
                yield name, "v", self.seen(f"{name}.v")
            if f"{name}.i" in self.arrays:
                yield self.first[name], "i", self.seen(f"{name}.i")

    def initial(self):
        """Return the state that a recording starts from, if it is not rest."""
        return {(n, "v"): self.arrays[f"{n}.v0"] for n in self.first if f"{n}.v0" in self.arrays}


def _argument(value):
    """Turn the recorded text of a class or function into what the table takes."""
    if isinstance(value, str):
        return value.rpartition(".")[2]
    if isinstance(value, dict):
        kind = value["class"].rpartition(".")[2]
        if kind == "MaxSpike":
            return int(value["max_num_spikes_per_bin"])
        rest = [v for k, v in value.items() if k != "class"]
        return (kind, rest[0])
    return value
