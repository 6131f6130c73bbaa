"""Nets over images go from framework to framework, whatever the order of their axes."""

import json
from pathlib import Path

import numpy as np
import pytest

import beside
from snnbridge import Status, convert, read

ROOT = Path(__file__).parents[2]
PLACES = {"spyx": "spyx", "brainpy": "brainpy-2.8", "torch": "torch"}
#: By the framework, its files, and the format where their suffix is another's too.
FILES = {"spyx": ("net.msgpack", "spyx"), "brainpy": ("net.bp", None), "torch": ("net.pt", None)}
#: What an export does not say: a convolution of BrainPy takes images of any size.
SPEC = {"spyx": None, "torch": None, "brainpy": {"layers": {"Conv2d0": {"input_shape": [8, 12]}}}}

pytestmark = pytest.mark.live


def judge(framework, action, **arguments):
    """Ask the real framework."""
    told = f"{framework}_{action}", json.dumps(arguments)
    return beside.ask(PLACES[framework], "judge_images.py", *told, folder=arguments["folder"])


@pytest.fixture(scope="module", params=FILES)
def saved(request, tmp_path_factory):
    """Save and run a net of a framework; give its name and the folder."""
    folder = tmp_path_factory.mktemp(request.param)
    assert judge(request.param, "saves", folder=str(folder)) > 20  # spikes
    return request.param, folder


def turned(ledger):
    return [entry for entry in ledger if entry.status is Status.REWRITTEN]


PAIRS = [(source, target) for source in FILES for target in FILES if source != target]


@pytest.mark.parametrize(("saved", "target"), PAIRS, indirect=["saved"])
def test_the_layers_of_another_framework_give_the_same_spikes(target, saved):
    source, folder = saved
    suffix = FILES[target][0].removeprefix("net")
    done = convert(folder / FILES[source][0], folder / f"new{suffix}", to=target, spec=SPEC[source])
    assert done.verdict in ("equivalent", "identical")
    assert bool(turned(done.ledger)) == ("torch" in (source, target))
    told = {"folder": str(folder), "file": f"new{suffix}", "source": source}
    assert judge(target, "runs", **told) == 0


@pytest.mark.parametrize("saved", ["spyx", "brainpy"], indirect=True)
def test_a_net_comes_back_from_the_files_of_pytorch(saved):
    source, folder = saved
    name, suffix = FILES[source][0], Path(FILES[source][0]).suffix
    convert(folder / name, folder / "there.safetensors")
    convert(folder / "there.safetensors", folder / f"back{suffix}", to=source)
    first, back = read(folder / name, format=source), read(folder / f"back{suffix}", format=source)
    for layer, held in first.layers.items():
        for parameter, value in held.parameters.items():
            again = back.layers[layer].parameters[parameter].value
            assert np.array_equal(np.asarray(value.value), np.asarray(again))
    assert judge(source, "loads", folder=str(folder), file=f"back{suffix}") == 0
