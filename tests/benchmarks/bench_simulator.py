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
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import page
from workloads import WORKLOADS

from snnbridge import Linear
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
