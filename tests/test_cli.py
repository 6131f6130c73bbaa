"""The command line, as a person and as a program use it."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from snnbridge import read
from snnbridge.cli import main

ROOT = Path(__file__).resolve().parents[1]
SNN = str(ROOT / "fixtures/brainpy-2.8.2/snn.bp")
SPEC = str(ROOT / "fixtures/specs/snn.toml")
MLP = str(ROOT / "fixtures/sc-neurocore-3.16.0/mlp.npz")


@pytest.fixture
def run(capsys, monkeypatch):
    monkeypatch.setattr("warnings.showwarning", None)

    def call(*arguments):
        with pytest.raises(SystemExit) as left:
            main([str(a) for a in arguments])
        shown = capsys.readouterr()
        return left.value.code, shown.out, shown.err

    return call


def test_convert_says_what_became_of_everything(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run("convert", SNN, "snn.h5", "--spec", SPEC)
    assert (code, err) == (0, "")
    assert "verdict: identical" in out
    assert "Linear 'Dense0': weight, bias" in out
    assert max(map(len, out.splitlines())) <= 80


def test_convert_as_json_holds_ledger_and_verdict(run, tmp_path):
    code, out, _ = run("convert", SNN, tmp_path / "snn.npz", "--json")
    found = json.loads(out)
    assert (code, found["verdict"], found["target"]["format"]) == (0, "identical", "npz")
    assert {entry["status"] for entry in found["ledger"]} == {"exact"}


def test_a_loss_is_refused_with_one_sentence_and_nothing_is_written(run, tmp_path):
    code, out, err = run("convert", SNN, tmp_path / "snn.bp", "--spec", SPEC, "--bare")
    assert (code, out) == (2, "")
    assert err.startswith("snnbridge: nothing was written")
    assert "--allow-loss" in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_permitted_loss_leaves_with_the_code_of_what_cannot_be_told(run, tmp_path):
    code, out, _ = run(
        "convert", SNN, tmp_path / "snn.bp", "--spec", SPEC, "--bare", "--allow-loss"
    )
    assert code == 3
    assert "dropped" in out
    assert "verdict: indeterminate" in out


def test_no_verify_writes_without_a_verdict(run, tmp_path):
    code, out, _ = run("convert", SNN, tmp_path / "snn.h5", "--no-verify")
    assert code == 0
    assert "verdict" not in out
    assert (tmp_path / "snn.h5").exists()


def test_info_shows_layers_and_what_the_file_does_not_say(run, monkeypatch):
    monkeypatch.chdir(ROOT)
    code, out, err = run("info", "fixtures/brainpy-2.8.2/snn.bp")
    assert (code, err) == (0, "")
    for words in (
        "brainpy",
        "Dense0",
        "float32[10,100]",
        "The file does not say",
        "threshold",
        "sha256",
    ):
        assert words in out
    assert max(map(len, out.splitlines())) <= 80


def test_info_as_json_has_everything_a_program_needs(run):
    _, out, _ = run("info", SNN, "--json")
    found = json.loads(out)
    assert {
        "format", "dialect", "framework", "layers", "connections", "dt", "training",
        "total_params", "unknown", "digest",
    } <= set(found)  # fmt: skip
    assert found["training"] == ["epoch_i", "train_loss"]
    assert found["total_params"] == 1020
    dense = next(x for x in found["layers"] if x["name"] == "Dense0")
    assert dense["parameters"]["weight"]["shape"] == [10, 100]
    assert dense["parameters"]["weight"]["dtype"] == "float32"
    assert dense["frozen"] is False
    assert "dt" in found["unknown"]


def test_info_shows_the_history_of_conversions(run, tmp_path):
    run("convert", SNN, tmp_path / "snn.h5")
    _, out, _ = run("info", tmp_path / "snn.h5")
    assert "converted by snnbridge" in out
    assert "snn.bp" in out


def test_names_from_a_file_cannot_steer_the_terminal(run, tmp_path):
    import numpy as np

    from snnbridge import Linear, SNNCheckpoint, write

    write(SNNCheckpoint([Linear("\x1b[31mred", np.zeros((1, 1)))]), tmp_path / "x.h5")
    _, out, _ = run("info", tmp_path / "x.h5")
    assert "\x1b" not in out
    assert "\\x1b[31mred" in out


def test_diff_finds_nothing_between_a_file_and_its_conversion(run, tmp_path):
    run("convert", SNN, tmp_path / "snn.h5")
    assert run("diff", SNN, tmp_path / "snn.h5")[:2] == (0, "no difference\n")


def test_diff_lists_every_difference_by_path(run):
    code, out, _ = run("diff", SNN, MLP, "--json")
    found = json.loads(out)
    assert code == 1
    assert {"path", "kind", "left", "right", "count"} == set(found[0])
    code, out, _ = run("diff", SNN, MLP)
    assert (code, f"{len(found)} differences" in out) == (1, True)


def test_formats_lists_what_is_installed(run):
    code, out, _ = run("formats")
    assert code == 0
    for name in ("brainpy", "hdf5", "npz"):
        assert name in out
    found = json.loads(run("formats", "--json")[1])
    assert {f["name"] for f in found} >= {"brainpy", "hdf5", "npz"}
    assert all(f["reads"] and f["writes"] for f in found)


def test_spec_prints_a_form_that_is_a_valid_spec(run, tmp_path):
    code, out, _ = run("spec", SNN)
    assert code == 0
    (tmp_path / "net.toml").write_text(out)
    assert run("info", SNN, "--spec", tmp_path / "net.toml")[0] == 0
    assert 'V_th = "?"' in out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(run, shell):
    code, out, _ = run("completion", shell)
    assert (code, "_SNNBRIDGE_COMPLETE" in out) == (0, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["info", "no such file"],
        ["info", str(ROOT / "README.md")],
        ["convert", SNN, "x.unknown"],
        ["convert", SNN, "x.h5", "--to", "nope"],
        ["convert", SNN, "x.h5", "-o", "nope=1"],
        ["info", SNN, "--from", "nope"],
        ["diff", SNN, "no such file"],
    ],
    ids=lambda a: " ".join(Path(x).name for x in a),
)
def test_what_cannot_be_done_is_one_sentence_and_code_2(run, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("snnbridge: ")
    assert "Traceback" not in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_wrong_usage_leaves_with_2_and_a_hint(run):
    code, _, err = run("convert", SNN)
    assert code == 2
    assert "Usage" in err


def test_help_has_examples(run):
    for verb in ("convert", "info", "diff", "formats", "spec", "completion"):
        code, out, _ = run(verb, "--help")
        assert code == 0
        assert "Example" in out
        assert max(map(len, out.splitlines())) <= 80


def test_the_version_is_that_of_the_package(run):
    from importlib.metadata import version

    assert run("--version")[1] == f"snnbridge {version('snnbridge')}\n"


def test_help_imports_neither_numpy_nor_the_formats():
    code = (
        "import sys; from snnbridge.cli import main\n"
        "try: main(['convert', '--help'])\n"
        "except SystemExit: pass\n"
        "bad = {'numpy', 'h5py', 'rich', 'onnx', 'snnbridge_plugins'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_python_m_snnbridge_is_the_same_program():
    done = subprocess.run(
        [sys.executable, "-m", "snnbridge", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("snnbridge ")


def test_a_conversion_leaves_a_file_that_reads_equal(run, tmp_path):
    from snnbridge import differences

    run("convert", SNN, tmp_path / "a.npz")
    run("convert", tmp_path / "a.npz", tmp_path / "b.h5")
    run("convert", tmp_path / "b.h5", tmp_path / "c.bp", "--bare")
    assert (tmp_path / "c.bp").read_bytes() == Path(SNN).read_bytes()
    assert differences(read(SNN), read(tmp_path / "b.h5")) == []


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_progress_bar_shows_on_a_terminal_after_a_second_and_nowhere_else(monkeypatch):
    from snnbridge.cli import progress

    def shown(screen, patience):
        monkeypatch.setattr("sys.stderr", screen)
        monkeypatch.setattr(progress, "_PATIENCE", patience)
        with progress.Progress("a to b") as bar:
            bar.update("writing", 512, 1024)
        return screen.getvalue()

    assert "writing" in shown(Terminal(), 0.0)
    assert shown(Terminal(), 60.0) == ""
    assert shown(io.StringIO(), 0.0) == ""
