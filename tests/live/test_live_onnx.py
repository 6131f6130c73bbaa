"""Old and new onnxruntime run our models with the spikes that the frameworks recorded."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import recorded
import recorded_brainpy
from snnbridge import (
    Connection,
    Input,
    Linear,
    Registry,
    SNNCheckpoint,
    rules,
    simulate,
    write,
)
from snnbridge.simulator.lower import width_of
from snnbridge.simulator.simulator import prepared
from snnbridge_plugins import onnx

REGISTRY = Registry([onnx])
ROOT = Path(__file__).parents[2]
ENVIRONMENTS = Path(os.environ.get("SNNBRIDGE_ENVIRONMENTS") or ROOT / ".environments")
INSIDE = Path("Scripts", "python.exe") if os.name == "nt" else Path("bin", "python")

pytestmark = pytest.mark.live


def networks():
    """Yield (name, network, input, state) of what was recorded."""
    rng = np.random.default_rng(0)
    wide = rng.normal(0, 0.1, (64, 100)).astype(np.float32)  # large enough for a file of data
    neurons = rules.get("snntorch", "Leaky").build("lif", shape=(64,), beta=0.9)
    edges = [Connection("in", "fc"), Connection("fc", "lif")]
    net = SNNCheckpoint([Input("in", (100,)), Linear("fc", wide), neurons], connections=edges)
    yield "wide", net, (rng.random((30, 2, 100)) < 0.2)
    for case in recorded.cases():
        held = recorded.Recorded(*case)
        if not held.initial():
            yield "_".join(case).replace("/", "_"), held.net, held.seen("input")
    for case in recorded_brainpy.cases():
        held = recorded_brainpy.RecordedBrainPy(*case)
        if not held.truth_of.get("first_step", 0) and not held.state:
            yield "_".join(case), held.net, held.seen("input")


def expect(net, stimulus):
    """Return inputs and outputs by the names that they have in the graph."""
    stimulus = np.asarray(stimulus, width_of(prepared(net)))
    name = next(n for n, x in net.layers.items() if isinstance(x, Input))
    found = simulate(net, stimulus)
    outputs = {}
    for (layer, variable), trace in found.traces.items():
        if variable == "output":
            outputs[f"out:{layer}"] = trace
    return {f"in:{name}": stimulus, **outputs}


@pytest.mark.parametrize(
    ("environment", "options"),
    [
        ("onnxruntime-1.18", {}),
        ("onnxruntime-1.18", {"external": "yes"}),
        ("onnxruntime-1.18", {"external": "safetensors"}),
        ("onnxruntime-1.15", {"opset": "17"}),
    ],
    ids=["1.18", "1.18-data", "1.18-safetensors", "1.15"],
)
def test_the_oldest_supported_onnxruntime_gives_the_same_spikes(tmp_path, environment, options):
    python = ENVIRONMENTS / environment / INSIDE
    if not python.is_file():
        pytest.skip(f"no environment {environment}")
    for name, net, stimulus in networks():
        expected = expect(net, stimulus)
        write(net, tmp_path / f"{name}.onnx", options=options, registry=REGISTRY)
        np.savez(tmp_path / f"{name}.npz", **expected)
    script = Path(__file__).with_name("judge_onnxruntime.py")
    done = subprocess.run(
        [python, "-W", "ignore", str(script), str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["failed"] == {}
    assert answer["run"] > 200
