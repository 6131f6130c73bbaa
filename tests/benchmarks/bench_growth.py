"""Time and memory against sizes: straight lines, each drawn over its own axis.

    python tests/benchmarks/bench_growth.py                          # about two minutes
    python tests/benchmarks/bench_growth.py --quick                  # smaller sizes
    python tests/benchmarks/bench_growth.py --out docs/performance.md

Times of writing, reading (every array touched), comparing and simulating against the number of
arrays, bytes, layers, connections and steps; each point is the best of some runs. `power` is the
slope of the line in the logarithm, between its last two sizes: 1 is linear growth.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from pathlib import Path

import numpy as np
import page
from bench_files import FORMATS, model, peak_above, timed

from snnbridge import (
    Connection,
    Input,
    Linear,
    SNNCheckpoint,
    differences,
    read,
    rules,
    simulate,
    write,
)
from snnbridge.model import Scale

RUNS = 3


def scales(count):
    return [Input("s0", (1,)), *(Scale(f"s{i}", np.float32(0.0625)) for i in range(1, count))]


def chain(layers):
    """Return layers of one neuron, one after the other."""
    found = scales(layers)
    edges = [Connection(f"s{i}", f"s{i + 1}") for i in range(layers - 1)]
    return SNNCheckpoint(found, connections=edges)


def meshed(connections):
    """Return a graph whose layers are each fed by the 16 before them."""
    layers = connections // 16 + 17
    edges = [
        Connection(f"s{i - back}", f"s{i}") for i in range(17, layers) for back in range(1, 17)
    ]
    edges += [Connection("s0", f"s{i}") for i in range(1, 17)]
    found = scales(layers)
    return SNNCheckpoint(found, connections=edges)


def neurons():
    lif = rules.get("snntorch", "Leaky").build("lif", shape=(256,), beta=0.9)
    weight = np.random.default_rng(0).normal(0.02, 0.1, (256, 256)).astype(np.float32)
    return SNNCheckpoint([Linear("fc", weight), lif], connections=[Connection("fc", "lif")])


def of_files(checkpoint, folder):
    """Yield what is done with a checkpoint, the time and the extra memory in every format."""
    for format, suffix in FORMATS.items():
        path = folder / f"grown{suffix}"
        yield f"write {format}", best(lambda p=path: write(checkpoint, p))
        yield f"read {format}", best(lambda p=path: touched(p))


def touched(path):
    for layer in read(path).layers.values():
        for parameter in layer.parameters.values():
            np.asarray(parameter.value).sum()


def best(work):
    """Return the least time of some runs and the extra memory of one more."""
    work()
    return min(timed(work) for _ in range(RUNS)), peak_above(work)


def of_graph(checkpoint, folder):
    same = SNNCheckpoint(dict(checkpoint.layers), connections=checkpoint.connections)
    yield "check", best(checkpoint.validate)
    yield "diff", best(lambda: differences(checkpoint, same))
    drive = np.ones((1, 1, 1), np.float32)
    yield "simulate a step", best(lambda: simulate(checkpoint, drive, record={}))
    yield from of_files(checkpoint, folder)


def of_steps(steps, folder):
    net = neurons()
    events = (np.arange(steps), np.arange(steps) % 256)
    yield "simulate, counts", best(lambda: simulate(net, events, steps=steps, record={}))
    yield (
        "simulate, spikes kept",
        best(lambda: simulate(net, events, steps=steps, record={"lif": "spikes"})),
    )


AXES = {
    "arrays of 4 KiB": ((250, 1000, 4000), lambda n, f: of_files(model(n, 4096), f)),
    "MiB in 8 arrays": ((4, 16, 64), lambda n, f: of_files(model(8, n << 17), f)),
    "layers": ((500, 1000, 2000, 4000), lambda n, f: of_graph(chain(n), f)),
    "connections": ((2000, 8000, 32000), lambda n, f: of_graph(meshed(n), f)),
    "steps": ((10_000, 40_000, 160_000), of_steps),
}


def measure(quick):
    """Return {axis: {what: [(size, seconds, bytes)]}}."""
    found = {}
    for axis, (sizes, make) in AXES.items():
        lines = found.setdefault(axis, {})
        for size in sizes[:2] if quick else sizes:
            with tempfile.TemporaryDirectory() as place:
                for what, (seconds, extra) in make(size, Path(place)):
                    lines.setdefault(what, []).append((size, seconds, extra))
        print(f"{axis} done", file=sys.stderr)
    return found


def power(points):
    """Return the exponent of growth between the last two sizes."""
    (n, before, _), (m, after, _) = points[-2:]
    return math.log(after / before) / math.log(m / n)


def table(found):
    rows = ["| against | what | sizes | ms | extra MiB | power |", "|---|---|---|---|---|---|"]
    for axis, lines in found.items():
        for what, points in lines.items():
            sizes = ", ".join(f"{n:,}" for n, _, _ in points)
            times = ", ".join(f"{1e3 * t:.3g}" for _, t, _ in points)
            extra = ", ".join("?" if b is None else f"{b / 2**20:.1f}" for _, _, b in points)
            cells = (axis, what, sizes, times, extra, f"{power(points):.2f}")
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def drawn(found):
    figure = page.figure(9, 5.5)
    grid = figure.subplots(2, 3).ravel()
    for axes, (axis, lines) in zip(grid, found.items(), strict=False):
        for what, points in lines.items():
            axes.plot([n for n, _, _ in points], [1e3 * t for _, t, _ in points], ".-", label=what)
        axes.set(xscale="log", yscale="log", xlabel=axis, ylabel="ms")
        axes.legend(fontsize=5)
        axes.tick_params(labelsize=7)
    for axes in grid[len(found) :]:
        axes.set_axis_off()
    return figure


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the two smallest sizes only")
    page.add_out(parser)
    options = parser.parse_args()
    found = measure(options.quick)
    text = f"{page.machine()}\n\n{table(found)}"
    if options.out:
        page.publish(options.out, "growth", text, drawn(found), "time against sizes")
    else:
        print(text)


if __name__ == "__main__":
    main()
