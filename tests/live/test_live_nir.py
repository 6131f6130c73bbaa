"""NIR's own package reads our files, and every importer runs them as the source does."""

import itertools
import json
import subprocess
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest

import beside
import nir_matrix
import recorded
from nir_matrix import PINNED, REGISTRY
from snnbridge import (
    PER_STEP,
    Connection,
    Conv1d,
    Conv2d,
    Input,
    Linear,
    Neuron,
    Output,
    Quantity,
    ReadError,
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
    python = beside.python_of(f"nir-{version}")
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
    beside.python_of("spyx" if importer == "spyx" else "torch")
    if importer in PINNED:
        beside.python_of(PINNED[importer])
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


def column(name, importer):
    """Return the cells of an importer in one table of the page, by the first column."""
    page = (Path(__file__).parents[2] / "docs" / "nir-importers.md").read_text(encoding="utf-8")
    table = page.partition(f"<!-- {name} -->\n")[2].partition("<!-- end -->")[0]
    rows = [[x.strip() for x in line.strip("|").split("|")] for line in table.splitlines()]
    place = rows[0].index(importer)
    return {row[0]: row[place] for row in rows[2:]}


@pytest.mark.parametrize("importer", IMPORTERS)
def test_plain_nir_is_run_otherwise_where_the_page_says_so(tmp_path, importer):
    beside.python_of("spyx" if importer == "spyx" else "torch")
    if importer in PINNED:
        beside.python_of(PINNED[importer])
    written = list(nir_matrix.unwritten(tmp_path, importer))
    nir_matrix.run(written, importer, tmp_path)
    found = {}
    for cell in written:
        found.setdefault(cell.source, Counter())[cell.outcome] += 1
    # Whether a net that begins at several nodes raises or runs is chance in NIRTorch's executor.
    told = {}
    for name, text in column("without", importer).items():
        right, wrong, error = map(int, text.partition(",")[0].split("/"))
        told[name] = right, wrong + error
    assert told == {name: (n["right"], n["wrong"] + n["error"]) for name, n in found.items()}
    assert sum(n["wrong"] for n in found.values()) > 5


@pytest.mark.parametrize("importer", IMPORTERS)
def test_a_net_of_any_shape_is_run_as_it_is_or_refused(tmp_path, importer):
    """Joins, ways past a layer and back, graphs inside: with ``--for``, and with ``--scheme``."""
    beside.python_of("spyx" if importer == "spyx" else "torch")
    if importer in PINNED:
        beside.python_of(PINNED[importer])
    written = list(nir_matrix.shapes(tmp_path, importer))
    release = nir_matrix.run(written, importer, tmp_path)
    assert release == IMPORTERS[importer].nir
    for cell in written:
        if cell.refused:
            continue
        assert (cell.name, cell.error, cell.wrong()) == (cell.name, None, 0)
        assert cell.out.any()
        net = by_scheme(cell, importer)
        last = next(n for n, x in net.layers.items() if isinstance(x, Output))
        found = simulate(net, cell.x, record={last: "output"}).traces[last, "output"]
        assert np.abs(found - cell.out.reshape(found.shape)).max() < 1e-4, cell.name


@pytest.mark.parametrize("importer", IMPORTERS)
def test_plain_nir_of_any_shape_is_read_as_the_importer_runs_it_or_refused(tmp_path, importer):
    beside.python_of("spyx" if importer == "spyx" else "torch")
    if importer in PINNED:
        beside.python_of(PINNED[importer])
    written = list(nir_matrix.shapes(tmp_path, importer, plain=True))
    nir_matrix.run(written, importer, tmp_path)
    read_at_all = 0
    for cell in written:
        try:
            net = by_scheme(cell, importer)
        except ReadError:
            continue
        read_at_all += 1
        assert cell.error is None, cell.name
        last = next(n for n, x in net.layers.items() if isinstance(x, Output))
        found = simulate(net, cell.x, record={last: "output"}).traces[last, "output"]
        assert np.abs(found - cell.out.reshape(found.shape)).max() < 1e-4, cell.name
    assert read_at_all


def by_scheme(cell, importer):
    """Read a file by its nodes alone, as an importer does, in the time step of the run."""
    dt = cell.planned.dt
    options = {"scheme": importer, **({"dt": str(dt)} if dt is not PER_STEP else {})}
    return read(cell.file, registry=REGISTRY, options=options)


@pytest.mark.parametrize("importer", IMPORTERS)
def test_reading_by_a_scheme_is_what_the_importer_does(tmp_path, importer):
    """The nodes alone, read by ``--scheme``, give the spikes of the real importer."""
    beside.python_of("spyx" if importer == "spyx" else "torch")
    if importer in PINNED:
        beside.python_of(PINNED[importer])
    written = [c for c in nir_matrix.cells(tmp_path, [importer]) if c.name.endswith("random")]
    nir_matrix.run(written, importer, tmp_path)
    for cell in written:
        if cell.refused:
            continue
        net = by_scheme(cell, importer)
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
    beside.python_of("torch")
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


@pytest.mark.parametrize("importer", ["norse", "snntorch", "spyx"])
@pytest.mark.parametrize("maps", [(3, 4, 6), (4, 4, 4)])
def test_each_neuron_of_an_image_has_its_own_time_constant_there(tmp_path, importer, maps):
    beside.python_of("spyx" if importer == "spyx" else "torch")
    rng = np.random.default_rng(0)
    decay = (rng.integers(8, 32, maps) / 32).astype(np.float32)
    kernel = (rng.integers(-16, 17, (maps[0], 2, 3, 3)) / 16).astype(np.float32)
    window = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
    neurons = {
        "spyx": lambda: rules.spyx.LIF("lif", shape=maps, beta=decay, threshold=0.5),
        "norse": lambda: rules.norse.LIFBoxCell("lif", shape=maps, tau_mem_inv=1000 * decay),
        "snntorch": lambda: rules.snntorch.Leaky(
            "lif", shape=maps, beta=decay, reset_mechanism="zero", reset_delay=False
        ),
    }[importer]()
    size = maps[1] + 2, maps[2] + 2
    conv = Conv2d("conv", kernel, np.zeros(maps[0], np.float32), input_shape=size, **window)
    layers = [Input("input", (2, *size)), conv, neurons, Output("output", maps)]
    edges = [Connection(a.name, b.name) for a, b in itertools.pairwise(layers)]
    dt = Quantity(1e-3, "s") if importer == "norse" else PER_STEP
    x = (rng.random((30, 2, 2, *size)) < 0.4).astype(np.float32)
    net = SNNCheckpoint(layers, connections=edges, dt=dt)
    cell = nir_matrix.Cell("ours", "image", importer, net, x, tmp_path / "net.nir")
    nir_matrix.put(cell)
    assert not cell.refused
    nir_matrix.run([cell], importer, tmp_path)
    assert (cell.error, cell.wrong()) == (None, 0)
    assert cell.out.any()


@pytest.mark.parametrize("importer", ["snntorch", "spikingjelly"])
@pytest.mark.parametrize("window", [(1, "same", 2), (3, 2, 1), (2, 0, 3)])
def test_a_convolution_along_one_axis_is_run_as_it_is(tmp_path, importer, window):
    beside.python_of("torch")
    stride, padding, dilation = window
    weight = np.random.default_rng(0).integers(-16, 17, (4, 2, 5)).astype(np.float32) / 16
    told = {"stride": stride, "padding": padding, "dilation": dilation, "groups": 1}
    conv = Conv1d("conv", weight, np.ones(4, np.float32) / 8, input_shape=(20,), **told)
    lif = rules.snntorch.Leaky("lif", beta=0.75, reset_mechanism="zero", reset_delay=False)
    layers = [Input("in", (2, 20)), conv, lif]
    edges = [Connection(a.name, b.name) for a, b in itertools.pairwise(layers)]
    x = (np.random.default_rng(1).random((30, 3, 2, 20)) < 0.5).astype(np.float32)
    net = SNNCheckpoint(layers, connections=edges, dt=PER_STEP)
    cell = nir_matrix.Cell("ours", "conv1d", importer, net, x, tmp_path / "net.nir")
    nir_matrix.put(cell)
    assert not cell.refused
    nir_matrix.run([cell], importer, tmp_path)
    assert (cell.error, cell.wrong()) == (None, 0)
    assert cell.out.any()
