"""The real SC-NeuroCore takes the pairs that snnbridge writes, and what it saves comes back."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

import beside
from npz_samples import everything, plain
from snnbridge import Registry, differences, read, write
from snnbridge.testing.strategies import checkpoints
from snnbridge_plugins import npz

REGISTRY = Registry([npz])
ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.live

JUDGE = """
import json, sys
from pathlib import Path
from sc_neurocore.transfer import freeze_layers, load_checkpoint, save_checkpoint

folder, action = Path(sys.argv[1]), sys.argv[2]
answers = {}
for file in sorted(folder.glob("*.npz")):
    base = file.with_suffix("")
    try:
        checkpoint = load_checkpoint(base)
        if action == "freeze":
            freeze_layers(checkpoint, until_index=0)
            checkpoint.metadata["epoch"] = 7
        if action == "train":
            checkpoint.weights[0] = checkpoint.weights[0] + 1e-9
        if action != "load":
            save_checkpoint(checkpoint, base)
        answers[base.name] = {
            "names": checkpoint.layer_names,
            "sizes": checkpoint.layer_sizes,
            "types": checkpoint.neuron_types,
            "frozen": checkpoint.frozen_layers,
            "sums": [repr(float(w.sum())) for w in checkpoint.weights],
        }
    except Exception as error:
        answers[base.name] = f"{type(error).__name__}: {error}"
print(json.dumps(answers))
"""


def judge(version, folder, action="load"):
    python = beside.python_of(f"sc-neurocore-{version}")
    done = subprocess.run(
        [python, "-c", JUDGE, str(folder), action], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def samples(count):
    """Draw checkpoints that use everything the model can hold."""
    found = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(checkpoints())
    def draw(checkpoint):
        found.append(checkpoint)

    draw()
    return found


def test_3_16_loads_every_pair_and_gives_every_bit_back_after_saving_it_itself(tmp_path):
    drawn = [everything(), plain(), plain(np.float64), *samples(60)]
    for i, checkpoint in enumerate(drawn):
        write(checkpoint, tmp_path / f"{i}.npz", registry=REGISTRY)
    answers = judge("3.16", tmp_path, "save")
    refused = {name: answer for name, answer in answers.items() if isinstance(answer, str)}
    assert not refused
    for i, checkpoint in enumerate(drawn):
        back = read(tmp_path / f"{i}.npz", registry=REGISTRY)
        assert differences(checkpoint, back) == []


def test_3_16_sees_the_layers_by_name_with_the_values_that_were_written(tmp_path):
    checkpoint = plain()
    write(checkpoint, tmp_path / "net.npz", registry=REGISTRY)
    seen = judge("3.16", tmp_path)["net"]
    assert seen["names"] == checkpoint.layer_names
    assert seen["types"] == checkpoint.neuron_types
    assert [tuple(size) for size in seen["sizes"]] == checkpoint.layer_sizes
    assert seen["sums"] == [repr(float(w.astype(np.float64).sum())) for w in checkpoint.weights]


def test_what_3_16_freezes_and_notes_is_read_back_and_the_rest_is_kept(tmp_path):
    checkpoint = everything()
    write(checkpoint, tmp_path / "net.npz", registry=REGISTRY)
    judge("3.16", tmp_path, "freeze")
    back = read(tmp_path / "net.npz", registry=REGISTRY)
    assert checkpoint.layer_names[0] in back.frozen_layers
    assert back.metadata["epoch"] == 7
    assert {path[0] for path, *_ in differences(checkpoint, back)} <= {"frozen_layers", "metadata"}
    assert any("re-saved by another tool" in note for note in back.source.notes)


def test_values_that_3_16_trained_are_read_as_they_are_now(tmp_path):
    checkpoint = plain()
    write(checkpoint, tmp_path / "net.npz", registry=REGISTRY)
    judge("3.16", tmp_path, "train")
    back = read(tmp_path / "net.npz", registry=REGISTRY)
    trained = checkpoint.weights[0].astype(np.float64) + 1e-9
    np.testing.assert_array_equal(back.weights[0], trained)
    assert back.weights[1].dtype == np.float32


@pytest.mark.parametrize("version", ["3.14", "3.15"])
def test_old_releases_load_a_permissive_pair(tmp_path, version):
    checkpoint = everything()
    del checkpoint.layers["mask"]  # 3.15 saves boolean matrices and then refuses to load them
    for name, each in (("net", checkpoint), ("plain", plain())):
        path = tmp_path / f"{name}.npz"
        write(each, path, registry=REGISTRY, options={"dialect": "permissive"})
    answers = judge(version, tmp_path)
    assert all(not isinstance(answer, str) for answer in answers.values()), answers


@pytest.mark.parametrize("version", ["3.14", "3.15", "3.16"])
def test_a_bare_pair_loads_and_has_the_text_that_the_framework_writes(tmp_path, version):
    checkpoint = plain(np.float64)
    dialect = "3.16" if version == "3.16" else "permissive"
    path = tmp_path / "net.npz"
    write(
        checkpoint, path, registry=REGISTRY, bare=True, allow_loss=True,
        options={"dialect": dialect},
    )  # fmt: skip
    ours = path.with_suffix(".json").read_bytes()
    assert not isinstance(judge(version, tmp_path, "save")["net"], str)
    assert path.with_suffix(".json").read_bytes() == ours
