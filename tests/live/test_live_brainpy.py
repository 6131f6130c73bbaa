"""The real BrainPy loads what snnbridge writes, and snnbridge says what the real network is."""

import json
import os
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pytest

import beside
from snnbridge import (
    PER_STEP,
    UNKNOWN,
    Connection,
    Input,
    Linear,
    LossyWrite,
    Neuron,
    Quantity,
    Registry,
    SNNCheckpoint,
    StateVariable,
    Synapse,
    convert,
    differences,
    read,
    rules,
    write,
)
from snnbridge.model import Form, InputGain, Reset, Scheme
from snnbridge.node_trees import to_tree
from snnbridge.simulator import simulate
from snnbridge_plugins import brainpy

REGISTRY = Registry([brainpy])
ROOT = Path(__file__).parents[2]
SEARCHED = [ROOT, ROOT / "plugins"]
EDGES = [("Dense0", "Expon0"), ("Expon0", "Lif0"), ("Lif0", "Dense1"), ("Dense1", "Expon1")]
EDGES += [("Expon1", "Integrator0")]

pytestmark = pytest.mark.live


def judge(action, version="2.8", **arguments):
    """Ask the real BrainPy; its own packages come before those of this environment."""
    python = beside.python_of(f"brainpy-{version}")
    start = f"import sys; sys.path.append({sysconfig.get_paths()['purelib']!r}); "
    script = Path(__file__).with_name("judge_brainpy.py")
    start += f"import runpy; sys.argv = {['judge', action, json.dumps(arguments)]!r}; "
    start += f"runpy.run_path({str(script)!r}, run_name='__main__')"
    path = os.pathsep.join(map(str, SEARCHED))
    done = subprocess.run(
        [python, "-c", start],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path, "JAX_PLATFORMS": "cpu"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def arrays_in(checkpoint):
    """Give what BrainPy should hold: each array of the net by key."""
    native = to_tree(checkpoint)
    stored = {
        at[-1]: form.stored(
            checkpoint.state[path[1:]].value
            if path[0] == "state"
            else checkpoint.layers[path[1]].parameters[path[2]].value
        )
        for path, (at, form) in native.places.items()
        if path[0] != "training"
    }
    return {key: [array.dtype.name, array.tolist()] for key, array in stored.items()}


def opened(path):
    return read(path, registry=REGISTRY)


each_release = pytest.mark.parametrize("version", ["2.4", "2.8"])


@each_release
@pytest.mark.parametrize("wrapped", [False, True])
def test_brainpy_loads_what_became_of_its_own_file(wrapped, version, tmp_path):
    saved = judge("saves", version, path=str(tmp_path / "their.bp"), wrapped=wrapped)
    convert(tmp_path / "their.bp", tmp_path / "ours.bp", registry=REGISTRY)
    convert(tmp_path / "ours.bp", tmp_path / "bare.bp", bare=True, registry=REGISTRY)
    assert (tmp_path / "bare.bp").read_bytes() == (tmp_path / "their.bp").read_bytes()
    told = judge("loads", version, path=str(tmp_path / "ours.bp"))
    assert told["missing"] == told["unexpected"] == []
    assert told["arrays"] == saved
    assert told["keys"][-1] == "snnbridge"


@each_release
def test_what_brainpy_loaded_and_saved_again_is_the_same_file(version, tmp_path):
    checkpoint = from_elsewhere()
    write(checkpoint, tmp_path / "ours.bp", registry=REGISTRY)
    paths = {"path": str(tmp_path / "ours.bp"), "again": str(tmp_path / "again.bp")}
    judge("saves_again", version, **paths)
    assert (tmp_path / "again.bp").read_bytes() == (tmp_path / "ours.bp").read_bytes()
    assert differences(checkpoint, opened(tmp_path / "again.bp")) == []


@each_release
@pytest.mark.parametrize("name", ["snn.bp", "train_adam.bp", "codec_arrays.bp", "shared.bp"])
def test_a_recorded_file_that_snnbridge_wrote_again_is_loaded_and_saved_alike(
    name, version, tmp_path
):
    original = ROOT / "fixtures" / "brainpy-2.4.2" / name
    write(opened(original), tmp_path / "ours.bp", bare=True, registry=REGISTRY)
    paths = {"path": str(tmp_path / "ours.bp"), "again": str(tmp_path / "again.bp")}
    judge("saves_again", version, **paths)
    again = opened(tmp_path / "again.bp")
    assert differences(opened(original), again) == []


def from_elsewhere():
    rng = np.random.default_rng(3)
    sizes = {"fc1": (5, 6), "fc2": (2, 5)}
    weights = {
        name: [rng.normal(size=s).astype(np.float32) for s in (shape, shape[:1])]
        for name, shape in sizes.items()
    }
    return SNNCheckpoint(
        [
            Linear("fc1", *weights["fc1"]),
            Synapse("syn1", (5,)),
            Neuron("lif", (5,)),
            Linear("fc2", *weights["fc2"]),
            Synapse("syn2", (2,)),
            Neuron("out", (2,)),
        ],
        [Connection("fc1", "syn1"), Connection("syn1", "lif"), Connection("lif", "fc2")],
        state={("lif", "v"): StateVariable(np.full((1, 5), 0.5, np.float32), 0)},
    )


@each_release
@pytest.mark.parametrize("bare", [False, True])
def test_a_checkpoint_from_elsewhere_loads_into_a_fresh_network(bare, version, tmp_path):
    template = tmp_path / "template.bp"
    fresh = judge("saves", version, path=str(template))
    checkpoint = from_elsewhere()
    options = {"like": str(template)}
    write(checkpoint, tmp_path / "x.bp", bare=bare, allow_loss=bare, options=options,
          registry=REGISTRY)  # fmt: skip
    told = judge("loads", version, path=str(tmp_path / "x.bp"))
    assert told["missing"] == told["unexpected"] == []
    weight = checkpoint.layers["fc1"].weight.value
    assert told["arrays"]["Dense0.W"] == ["float32", weight.T.tolist()]
    assert told["arrays"]["Lif0.V"] == ["float32", [[0.5] * 5]]
    assert told["arrays"]["Expon1.g"] == fresh["Expon1.g"]
    assert told["arrays"].keys() == fresh.keys()
    if not bare:
        assert differences(checkpoint, opened(tmp_path / "x.bp")) == []


def test_export_says_everything_of_a_network_for_training(tmp_path):
    path = tmp_path / "snn.bp"
    judge("exports", path=str(path), connections=EDGES)
    checkpoint = opened(path)
    assert checkpoint.unknown() == [("step",)]
    assert checkpoint.dt == Quantity(1.0, "ms")
    assert checkpoint.connections == tuple(Connection(a, b) for a, b in EDGES)
    lif = checkpoint.layers["Lif0"]
    stated = {name: (held.value.tolist(), held.unit) for name, held in lif.parameters.items()}
    assert stated == {
        "tau": (10.0, "ms"), "v_rest": (0.0, None), "resistance": (1.0, None),
        "v_reset": (0.0, None), "threshold": (1.0, None),
    }  # fmt: skip
    assert lif.rule.reset is Reset.SUBTRACT
    assert lif.origin.version == "2.8.2"
    # The attribute `method` of an integrator says exp_auto whatever it was built with.
    readout = checkpoint.layers["Integrator0"].rule
    assert (readout.scheme, readout.form, readout.spiking) == (Scheme.EULER, Form.DERIVATIVE, False)
    assert checkpoint.layers["Expon0"].rule.input_gain is InputGain.ONE
    assert checkpoint.layers["Dense0"].weight.trainable is True
    assert {held.batch_axis for held in checkpoint.state.values()} == {0}
    assert checkpoint.extras["brainpy"]["modes"]["Lif0"] == "TrainingMode"


def test_brainpy_loads_what_export_wrote_as_one_of_its_own(tmp_path):
    path = tmp_path / "snn.bp"
    judge("exports", path=str(path))
    told = judge("loads", path=str(path))
    assert told["missing"] == told["unexpected"] == []
    assert told["arrays"] == arrays_in(opened(path))
    assert opened(path).connections is UNKNOWN


def test_export_holds_the_weights_of_a_network_outside_training(tmp_path):
    path = tmp_path / "a.bp"
    judge("exports", path=str(path), make="state_network", training=False)
    checkpoint = opened(path)
    assert checkpoint.layers["Dense0"].weight.value.shape == (10, 784)
    assert checkpoint.layers["Dense0"].weight.trainable is False
    assert checkpoint.layers["Lif0"].rule.reset is Reset.SET
    told = judge("loads", path=str(path), make="state_network", training=False)
    assert told["missing"] == told["unexpected"] == []
    with pytest.raises(LossyWrite):
        write(checkpoint, tmp_path / "bare.bp", bare=True, registry=REGISTRY)
    convert(path, tmp_path / "again.bp", registry=REGISTRY)
    assert differences(checkpoint, opened(tmp_path / "again.bp")) == []


def test_export_knows_the_edges_of_a_sequential_and_puts_channels_first(tmp_path):
    path = tmp_path / "image.bp"
    judge("exports", path=str(path), make="image_network")
    checkpoint = opened(path)
    names = ["Conv2d0", "Lif0", "MaxPool2d0", "Flatten0", "Dense0", "DualExpon0", "LifRef0"]
    assert checkpoint.connections == tuple(map(Connection, names, names[1:]))
    assert checkpoint.layers["Lif0"].shape == (2, 4, 4)
    assert checkpoint.layers["Lif0"].parameters["tau"].value.shape == (2, 4, 4)
    assert checkpoint.layers["Lif0"].parameters["tau"].trainable is True
    assert checkpoint.state["Lif0", "v"].value.shape == (1, 2, 4, 4)
    assert checkpoint.layers["Conv2d0"].stride == (2, 2)
    assert checkpoint.layers["MaxPool2d0"].window == (2, 2)
    told = judge("loads", path=str(path), make="image_network")
    assert told["missing"] == told["unexpected"] == []


@pytest.mark.parametrize(
    ("make", "shape", "training", "edges"),
    [
        ("training_network", (6,), True, EDGES),
        ("neuron_network", (6,), True, None),
        ("neuron_network", (6,), False, None),
        ("image_network", (8, 8, 1), True, None),
    ],
)
def test_an_exported_network_spikes_as_the_real_one(make, shape, training, edges, tmp_path):
    path = tmp_path / "net.bp"
    counts = judge(
        "runs", path=str(path), make=make, shape=shape, training=training, connections=edges
    )
    assert all(counts.values())
    told = np.load(path.with_suffix(".npz"))
    inputs = told["input"] if training else told["input"][:, None]
    if len(shape) > 1:
        inputs = np.moveaxis(inputs, -1, 2)
    # A kernel does not know the size of the images that it will see.
    spec = {"layers": {"Conv2d0": {"input_shape": [8, 8]}}} if len(shape) > 1 else None
    checkpoint = read(path, spec=spec, registry=REGISTRY)
    found = simulate(checkpoint, inputs, record=list(counts))
    for name in counts:
        spikes = told[name] if training else told[name][:, None]
        if spikes.ndim > 3:
            spikes = np.moveaxis(spikes, -1, 2)
        assert np.array_equal(found.spikes[name], spikes)


@pytest.mark.parametrize("loop", [False, True])
def test_a_net_is_built_loads_its_file_and_is_exported_as_it_was(loop, tmp_path):
    lif = rules.get("spikingjelly", "LIFNode").build("lif", shape=(2,), tau=4.0, v_reset=-0.25)
    layers = [Input("in", (3,)), Linear("fc", np.ones((2, 3), np.float32)), lif]
    edges = [Connection("in", "fc"), Connection("fc", "lif")]
    if loop:
        layers.append(Linear("back", np.eye(2, dtype=np.float32)))
        edges += [Connection("lif", "back", 1), Connection("back", "lif")]
    net = SNNCheckpoint(layers, connections=edges, dt=PER_STEP)
    paths = {name: str(tmp_path / f"{name}.bp") for name in ("path", "again")}
    write(net, paths["path"], options={"for": "brainpy"}, registry=REGISTRY)
    told = judge("builds", **paths)
    assert told == {"kind": "Recurrent" if loop else "Sequential", "strange": [], "dt": 1.0}
    ours, theirs = opened(paths["path"]), opened(paths["again"])
    assert {c for c in ours.connections if c.source != "in"} == set(theirs.connections)
    for name, layer in theirs.layers.items():
        held = {k: np.asarray(p.value).tolist() for k, p in ours.layers[name].parameters.items()}
        assert {k: np.asarray(p.value).tolist() for k, p in layer.parameters.items()} == held
        if isinstance(layer, Neuron):
            assert (layer.rule, layer.origin.kind) == (ours.layers[name].rule, "Lif")
    assert ours.state.keys() == theirs.state.keys()


def test_a_net_over_images_goes_on_from_the_state_of_its_file(tmp_path):
    path, again = tmp_path / "net.bp", tmp_path / "again.bp"
    assert judge("goes_on", path=str(path)) > 100
    checkpoint, told = opened(path), np.load(path.with_suffix(".npz"))
    checkpoint.step = 40  # which no file of BrainPy says
    assert np.array_equal(checkpoint.state["Lif0", "v"].value, np.moveaxis(told["v"], -1, 1))
    images = np.moveaxis(told["input"], -1, 2)
    found = simulate(checkpoint, images, record=["Lif0"], initial=checkpoint.state)
    assert np.array_equal(found.spikes["Lif0"], np.moveaxis(told["spikes"], -1, 2))
    convert(path, tmp_path / "net.h5")
    convert(tmp_path / "net.h5", again)
    assert judge("goes_on", path=str(path), again=str(again))


def test_save_pytree_writes_the_bytes_of_brainpy(tmp_path):
    assert judge("same_bytes", folder=str(tmp_path)) == 1


def test_the_states_of_a_running_network_are_saved_and_loaded_as_brainpy_does():
    assert judge("states_agree") == [True, True, 3.0]


def test_the_tutorials_examples_run_with_another_import(tmp_path):
    theirs, ours, names = judge("first_example", folder=str(tmp_path))
    assert theirs == ours == [[], []]
    assert names == ["SNN0", "Dense0", "Lif0", "ExponentialEuler0"]
    assert judge("second_example", folder=str(tmp_path)) == [[[], []], True]
