"""A network in plain Python, one number after the other, around the steps of `lif_twin`."""

from __future__ import annotations

import itertools
import math

import numpy as np

import lif_twin
from snnbridge.model import (
    AvgPool,
    BatchNorm,
    Clock,
    Conv1d,
    Conv2d,
    Delay,
    Flatten,
    Input,
    Inputs,
    Linear,
    MaxPool,
    Neuron,
    Refractory,
    Scale,
    SumPool,
    Synapse,
    Width,
)
from snnbridge.simulator import coefficients


class Twin:
    """One sample of a checkpoint without subgraphs; `stimuli` by input layer: (steps, *shape)."""

    def __init__(self, checkpoint, stimuli):
        self.layers, self.dt = checkpoint.layers, checkpoint.dt
        self.stimuli = stimuli
        self.incoming = {name: [] for name in self.layers}
        for c in checkpoint.connections:
            self.incoming[c.target].append((c.source, c.delay))
        dynamic = [x for x in self.layers.values() if isinstance(x, Neuron | Synapse)]
        wide = dynamic and dynamic[0].rule.width is not Width.FLOAT32
        self.width = np.float64 if wide else np.float32
        self.numbers = {x.name: coefficients(x, self.dt) for x in dynamic}
        self.memory, self.state, self.traces = {}, {}, {}

    def run(self, steps):
        with np.errstate(all="ignore"):
            for t in range(steps):
                for name in self.layers:
                    self.output(name, t)
        return self.traces

    def output(self, name, t):
        """Return what a layer gives at step t; zeros before the first."""
        if t < 0:
            return None
        if (name, t) not in self.memory:
            layer = self.layers[name]
            x = None if isinstance(layer, Delay) else self.arriving(name, t)
            self.memory[name, t] = self.made(layer, x, t)
            self.traces.setdefault((name, "output"), []).append(self.memory[name, t])
        return self.memory[name, t]

    def arriving(self, name, t):
        if name in self.stimuli:
            return self.stimuli[name][t].astype(self.width)
        layer = self.layers[name]
        in_turn = isinstance(layer, Neuron | Synapse) and layer.rule.inputs is Inputs.IN_TURN
        found = []
        for source, delay in self.incoming[name]:
            if isinstance(self.layers[source], Neuron):
                delay += self.layers[source].rule.output_delay
            x = self.output(source, t - delay)
            if x is None:
                x = np.zeros_like(self.like(source))
            found.append(x)
        if not found:
            shape = layer.size[0] if isinstance(layer, Linear) else layer.shape
            found = [np.zeros(shape, self.width)]
        return found if in_turn else sum(found[1:], found[0])

    def like(self, name):
        """Return an array of the shape that a layer gives."""
        layer = self.layers[name]
        if isinstance(layer, Linear):
            return np.zeros(layer.size[1], self.width)
        if isinstance(layer, Neuron | Synapse | Input):
            return np.zeros(layer.shape, self.width)
        return np.zeros_like(self.output(name, 0))

    def made(self, layer, x, t):
        match layer:
            case Neuron():
                return self.neuron(layer, x, t)
            case Synapse():
                return self.synapse(layer, x)
            case Linear():
                return self.linear(layer, x)
            case Conv1d() | Conv2d():
                return self.conv(layer, x)
            case SumPool() | AvgPool() | MaxPool():
                return self.pool(layer, x)
            case Flatten():
                moved = np.moveaxis(x, 0, -1) if layer.order == "channels last" else x
                return moved.reshape(-1)
            case Scale():
                factor = np.broadcast_to(layer.factor.value, x.shape)
                return self.each(lambda a, f: float(a) * float(f), x, factor)
            case BatchNorm():
                return self.norm(layer, x)
            case Delay():
                return self.delayed(layer, t)
        return x

    def each(self, function, *arrays):
        made = [
            self.width(function(*numbers))
            for numbers in zip(*(a.flat for a in arrays), strict=True)
        ]
        return np.array(made, self.width).reshape(arrays[0].shape)

    def linear(self, layer, x):
        bias = np.zeros(layer.size[1]) if layer.bias is None else layer.bias.value
        bias = np.broadcast_to(bias, layer.size[1])
        rows = zip(layer.weight.value, bias, strict=True)
        return np.array([lif_twin.summed(self.width, row, x, b) for row, b in rows])

    def conv(self, layer, x):
        weight = layer.weight.value
        places, before = self.geometry(layer, x.shape[1:], weight.shape[2:], layer.dilation)
        outputs, inputs = weight.shape[:2]
        made = np.zeros((outputs, *places), self.width)
        for o, *place in itertools.product(range(outputs), *map(range, places)):
            total = 0.0
            first = o // (outputs // layer.groups) * inputs
            for c in range(inputs):
                for tap in itertools.product(*map(range, weight.shape[2:])):
                    at = tuple(
                        p * s - b + k * d
                        for p, s, b, k, d in zip(
                            place, layer.stride, before, tap, layer.dilation, strict=True
                        )
                    )
                    if all(0 <= i < n for i, n in zip(at, x.shape[1:], strict=True)):
                        total += float(weight[(o, c, *tap)]) * float(x[(first + c, *at)])
            bias = 0.0 if layer.bias is None else float(layer.bias.value[o])
            made[(o, *place)] = self.width(total + bias)
        return made

    def geometry(self, layer, sizes, kernel, dilation):
        places, before = [], []
        for axis, (n, k, d, s) in enumerate(
            zip(sizes, kernel, dilation, layer.stride, strict=True)
        ):
            if layer.padding == "same":
                place = math.ceil(n / s)
                total = max((place - 1) * s + d * (k - 1) + 1 - n, 0)
                first = total // 2
            else:
                first, last = layer.padding[axis]
                place = (n + first + last - d * (k - 1) - 1) // s + 1
            places.append(place)
            before.append(first)
        return places, before

    def pool(self, layer, x):
        places, before = self.geometry(layer, x.shape[1:], layer.window, (1,) * len(layer.window))
        made = np.zeros((x.shape[0], *places), self.width)
        for c, *place in itertools.product(range(x.shape[0]), *map(range, places)):
            seen = []
            for tap in itertools.product(*map(range, layer.window)):
                at = tuple(
                    p * s - b + k
                    for p, s, b, k in zip(place, layer.stride, before, tap, strict=True)
                )
                if all(0 <= i < n for i, n in zip(at, x.shape[1:], strict=True)):
                    seen.append(float(x[(c, *at)]))
            if isinstance(layer, MaxPool):
                made[(c, *place)] = max(seen)
                continue
            total = 0.0
            for value in seen:
                total += value
            if isinstance(layer, AvgPool):
                total /= math.prod(layer.window) if layer.count_padding else len(seen)
            made[(c, *place)] = self.width(total)
        return made

    def norm(self, layer, x):
        made = np.zeros_like(x)
        for c in range(x.shape[0]):
            mean, variance = float(layer.mean.value[c]), float(layer.variance.value[c])
            weight = 1.0 if layer.weight is None else float(layer.weight.value[c])
            bias = 0.0 if layer.bias is None else float(layer.bias.value[c])
            deviation = math.sqrt(variance + float(layer.epsilon.value))
            made[c] = self.each(lambda a: (float(a) - mean) / deviation * weight + bias, x[c])  # noqa: B023
        return made

    def delayed(self, layer, t):
        value = np.broadcast_to(layer.delay.value, self.like(self.incoming[layer.name][0][0]).shape)
        made = np.zeros(value.shape, self.width)
        for place in np.ndindex(value.shape):
            if t >= value[place]:
                made[place] = self.arriving(layer.name, t - int(value[place]))[place]
        return made

    def neuron(self, layer, x, t):
        rule, numbers = layer.rule, self.numbers[layer.name]
        x = x if isinstance(x, list) else [x]
        clocked = rule.spiking and rule.refractory is not Refractory.NONE
        now = None
        if clocked and rule.clock is Clock.FLOAT32_TIME:
            now = np.float32(t) * np.float32(self.dt.value)
        z, shown = np.zeros(layer.shape, self.width), np.zeros(layer.shape, self.width)
        for place in np.ndindex(*layer.shape):
            p = {name: x[place] for name, x in numbers.items()}
            start = (p["initial"], np.float32(-1e7) if now is not None else 0)
            v, clock = self.state.get((layer.name, place), start)
            v, z[place], shown[place], clock = lif_twin.neuron(
                rule, p, v, [one[place] for one in x], clock, now
            )
            self.state[layer.name, place] = v, clock
        self.traces.setdefault((layer.name, "v"), []).append(shown)
        return z

    def synapse(self, layer, x):
        numbers = self.numbers[layer.name]
        several = layer.receptors != 1
        shape = (*layer.shape, layer.receptors)
        x = [one.reshape(shape) for one in (x if isinstance(x, list) else [x])]
        z, kept = np.zeros(layer.shape, self.width), np.zeros(shape, self.width)
        for place in np.ndindex(shape):
            p = {n: a.reshape(shape)[place] for n, a in numbers.items()}
            zero = self.width(0)
            i, rise = self.state.get((layer.name, place), (zero, zero))
            i, rise, out = lif_twin.synapse(layer.rule, p, i, rise, [one[place] for one in x])
            self.state[layer.name, place] = i, rise
            kept[place] = i
            z[place[:-1]] = out if place[-1] == 0 else z[place[:-1]] + out
        self.traces.setdefault((layer.name, "i"), []).append(kept if several else kept[..., 0])
        return z
