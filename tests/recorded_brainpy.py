"""Recordings of BrainPy networks as networks of the model, for the simulator to reproduce."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from snnbridge import rules, wire
from snnbridge.model import (
    AvgPool,
    BatchNorm,
    Connection,
    Conv1d,
    Conv2d,
    Delay,
    Flatten,
    Input,
    Linear,
    MaxPool,
    Neuron,
    Parameter,
    Quantity,
    SNNCheckpoint,
    StateVariable,
)
from snnbridge.simulator import State

FIXTURES = Path(__file__).parent.parent / "fixtures"
VERSIONS = ("2.3.4.1", "2.4.2", "2.8.2")
#: Neurons that the family does not hold, another line of the framework, wiring in code.
OUTSIDE = ("neurons", "brainstate", "snn", "a_training", "float64")
_METHODS = {"ExponentialEuler": "exp_auto", "Euler": "euler", "RK4": "rk4"}
_STATES = {"V": "v", "x": "v", "g": "i", "h": "h", "g_decay": "i", "t_last_spike": "t_last_spike"}


def cases():
    """Yield (version, case) of everything that is recorded and has a rule."""
    for version in VERSIONS:
        for path in sorted((FIXTURES / f"brainpy-{version}").glob("*.record.npz")):
            if not path.name.startswith((*OUTSIDE, "lif_exact_threshold")):
                yield version, path.name.removesuffix(".record.npz")


class RecordedBrainPy:
    """One case: its network, its input, and what was recorded of each layer."""

    def __init__(self, version, name):
        self.version = version
        base = FIXTURES / f"brainpy-{version}" / name
        self.truth_of = json.loads(Path(f"{base}.truth.json").read_text(encoding="utf-8"))
        with np.load(f"{base}.record.npz") as held:
            self.record = {key: held[key] for key in held.files}
        self.held = _variables(base)
        self.dt = self.truth_of["dt"]
        x = self.seen("input")
        self.shapes = {"input": x.shape[2:]}
        self.layers = {"input": Input("input", x.shape[2:])}
        self.edges, self.state = [], {}
        for source, target in self.truth_of["wiring"]:
            self.edge(source, target)
        self.net = SNNCheckpoint(self.layers, connections=self.edges, dt=Quantity(self.dt, "ms"))

    def seen(self, key):
        """Return a recorded array, channels first."""
        x = np.asarray(self.record[key])
        return np.moveaxis(x, -1, 2) if x.ndim > 3 else x

    def edge(self, source, target):
        if target == "output":
            return
        delays = self.truth_of.get("delays", {})
        node = self.truth_of["nodes"][target]
        if target not in self.layers:
            self.add(target, node, self.shapes[source])
        delay = delays.get(target, 0) if node["class"] == "Dense" else 0
        self.edges.append(Connection(source, target, delay))

    def array(self, key):
        return np.asarray(self.held[key] if key in self.held else self.record[key])

    def add(self, name, node, shape):
        kind, given = node["class"], {k: _plain(v) for k, v in node["parameters"].items()}
        maker = getattr(self, f"add_{kind}", None)
        if maker is None:
            return self.dynamic(name, kind, node, given)
        layer, made = maker(name, given, shape)
        self.layers[name], self.shapes[name] = layer, made
        return None

    def add_Dense(self, name, given, shape):
        weight = self.array(f"{name}.W").T
        bias = self.array(f"{name}.b") if f"{name}.b" in {*self.held, *self.record} else None
        return Linear(name, weight, bias), weight.shape[:1]

    def conv(self, kind, name, given, shape):
        kernel = self.array(f"{name}.w")
        weight = np.moveaxis(kernel, (-1, -2), (0, 1))
        bias = self.array(f"{name}.b").reshape(-1) if f"{name}.b" in self.held else None
        options = {"stride": tuple(given["stride"]), "dilation": tuple(given["rhs_dilation"])}
        padding = _padding(given["padding"], kernel.ndim - 2)
        layer = kind(name, weight, bias, padding=padding, groups=given["groups"], **options)
        return layer, self.shape_after(layer, shape)

    def add_Conv1d(self, *what):
        return self.conv(Conv1d, *what)

    def add_Conv2d(self, *what):
        return self.conv(Conv2d, *what)

    def shape_after(self, layer, shape):
        from snnbridge.simulator.shapes import shape_out

        return shape_out(layer, shape)

    def pool(self, kind, name, given, shape, **more):
        window, stride = tuple(given["kernel_size"]), tuple(given["stride"])
        padding = _padding(given["padding"], len(window))
        layer = kind(name, window=window, stride=stride, padding=padding, **more)
        return layer, self.shape_after(layer, shape)

    def add_MaxPool(self, *what):
        return self.pool(MaxPool, *what)

    def add_AvgPool(self, *what):
        return self.pool(AvgPool, *what, count_padding=True)

    def add_Flatten(self, name, given, shape):
        return Flatten(name, order="channels last"), (int(np.prod(shape)),)

    def add_BatchNorm2d(self, name, given, shape):
        keys = ("running_mean", "running_var", "scale", "bias")
        arrays = (self.array(f"{name}.{k}").reshape(-1) for k in keys)
        return BatchNorm(name, *arrays, epsilon=given["epsilon"]), shape

    def add_VarDelay(self, name, given, shape):
        return Delay(name, Parameter(self.truth_of["delays"][name], "step")), shape

    def dynamic(self, name, kind, node, given):
        found = rules.get("brainpy", kind, self.version)
        arguments = {k: v for k, v in given.items() if k in found.arguments}
        arguments["method"] = _METHODS[node["integral"]]
        if "spk_reset" in found.arguments and node["mode"] != "TrainingMode":
            arguments["spk_reset"] = "nontraining"
        if "A" in found.arguments:
            arguments["A"] = self.amplitude(kind, given)
        shape = tuple(given["size"])
        shape = (shape[-1], *shape[:-1])
        layer = found.build(name, self.version, shape=shape, **arguments)
        self.layers[name], self.shapes[name] = layer, shape
        for key, variable in _STATES.items():
            if f"{name}.{key}" in self.held:
                value = np.asarray(self.held[f"{name}.{key}"])
                value = np.moveaxis(value, -1, 1) if value.ndim > 2 else value
                batched = value.ndim > len(shape)
                self.state[name, variable] = StateVariable(value, 0 if batched else None)
        if f"{name}.g_rise" in self.held:
            value = np.asarray(self.held[f"{name}.g_rise"])
            self.state[name, "i_rise"] = StateVariable(value, 0)

    def amplitude(self, kind, given):
        """Return A where it was given: the node keeps only what it made of it."""
        decay, rise = given["tau_decay"], given["tau_rise"]
        scale = (decay - rise) / rise / decay if kind == "DualExpon" else 1.0
        normal = decay / (decay - rise) * (rise / decay) ** (rise / (rise - decay))
        stated = float(given["a"]) / scale
        return None if abs(stated / normal - 1) < 1e-6 else stated

    def truth(self):
        """Yield (layer, variable, recorded) of all states and spikes."""
        for name, layer in self.layers.items():
            if isinstance(layer, Neuron):
                if layer.rule.spiking is True:
                    yield name, "output", self.seen(f"{name}.spike")
                yield name, "v", self.seen(f"{name}.{'V' if f'{name}.V' in self.record else 'x'}")
            for key in ("g", "g_decay"):
                if f"{name}.{key}" in self.record:
                    yield name, "i", self.seen(f"{name}.{key}")

    def initial(self):
        return State(self.state, self.truth_of.get("first_step", 0))


def _variables(base):
    """Read the arrays of a file, of nested or flat nodes, or of a folder's one checkpoint."""
    path = base / "checkpoint_0" if base.is_dir() else Path(f"{base}.bp")
    found = {}
    for key, value in wire.unpack(path.read_bytes()).items():
        found |= value if isinstance(value, dict) else {key: value}
    return found


def _plain(value):
    if isinstance(value, dict) and "values" in value:
        return np.array(value["values"], value["dtype"])
    return value


def _padding(value, axes):
    if isinstance(value, str):
        return {"SAME": "same", "VALID": 0}[value]
    return tuple((int(a), int(b)) for a, b in value)
