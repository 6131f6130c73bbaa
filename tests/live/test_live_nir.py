"""NIR's own package reads our files, and every importer runs them as the source does."""

import itertools
import json
import subprocess

import h5py
import numpy as np
import pytest

import nir_matrix
import recorded
from nir_matrix import ENVIRONMENTS, INSIDE, PINNED, REGISTRY
from snnbridge import (
    PER_STEP,
    Connection,
    Input,
    Linear,
    Neuron,
    Output,
    SNNCheckpoint,
    differences,
    read,
    rules,
    simulate,
    verify,
    write,
)
from snnbridge_plugins.nir.importers import IMPORTERS

pytestmark = pytest.mark.live

_ROUND = """
import json, sys, nir
for source, target in json.loads(sys.stdin.read()):
    nir.write(target, nir.read(source))
print(nir.version)
"""


def interpreter(name):
    python = ENVIRONMENTS / name / INSIDE
    if not python.is_file():
        pytest.skip(f"no environment {name}")
    return python


def kinds(file):
    """Return the types of nodes of a file, and whether any states v_reset."""
    with h5py.File(file) as held:
        nodes = held["node/nodes"].values()
        return {n["type"][()].decode() for n in nodes}, any("v_reset" in n for n in nodes)


def readable(file, version):
    """Whether a release has all the nodes and fields of a file."""
    found, resets = kinds(file)
    if any(kind.startswith("snnbridge.") for kind in found):
        return False
    return version == "1.0.8" or not (resets or "CubaLI" in found)


@pytest.mark.parametrize("version", ["1.0.4", "1.0.8"])
def test_the_package_reads_what_we_write_and_its_copy_still_says_everything(tmp_path, version):
    python = interpreter(f"nir-{version}")
    pairs = []
    for number, (book, stem, name) in enumerate(recorded.cases()):
        file = tmp_path / f"{number}.nir"
        write(recorded.Recorded(book, stem, name).net, file, registry=REGISTRY)
        if readable(file, version):
            pairs.append((file, tmp_path / f"{number}.again.nir"))
    assert len(pairs) > 200
    given = json.dumps([[str(a), str(b)] for a, b in pairs])
    done = subprocess.run(
        [python, "-c", _ROUND], input=given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == version
    for ours, theirs in pairs:
        again = read(theirs, registry=REGISTRY)
        assert again.source.dialect == "snnbridge", again.source.notes
        assert differences(read(ours, registry=REGISTRY), again) == []


@pytest.mark.parametrize("importer", IMPORTERS)
def test_what_is_written_for_an_importer_has_the_source_s_spikes_there(tmp_path, importer):
    interpreter("spyx" if importer == "spyx" else "torch")
    if importer in PINNED:
        interpreter(PINNED[importer])
    written = list(nir_matrix.cells(tmp_path, [importer]))
    nir_matrix.run(written, importer, tmp_path)
    taken = [cell for cell in written if not cell.refused]
    assert len(taken) > 10
    for cell in taken:
        assert cell.error is None, f"{cell.source} {cell.name}: {cell.error}"
        wrong = cell.wrong()
        # Where a rounding decides, the verdict on the plan says that it cannot be told.
        if wrong and not cell.exact:
            told = verify(cell.net, cell.planned, inputs=cell.x).verdict
            assert told in ("indeterminate", "different"), f"{cell.source} {cell.name}"
            wrong = 0
        assert wrong == 0, f"{cell.source} {cell.name}: {wrong} outputs differ"


@pytest.mark.parametrize("importer", IMPORTERS)
def test_reading_by_a_scheme_is_what_the_importer_does(tmp_path, importer):
    """The nodes alone, read by ``--scheme``, give the spikes of the real importer."""
    interpreter("spyx" if importer == "spyx" else "torch")
    if importer in PINNED:
        interpreter(PINNED[importer])
    written = [c for c in nir_matrix.cells(tmp_path, [importer]) if c.name.endswith("random")]
    nir_matrix.run(written, importer, tmp_path)
    for cell in written:
        if cell.refused:
            continue
        dt = cell.planned.dt
        options = {"scheme": importer, **({"dt": str(dt)} if dt is not PER_STEP else {})}
        net = read(cell.file, registry=REGISTRY, options=options)
        neuron = [n for n, x in net.layers.items() if isinstance(x, Neuron)][-1]
        if not net.layers[neuron].rule.spiking:
            continue
        found = simulate(net, cell.x, record={neuron: "output"}).traces[neuron, "output"]
        assert (found == cell.out.reshape(found.shape)).all(), f"{cell.source} {cell.name}"


@pytest.mark.parametrize("importer", ["norse", "snntorch"])
@pytest.mark.parametrize(
    "names",
    [("in", "a.b", "a_b", "o"), ("output", "input", "if", "type"), ("x", "", "..", "forward")],
    ids=".".join,
)
def test_any_names_of_layers_are_usable_ones_for_an_importer(tmp_path, importer, names):
    interpreter("torch")
    ours = dict(zip(("in", "fc", "lif", "out"), names, strict=True))
    leaky = rules.get("snntorch", "Leaky").build(
        ours["lif"], shape=(2,), beta=0.75, reset_mechanism="zero", reset_delay=False
    )
    weight = np.ones((2, 3), np.float32)
    layers = [Input(ours["in"], (3,)), Linear(ours["fc"], weight), leaky, Output(ours["out"], (2,))]
    edges = [Connection(a, b) for a, b in itertools.pairwise(names)]
    x = np.random.default_rng(0).random((10, 2, 3)).astype(np.float32)
    net = SNNCheckpoint(layers, connections=edges)
    cell = nir_matrix.Cell("ours", "names", importer, net, x, tmp_path / "net.nir")
    nir_matrix.put(cell)
    nir_matrix.run([cell], importer, tmp_path)
    assert (cell.error, cell.wrong()) == (None, 0)
