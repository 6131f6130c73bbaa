"""Our models in onnxruntime beside the simulator: same weights, same input, steady state.

    python tests/benchmarks/bench_onnx.py            # all workloads of bench_simulator.py
    python tests/benchmarks/bench_onnx.py W1 W5

Prints medians in milliseconds, with sums in float64 and in float32, and how many spikes of the last
neurons differ from the simulator's. bench_simulator.py --peers has the frameworks' figures for the
same workloads.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import onnxruntime
from bench_simulator import warm
from workloads import WORKLOADS

from snnbridge import Neuron, write
from snnbridge.simulator import Simulator


def session(net, path, sums):
    """Write a network and open it in onnxruntime."""
    write(net, path, options={"sums": sums})
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])


def measure(name, folder):
    """Return a row of the table: milliseconds, and spikes that differ."""
    make_net, make_input = WORKLOADS[name]
    net, x = make_net(), make_input()
    last = [layer.name for layer in net.layers.values() if isinstance(layer, Neuron)][-1]
    simulator = Simulator(net)
    expected = simulator.run(x).spikes[last]
    row = [name, f"{statistics.median(warm(lambda: simulator.run(x))):.1f}"]
    for sums in ("float64", "float32"):
        opened = session(net, folder / f"{name}.{sums}.onnx", sums)
        wanted, given = [f"{last}.spikes"], {opened.get_inputs()[0].name: x}
        different = int((opened.run(wanted, given)[0] != expected).sum())
        time = statistics.median(warm(lambda: opened.run(wanted, given)))  # noqa: B023
        row += [f"{time:.1f}", str(different)]
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workloads", nargs="*", help=f"some of {', '.join(WORKLOADS)}")
    head = ["", "simulator", "float64", "different", "float32", "different"]
    with tempfile.TemporaryDirectory() as folder:
        chosen = parser.parse_args().workloads or WORKLOADS
        rows = [measure(name, Path(folder)) for name in chosen]
    for row in [head, *rows]:
        print("  ".join(f"{cell:>10}" for cell in row))


if __name__ == "__main__":
    main()
