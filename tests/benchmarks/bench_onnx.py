"""Our models in onnxruntime beside the simulator and the frameworks: same weights, same input.

    python tests/benchmarks/bench_onnx.py            # all workloads of bench_simulator.py
    python tests/benchmarks/bench_onnx.py W1 W5
    python tests/benchmarks/bench_onnx.py --peers --out docs/performance.md

Prints medians in milliseconds, in steady state, with sums in float64 and in float32, and how many
spikes of the last neurons differ from the simulator's. Peers are the frameworks on torch, run in
turn with ours on as many threads; a ratio is the fastest peer's time over ours.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import page
from bench_simulator import PEERS, peer, save, versions, warm
from workloads import WORKLOADS

from snnbridge import Neuron, write
from snnbridge.simulator import Simulator

SUMS = ("float64", "float32")
ENVIRONMENT = "torch"


def session(net, path, sums):
    """Write a network and open it in onnxruntime."""
    write(net, path, options={"sums": sums})
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])


def works_of(net, x, last, folder):
    """Return what is timed, by name: it gives the spikes of the last neurons."""
    simulator = Simulator(net)
    works = {"simulator": lambda: simulator.run(x).spikes[last]}
    for sums in SUMS:
        opened = session(net, folder / f"{sums}.onnx", sums)
        given = {opened.get_inputs()[0].name: x}
        works[sums] = lambda opened=opened, given=given: opened.run([f"{last}.spikes"], given)[0]
    return works


def measure(workload, folder, with_peers):
    """Measure one workload: milliseconds by name, spikes that differ, the peers' versions."""
    make_net, make_input = WORKLOADS[workload]
    net, x = make_net(), make_input()
    last = [layer.name for layer in net.layers.values() if isinstance(layer, Neuron)][-1]
    works = works_of(net, x, last, folder)
    expected = works["simulator"]()
    different = {sums: int((works[sums]() != expected).sum()) for sums in SUMS}
    times = {name: warm(work) for name, work in works.items()}
    result = {"peers": {}, "versions": {}, "different": different, "spikes": expected.size}
    save(net, x, folder / "net.npz")
    for name in PEERS[ENVIRONMENT] if with_peers else ():
        done = peer(ENVIRONMENT, name, workload, folder / "net.npz")
        for ours, work in works.items():
            times[ours] += warm(work)
        if done:
            result["peers"][name] = statistics.median(done["ms"])
            result["versions"][name] = done["version"]
    return {**result, "ms": {name: statistics.median(found) for name, found in times.items()}}


def table(results):
    """Return the results as a Markdown table."""
    peers = [
        name for name in PEERS[ENVIRONMENT] if any(name in r["peers"] for r in results.values())
    ]
    ratios = [f"fastest / {sums}" for sums in SUMS] if peers else []
    head = ["", "simulator", *(x for sums in SUMS for x in (sums, "differ")), *peers, *ratios]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, r in results.items():
        row = [name, f"{r['ms']['simulator']:.1f}"]
        for sums in SUMS:
            row += [f"{r['ms'][sums]:.1f}", f"{r['different'][sums]} of {r['spikes']}"]
        row += [f"{r['peers'][p]:.1f}" if p in r["peers"] else "" for p in peers]
        if peers:
            fastest = min(r["peers"].values(), default=np.nan)
            row += [f"{fastest / r['ms'][sums]:.2f}" for sums in SUMS]
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def drawn(results):
    """Draw the milliseconds of each workload: onnxruntime's, the simulator's, the peers'."""
    figure = page.figure()
    axes = figure.subplots()
    for x, r in enumerate(results.values()):
        axes.plot([x] * len(r["peers"]), list(r["peers"].values()), "o", color=page.GREY)
        for name, ms in r["peers"].items():
            axes.annotate(name, (x, ms), (5, -3), textcoords="offset points", fontsize=6)
        axes.plot([x], [r["ms"]["simulator"]], "D", color=page.INK)
        for sums, mark in zip(SUMS, "^v", strict=True):
            axes.plot([x], [r["ms"][sums]], mark, color=page.RED)
    axes.set_yscale("log")
    axes.set_ylabel("ms, log scale")
    axes.set_xticks(range(len(results)), list(results))
    axes.set_xlim(-0.5, len(results) - 0.2)
    title = "onnxruntime (triangles: up float64, down float32), simulator (diamonds), peers (dots)"
    axes.set_title(title, fontsize=9)
    return figure


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workloads", nargs="*", help=f"some of {', '.join(WORKLOADS)}")
    parser.add_argument("--peers", action="store_true", help="run the frameworks too")
    page.add_out(parser)
    options = parser.parse_args()
    results = {}
    for name in options.workloads or WORKLOADS:
        with tempfile.TemporaryDirectory() as folder:
            results[name] = measure(name, Path(folder), options.peers)
        print(f"{name} done", file=sys.stderr)
    named = ", ".join(x for x in (f"onnxruntime {onnxruntime.__version__}", versions(results)) if x)
    text = f"{page.machine()}\n{named}\n\n{table(results)}"
    if options.out:
        described = "milliseconds of each workload, in onnxruntime and beside it"
        page.publish(options.out, "onnx", text, drawn(results), described)
    else:
        print(text)


if __name__ == "__main__":
    main()
