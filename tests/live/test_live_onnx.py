"""Old and new onnxruntime run our models with the spikes that the frameworks recorded."""

import json
import os
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from onnx import load

import beside
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


def expect(net, stimulus, path):
    """Return inputs and outputs by the names that they have in a model: each trace that it has."""
    stimulus = np.asarray(stimulus, width_of(prepared(net)))
    name = next(n for n, x in net.layers.items() if isinstance(x, Input))
    model = load(path, load_external_data=False)
    entries = {entry.key: entry.value for entry in model.metadata_props}
    graph = json.loads(entries["org.snnbridge.checkpoint"])["graph"]
    given = {value.name for value in model.graph.output}
    found = simulate(net, stimulus, record=list(graph["traces"]) or None).traces
    found |= simulate(net, stimulus).traces
    outputs = {}
    for (layer, variable), trace in found.items():
        named = graph["traces"].get(layer, {}).get(variable)
        named = graph["results"].get(layer) if variable == "output" and named is None else named
        if named in given:
            outputs[f"out:{named}"] = trace
    return {f"in:{graph['stimuli'][name]}": stimulus, **outputs}


@pytest.mark.parametrize(
    ("environment", "options"),
    [
        ("onnxruntime-1.18", {}),
        ("onnxruntime-1.18", {"outputs": "all"}),
        ("onnxruntime-1.18", {"external": "yes"}),
        ("onnxruntime-1.18", {"external": "safetensors"}),
        ("onnxruntime-1.15", {"opset": "17"}),
        ("onnxruntime-1.15", {"opset": "17", "outputs": "all"}),
    ],
    ids=["1.18", "1.18-all", "1.18-data", "1.18-safetensors", "1.15", "1.15-all"],
)
def test_the_oldest_supported_onnxruntime_gives_the_same_spikes(tmp_path, environment, options):
    python = beside.python_of(environment)
    count = 0
    for name, net, stimulus in networks():
        path = tmp_path / f"{name}.onnx"
        write(net, path, options=options, registry=REGISTRY)
        expected = expect(net, stimulus, path)
        shown = sum(key.startswith("out:") for key in expected)
        assert shown > ("outputs" in options), name  # of a neuron, spikes and membranes
        np.savez(tmp_path / f"{name}.npz", **expected)
        count += 1
    script = Path(__file__).with_name("judge_onnxruntime.py")
    done = subprocess.run(
        [python, "-W", "ignore", str(script), str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["failed"] == {}
    assert answer["run"] == count > 200


@pytest.mark.parametrize("external", ["no", "yes", "safetensors"])
@pytest.mark.parametrize(
    ("environment", "opset"),
    [("onnxruntime-1.18", "21"), ("onnxruntime-1.18", "17"), ("onnxruntime-1.15", "17")],
)
def test_verify_runs_a_file_in_an_old_onnxruntime_from_any_folder(
    tmp_path, environment, opset, external
):
    python = beside.python_of(environment)
    (tmp_path / "here").mkdir()
    _, net, _ = next(networks())
    write(net, tmp_path / "source.onnx", registry=REGISTRY)
    options = {"opset": opset, "external": external}
    write(net, tmp_path / "net.onnx", options=options, registry=REGISTRY)
    command = ["snnbridge", "verify", "../source.onnx", "../net.onnx", "--engine", "onnxruntime"]
    code = (
        f"import sys; sys.path.append({sysconfig.get_paths()['purelib']!r}); "
        f"from snnbridge.__main__ import main; sys.argv = {command!r}; main()"
    )
    path = os.pathsep.join([str(ROOT), str(ROOT / "plugins")])
    done = subprocess.run(
        [python, "-c", code], cwd=tmp_path / "here", env={**os.environ, "PYTHONPATH": path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verdict: equivalent" in done.stdout
