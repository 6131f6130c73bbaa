"""The simulator against the frameworks: same weights, same input, steady state.

    python tests/benchmarks/bench_simulator.py               # all workloads, without peers
    python tests/benchmarks/bench_simulator.py --peers       # beside the frameworks
    python tests/benchmarks/bench_simulator.py W1 W5 --json
    python tests/benchmarks/bench_simulator.py --peers --out docs/performance.md

Prints a table, or JSON, or writes table and picture into a page. Ours and a peer's runs are taken
in turn; figures are medians, of runs of a network that is ready: preparation stands beside it, and
peers make theirs before too. Peers run in the environments that fixtures/make/environments.py
makes (`torch`, `brainpy-2.8`, `brian2`), where they are there; Brian2 has no batch, its samples run
one after the other. The bound is what the named resource alone allows: the weight rows of dense
layers that spikes touch over the bandwidth of this process, or multiply-adds over the peak of
float64, both measured here.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import page

from snnbridge import Connection, Conv2d, Flatten, Input, Linear, SNNCheckpoint, SumPool, rules
from snnbridge.model import Reset, ResetTiming
from snnbridge.simulator import Simulator
from snnbridge.simulator._kernel import instruction_sets

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = Path(os.environ.get("SNNBRIDGE_ENVIRONMENTS", ROOT / ".environments"))
PEERS = {
    "torch": ("snntorch", "spikingjelly", "norse", "sinabs"),
    "brainpy-2.8": ("brainpy", "jax scan"),
    "brian2": ("brian2",),
}
RUNS = 7


def leaky(name, shape):
    return rules.get("snntorch", "Leaky").build(name, shape=shape, beta=0.9)


def integrating(name, shape):
    built = rules.get("spikingjelly", "IFNode").build(name, shape=shape, v_reset=None)
    return replace(
        built, rule=replace(built.rule, reset=Reset.SUBTRACT, reset_timing=ResetTiming.NOW)
    )


def dense(sizes, gains, recurrent=False):
    """Chain Linear and leaky layers; the gains are chosen for 5 to 15 % of activity."""
    rng = np.random.default_rng(0)
    layers, edges, last = [Input("in", (sizes[0],))], [], "in"
    for i, (n, m, gain) in enumerate(zip(sizes, sizes[1:], gains, strict=False)):
        weight = (rng.normal(0, 1, (m, n)) * gain / np.sqrt(n)).astype(np.float32)
        layers += [Linear(f"fc{i}", weight, np.zeros(m, np.float32)), leaky(f"lif{i}", (m,))]
        edges += [Connection(last, f"fc{i}"), Connection(f"fc{i}", f"lif{i}")]
        last = f"lif{i}"
        if recurrent and i == 0:
            back = (rng.normal(0, 1, (m, m)) * 0.3 / np.sqrt(m)).astype(np.float32)
            layers.append(Linear("rec", back))
            edges += [Connection(last, "rec", 1), Connection("rec", last)]
    return SNNCheckpoint(layers, connections=edges)


def image():
    """Two channels of 34 x 34 through three convolutions and two dense layers."""
    rng = np.random.default_rng(0)

    def weight(gain, *shape):
        return (rng.normal(0.02, gain, shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    def conv(name, gain, *shape, stride=1):
        return Conv2d(name, weight(gain, *shape), None, stride, 1, 1, 1)

    layers = [
        Input("in", (2, 34, 34)),
        conv("c1", 3.4, 16, 2, 5, 5, stride=2),
        integrating("n1", (16, 16, 16)),
        conv("c2", 1.8, 16, 16, 3, 3),
        integrating("n2", (16, 16, 16)),
        SumPool("p1", (2, 2), (2, 2), 0),
        conv("c3", 0.6, 8, 16, 3, 3),
        integrating("n3", (8, 8, 8)),
        SumPool("p2", (2, 2), (2, 2), 0),
        Flatten("flat", order="channels first"),
        Linear("f1", weight(0.8, 256, 128)),
        integrating("n4", (256,)),
        Linear("f2", weight(1.0, 10, 256)),
        integrating("n5", (10,)),
    ]
    names = [layer.name for layer in layers]
    return SNNCheckpoint(
        layers, connections=[Connection(a, b) for a, b in itertools.pairwise(names)]
    )


def spikes(steps, batch, *shape, rate=0.03):
    rng = np.random.default_rng(1)
    return (rng.random((steps, batch, *shape)) < rate).astype(np.float32)


def currents(steps, batch, n):
    return np.random.default_rng(1).random((steps, batch, n)).astype(np.float32)


WORKLOADS = {
    "W1": (lambda: dense([700, 256, 20], [3.8, 3.0]), lambda: spikes(100, 64, 700)),
    "W2": (
        lambda: dense([2048, 2048, 2048, 10], [3.0, 2.4, 2.0]),
        lambda: spikes(100, 8, 2048, rate=0.05),
    ),
    "W3": (lambda: dense([700, 1024, 20], [3.8, 3.0], True), lambda: spikes(100, 16, 700)),
    "W4": (image, lambda: spikes(50, 16, 2, 34, 34)),
    "W5": (lambda: dense([100, 100, 10], [3.0, 3.0]), lambda: spikes(10000, 1, 100, rate=0.05)),
    "W6": (lambda: dense([784, 1000, 10], [0.8, 2.0]), lambda: currents(25, 128, 784)),
}


def timed(work):
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1e3


def warm(work):
    """Time runs in steady state: as many before are not counted, here and for the peers."""
    return [timed(work) for _ in range(2 * RUNS)][RUNS:]


def bound(net, x, found):
    """Name what limits the work on this machine, and the milliseconds that it needs for it."""
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    touched = products = 0.0
    for layer in net.layers.values():
        if not isinstance(layer, Linear):
            continue
        source = next(c.source for c in net.connections if c.target == layer.name)
        binary = source != "in" or not ((x != 0) & (x != 1)).any()
        rows = x.sum() if source == "in" else found.counts.get(source, np.zeros(1)).sum()
        if binary:
            touched += float(rows) * layer.weight.value.shape[0] * 4
        else:
            products += x.size * layer.weight.value.shape[0]
    by_memory = touched / bandwidth(net) / threads
    by_products = products / peak() if products else 0.0  # BLAS uses all processors itself
    if by_memory == by_products == 0:
        return "", None
    name = "weight rows" if by_memory > by_products else "float64 multiply-adds"
    return name, 1e3 * max(by_memory, by_products)


def bandwidth(net):
    """Measure bytes a second of sums over rows of a matrix as large as the net's largest."""
    size = max(x.weight.value.nbytes for x in net.layers.values() if isinstance(x, Linear))
    block = np.ones(max(size // 8, 1 << 14))
    best = min(timed(block.sum) for _ in range(20))
    return block.nbytes / (best / 1e3)


def peak():
    """Measure multiply-adds a second of float64 products, unfused: half of what BLAS reaches."""
    a = np.ones((768, 768))
    best = min(timed(lambda: a @ a) for _ in range(7))
    return a.size * a.shape[0] / (best / 1e3) / 2


def save(net, x, path):
    """Hand weights and input to a peer."""
    arrays = {
        f"{layer.name}.weight": layer.parameters["weight"].value
        for layer in net.layers.values()
        if "weight" in layer.parameters
    }
    np.savez(path, input=x, **arrays)


def peer(environment, name, workload, path):
    """Run a peer in its own environment; return its runs' milliseconds and version, or None."""
    python = ENVIRONMENTS / environment / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        return None
    script = Path(__file__).with_name("peers_simulator.py")
    done = subprocess.run(
        [python, script, name, workload, path, str(RUNS)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        print(f"{name} {workload}: {lines[-1] if lines else 'failed'}", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def measure(workload, with_peers):
    """Measure one workload."""
    make, stimulus = WORKLOADS[workload]
    net, x = make(), stimulus()
    ready = [timed(lambda: Simulator(net)) for _ in range(RUNS)]
    simulator = Simulator(net)
    found = simulator.run(x)
    ours = warm(lambda: simulator.run(x))
    result = {
        "rates": {k: round(v, 3) for k, v in found.rates().items()},
        "peers": {},
        "versions": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.npz"
        save(net, x, path)
        for environment, names in PEERS.items() if with_peers else ():
            for name in names:
                done = peer(environment, name, workload, path)
                ours += warm(lambda: simulator.run(x))
                if done:
                    result["peers"][name] = statistics.median(done["ms"])
                    result["versions"][name] = done["version"]
    result["ours"], result["best"] = statistics.median(ours), min(ours)
    result["prepare"] = statistics.median(ready)
    result["bound"], result["bound_ms"] = bound(net, x, found)
    return result


def table(results):
    """Return the results as a Markdown table."""
    peers = sorted({name for r in results.values() for name in r["peers"]})
    head = ["", "ms", "best", "prepare", *peers, "fastest / ours", "bound", "ms", "rates"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, r in results.items():
        shown = [f"{r['peers'][p]:.1f}" if p in r["peers"] else "" for p in peers]
        ratio = f"{min(r['peers'].values()) / r['ours']:.1f}" if r["peers"] else ""
        limit = "" if r["bound_ms"] is None else f"{r['bound_ms']:.1f}"
        rates = ", ".join(f"{k} {v}" for k, v in r["rates"].items())
        row = [
            name,
            f"{r['ours']:.2f}",
            f"{r['best']:.2f}",
            f"{r['prepare']:.2f}",
            *shown,
            ratio,
            r["bound"],
            limit,
            rates,
        ]
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def versions(results):
    """Name the peers' versions."""
    found = {}
    for r in results.values():
        found |= r["versions"]
    return ", ".join(f"{name} {found[name]}" for name in sorted(found))


def drawn(results):
    """Draw the milliseconds of each workload: ours, the peers', and the bound."""
    figure = page.figure()
    axes = figure.subplots()
    for x, r in enumerate(results.values()):
        axes.plot([x] * len(r["peers"]), list(r["peers"].values()), "o", color=page.GREY)
        for name, ms in r["peers"].items():
            axes.annotate(name, (x, ms), (5, -3), textcoords="offset points", fontsize=6)
        axes.plot([x], [r["ours"]], "D", color=page.INK)
        if r["bound_ms"] is not None:
            axes.hlines(r["bound_ms"], x - 0.2, x + 0.2, color=page.RED)
    axes.set_yscale("log")
    axes.set_ylabel("ms, log scale")
    axes.set_xticks(range(len(results)), list(results))
    axes.set_xlim(-0.5, len(results) - 0.2)
    axes.set_title("snnbridge (diamonds), peers (dots), the machine's bound (lines)", fontsize=9)
    return figure


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workloads", nargs="*", help=f"some of {', '.join(WORKLOADS)}")
    parser.add_argument("--peers", action="store_true", help="run the frameworks too")
    parser.add_argument("--json", action="store_true", help="print JSON")
    page.add_out(parser)
    options = parser.parse_args()
    machine = f"{page.machine()}, {instruction_sets()[-1]}"
    results = {}
    for name in options.workloads or WORKLOADS:
        results[name] = measure(name, options.peers)
        print(f"{name} done", file=sys.stderr)
    if options.json:
        print(json.dumps({"machine": machine, "workloads": results}, indent=1))
        return
    text = f"{machine}\n{versions(results)}\n\n{table(results)}".replace("\n\n\n", "\n\n")
    if options.out:
        described = "milliseconds of each workload, of snnbridge and its peers"
        page.publish(options.out, "simulator", text, drawn(results), described)
    else:
        print(text)


if __name__ == "__main__":
    main()
