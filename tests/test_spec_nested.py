"""What a reader assumed, and layers of graphs inside a graph: info, form, spec and simulation."""

import json
import tomllib

import numpy as np
import pytest

import nir_graphs
from snnbridge import Registry, SNNCheckpoint, SpecError, read, rules, simulate, spec, write
from snnbridge.cli import main
from snnbridge.model import Reset
from snnbridge_plugins import nir

REGISTRY = Registry([nir])
ROOT = "fixtures/nir-1.0.8"
NESTED = f"{ROOT}/nested.nir"
OLD = "fixtures/nir-1.0.4/mlp.nir"


@pytest.fixture
def run(capsys, monkeypatch):
    monkeypatch.setattr("warnings.showwarning", None)

    def call(*arguments):
        with pytest.raises(SystemExit) as left:
            main([str(a) for a in arguments])
        shown = capsys.readouterr()
        return left.value.code, shown.out, " ".join(shown.err.split())

    return call


def test_info_form_and_simulation_call_an_inner_layer_by_one_name(run):
    found = json.loads(run("info", NESTED, "--json")[1])
    assert "sub.graph/lif" in [layer["name"] for layer in found["layers"]]
    assert "layers.sub.graph/lif.rule.scheme" in found["unknown"]
    assert '[layers."sub.graph/lif"]' in run("spec", NESTED)[1]
    assert "'sub.graph/lif': its rule" in run("simulate", NESTED)[2]


def test_a_filled_in_form_of_a_graph_inside_runs():
    form = spec.skeleton(read(NESTED))
    stated = tomllib.loads(
        form.replace('dt = "?"', 'dt = "0.1 ms"').replace('method = "?"', 'method = "euler"')
    )
    checkpoint = read(NESTED, spec=stated)
    size = checkpoint.layers["input"].shape
    assert simulate(checkpoint, np.ones((3, 1, *size), np.float32)).steps == 3


def test_a_delay_inside_is_stated_by_the_names_from_outside(tmp_path):
    make = nir_graphs.Maker("norse")
    make.ends()
    nir_graphs.SHAPES["a graph inside"](make)
    inner = nir_graphs.Maker("norse")
    inner.ends()
    nir_graphs.SHAPES["recurrent matrix"](inner)
    block = next(x for x in make.layers if x.name == "block")
    place = make.layers.index(block)
    make.layers[place] = type(block)(
        "block", inner.layers, tuple(inner.edges), block.inputs, block.outputs
    )
    write(make.net(), tmp_path / "net.nir", registry=REGISTRY)
    with_nodes_alone(tmp_path / "net.nir")
    bare = read(tmp_path / "net.nir", registry=REGISTRY)
    assert '["block/rec", "block/lif", 1]' in spec.skeleton(bare)
    full = spec.apply(bare, {"connections": [["block/rec", "block/lif", 1]]})
    delays = {(c.source, c.target): c.delay for c in full.layers["block"].connections}
    assert delays["rec", "lif"] == 1
    with pytest.raises(SpecError, match="is not in the file"):
        spec.apply(bare, {"connections": [["block/rec", "block/a", 1]]})


def with_nodes_alone(path):
    """Take our own description out of a file."""
    import h5py

    with h5py.File(path, "r+") as file:
        del file["node/metadata"]


def test_a_reset_that_the_file_states_is_not_asked_for(run):
    form = run("spec", f"{ROOT}/reset.nir")[1]
    assert 'method = "?"' in form
    assert "v_reset" not in form


@pytest.mark.parametrize(
    ("stated", "reset"), [(0.0, Reset.SET), ("none", Reset.SUBTRACT), (-1.0, Reset.SET)]
)
def test_a_spec_goes_before_what_the_reader_assumed(stated, reset):
    assert 'v_reset = "?"' in spec.skeleton(read(OLD))
    lif = read(OLD, spec={"layers": {"lif": {"v_reset": stated}}}).layers["lif"]
    assert lif.rule.reset is reset
    assert ("v_reset" in lif.parameters) is (reset is Reset.SET)


def test_a_reset_that_an_option_chose_is_no_assumption():
    with pytest.raises(SpecError, match="reset is 'set' in the file"):
        read(OLD, options={"reset": "zero"}, spec={"layers": {"lif": {"v_reset": "none"}}})


def test_defaults_leave_an_assumed_reset_whole():
    stated = {"defaults": True, "method": "euler", "dt": "0.1 ms"}
    lif = read(OLD, spec=stated).layers["lif"]
    assert (lif.rule.reset, "v_reset" in lif.parameters) == (Reset.SUBTRACT, False)


def test_nir_has_no_scheme_by_default():
    lif = read(OLD, spec={"defaults": True}).layers["lif"]
    assert "rule.scheme" in lif.unknown()
    assert 'nir\'s default is "euler"' not in spec.skeleton(read(OLD))


def test_a_class_without_an_open_argument_is_asked_for_by_itself(tmp_path):
    ramp = rules.nir.IF("ramp", shape=(2,), v_threshold=1.0, v_reset=-1.0)
    path = tmp_path / "net.nir"
    write(SNNCheckpoint([ramp], connections=()), path, registry=REGISTRY)
    with_nodes_alone(path)
    bare = read(path, registry=REGISTRY)
    assert 'class = "?"  # "IF", to run it as dv/dt = r*x' in spec.skeleton(bare)
    full = spec.apply(bare, {"dt": "1 ms", "layers": {"ramp": {"class": "IF"}}})
    assert simulate(full, np.ones((3, 1, 2), np.float32)).steps == 3


def test_all_that_a_simulation_lacks_is_named_at_once_with_the_options_that_state_it(run):
    told = run("simulate", f"{ROOT}/mlp.nir")[2]
    assert "dt" in told
    assert "'lif': its rule" in told
    assert "for nir files, with --dt and --scheme" in told


def test_an_option_may_be_for_the_second_file_alone(run):
    file = f"{ROOT}/mlp.nir"
    both = run("diff", file, file, "--scheme", "euler", "--dt", "1e-4")
    assert both[0] == 0
    for form in (("--scheme-b", "exact"), ("--option-b", "scheme=exact")):
        code, out, _ = run("diff", file, file, "--scheme", "euler", "--dt", "1e-4", *form)
        assert code == 1
        assert "scheme" in out


def test_an_option_for_the_second_file_that_its_format_does_not_have_is_refused(run):
    code, _, told = run("diff", f"{ROOT}/mlp.nir", f"{ROOT}/mlp.nir", "--option-b", "classes=x")
    assert code == 2
    assert "classes" in told
