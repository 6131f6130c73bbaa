"""The command line, as a person and as a program use it."""

import io
import json
import os
import signal
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


def test_things_that_one_reason_drops_share_a_row_of_the_ledger(run, tmp_path):
    out = run("convert", SNN, tmp_path / "snn.bp", "--spec", SPEC, "--bare")[1]
    shared = [line.split() for line in out.splitlines() if "of 'Lif0'" in line]
    assert [line[0] for line in shared if line[0] == "dropped"] == ["dropped"] * 3
    assert ["v_rest", "of", "'Lif0'"] in [line[:3] for line in shared]


def test_info_shows_what_an_opaque_layer_holds(run):
    file = ROOT / "fixtures/brainpy-2.8.2/brainstate_lif_soft.msgpack"
    assert "weight.bias float32[8]" in run("info", file)[1]
    found = json.loads(run("info", file, "--json")[1])
    assert found["layers"][0]["settings"]["weight.weight"] == "float32[12,8]"


def test_info_names_the_framework_of_the_layers_where_the_file_names_none(run, tmp_path):
    run("convert", SNN, tmp_path / "snn.h5", "--spec", SPEC)
    found = json.loads(run("info", tmp_path / "snn.h5", "--json")[1])
    assert (found["framework"], found["framework_version"]) == ("brainpy", "2.8.2")


def test_info_shows_names_that_would_not_be_seen_in_quotes(run):
    out = run("info", ROOT / "fixtures/sc-neurocore-3.16.0/odd_names.npz")[1]
    assert "' ' " in out


def test_convert_as_json_holds_ledger_and_verdict(run, tmp_path):
    code, out, _ = run("convert", SNN, tmp_path / "snn.npz", "--json")
    found = json.loads(out)
    assert (code, found["verdict"], found["target"]["format"]) == (0, "identical", "npz")
    assert {entry["status"] for entry in found["ledger"]} == {"exact"}


def test_a_refused_loss_shows_the_ledger_and_one_sentence_and_writes_nothing(run, tmp_path):
    code, out, err = run("convert", SNN, tmp_path / "snn.bp", "--spec", SPEC, "--bare")
    assert code == 2
    assert "Linear 'Dense0': weight, bias" in out
    assert "tau of 'Lif0'" in out
    assert err.startswith("snnbridge: nothing was written")
    assert "--allow-loss" in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_as_json_holds_reason_and_ledger(run, tmp_path):
    code, out, _ = run("convert", SNN, tmp_path / "x.bp", "--spec", SPEC, "--bare", "--json")
    found = json.loads(out)
    assert (code, found["verdict"]) == (2, "refused")
    assert "would be dropped" in found["reason"]
    assert {entry["status"] for entry in found["ledger"]} == {"exact", "dropped"}


def test_a_dry_run_shows_ledger_and_verdict_and_writes_nothing(run, tmp_path):
    code, out, _ = run("convert", SNN, tmp_path / "x.h5", "--dry-run")
    assert code == 0
    assert "Linear 'Dense0': weight, bias" in out
    assert "nothing written" in out
    assert "verdict: identical" in out
    assert list(tmp_path.iterdir()) == []


def test_the_files_really_written_are_named(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "wrote noext.npz and noext.json (npz)" in run("convert", SNN, "noext", "--to", "npz")[1]


def test_a_source_and_files_of_other_tools_are_replaced_by_force_only(run, tmp_path):
    own = tmp_path / "own.bp"
    own.write_bytes(Path(SNN).read_bytes())
    (tmp_path / "m.json").write_text('{"other": "tool"}')
    for arguments in (["convert", own, own, "--to", "hdf5"], ["convert", own, tmp_path / "m.npz"]):
        code, _, err = run(*arguments)
        assert (code, "--force" in err) == (2, True)
        assert run(*arguments, "--force")[0] == 0
        own.write_bytes(Path(SNN).read_bytes())


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
        "v_rest (V_rest)",
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


def test_names_from_a_file_cannot_steer_the_terminal_from_an_error(run, tmp_path):
    name = "\x1b[31mred.bp"
    code, _, err = run("info", tmp_path / name)
    assert (code, "\x1b" in err, "\\x1b[31mred" in err) == (2, False, True)


def test_info_stays_short_and_narrow_where_layers_have_many_parts(run, tmp_path):
    import numpy as np

    from snnbridge import Linear, Opaque, Parameter, SNNCheckpoint, write

    many = {f"array_{i}": Parameter(np.zeros(1, np.float32)) for i in range(300)}
    training = {f"key_{i}": i for i in range(50)}
    layers = [Opaque("x" * 300, parameters=many), Linear("fc", np.zeros((1, 1)))]
    write(SNNCheckpoint(layers, training=training), tmp_path / "x.h5")
    _, out, _ = run("info", tmp_path / "x.h5")
    assert "and 288 more" in out
    body = out.splitlines()[1:]  # the first line is the path, whole
    assert max(map(len, body)) <= 80
    assert len(body) < 80


def test_simulate_shows_what_readouts_hold_and_counts_in_words(run, tmp_path):
    import numpy as np

    drive = tmp_path / "drive.npy"
    np.save(drive, np.ones((1, 1, 100), np.float32))
    code, out, _ = run("simulate", SNN, "--spec", SPEC, "--input", drive)
    assert code == 0
    assert "Integrator0" in out
    assert "1 sample of 1 step\n" in out
    found = json.loads(run("simulate", SNN, "--spec", SPEC, "--input", drive, "--json")[1])
    assert np.shape(found["readouts"]["Integrator0"]) == (1, 2)


def test_a_checkpoint_is_never_replaced_by_a_result_but_a_former_result_is(run, tmp_path):
    out = tmp_path / "model.npz"
    run("convert", SNN, out)
    before = out.read_bytes()
    code, _, err = run("simulate", SNN, "--spec", SPEC, "--out", out)
    assert (code, "is a checkpoint" in err) == (2, True)
    assert out.read_bytes() == before
    for _ in range(2):
        assert run("simulate", SNN, "--spec", SPEC, "--out", tmp_path / "out.npz")[0] == 0
    code, _, err = run("info", tmp_path / "out.npz")
    assert (code, "results of `snnbridge simulate`" in err) == (2, True)


def test_a_stimulus_too_large_for_memory_is_refused_at_once(run):
    code, _, err = run("simulate", SNN, "--spec", SPEC, "--steps", 10**15)
    assert (code, "take fewer steps" in err) == (2, True)


def test_verify_shows_nothing_that_was_not_measured(run, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text(Path(SPEC).read_text().replace("V_th = 1.0", "V_th = 1.5"))
    code, out, _ = run("verify", SNN, SNN, "--spec", SPEC, "--spec-b", other)
    assert code == 1
    assert "nan" not in out
    assert "inf" not in out
    assert max(map(len, out.splitlines())) <= 80


def test_verify_runs_b_in_the_engine_of_its_format(run, tmp_path, monkeypatch):
    from dataclasses import replace

    import toy
    from snnbridge import Registry, hookimpl, simulate, write

    class Plugin:
        @staticmethod
        @hookimpl
        def snnbridge_formats():
            return [replace(toy.FORMAT, run=execute, engine="json")]

    def execute(path, inputs, options):
        network = read(path, registry=formats)
        return simulate(network, inputs, record={"Lif0": ("spikes",)}).traces

    formats = Registry([Plugin])
    write(read(SNN, spec=SPEC), tmp_path / "a.toy", registry=formats)
    monkeypatch.setattr("snnbridge.registry.default", lambda: formats)
    both = (tmp_path / "a.toy", tmp_path / "a.toy")
    code, out, _ = run("verify", *both, "--engine", "json")
    assert (code, "Lif0" in out, "verdict: equivalent" in out) == (0, True, True)
    code, _, err = run("verify", *both, "--engine", "other")
    assert (code, "its engine is json" in err) == (2, True)


def test_diff_finds_nothing_between_a_file_and_its_conversion(run, tmp_path):
    run("convert", SNN, tmp_path / "snn.h5")
    assert run("diff", SNN, tmp_path / "snn.h5")[:2] == (0, "no difference\n")


def test_diff_takes_formats_and_specs_of_both_sides(run, tmp_path):
    run("convert", SNN, tmp_path / "snn.h5", "--spec", SPEC)
    assert run("diff", SNN, tmp_path / "snn.h5", "--spec", SPEC)[0] == 0
    assert run("diff", tmp_path / "snn.h5", SNN, "--spec-b", SPEC, "--from-b", "brainpy")[0] == 0
    code, out, _ = run("diff", SNN, tmp_path / "snn.h5", "--json")
    kinds = {"/".join(x["path"]): x["kind"] for x in json.loads(out)}
    assert (code, kinds["layers/Lif0/tau"], kinds["connections"]) == (1, "unknown", "unknown")
    assert "Connection(" not in out
    assert run("diff", SNN, SNN, "--from-b", "hdf5")[0] == 2


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


def test_every_option_of_a_format_is_a_flag_of_its_own(run, tmp_path):
    done = run("convert", SNN, tmp_path / "a.npz", "--dialect", "permissive", "--check", "yes")
    assert done[0] == 0
    assert run("info", tmp_path / "a.npz", "--orientation=out-in")[0] == 0
    assert run("diff", SNN, tmp_path / "a.npz", "--orientation", "out-in", "--json")[0] == 0
    assert run("diff", SNN, tmp_path / "a.npz", "-o", "orientation=out-in")[0] == 0


def test_an_option_that_no_file_s_format_has_is_refused(run, tmp_path):
    code, _, err = run("convert", SNN, tmp_path / "a.h5", "--orientation", "out-in")
    assert (code, "neither for reading brainpy nor writing hdf5" in err) == (2, True)
    code, _, err = run("info", SNN, "--orientation", "out-in")
    assert (code, "format 'brainpy' has no option 'orientation'" in err) == (2, True)
    code, _, err = run("convert", SNN, tmp_path / "a.npz", "--dialect", "nope")
    assert (code, "must be one of 3.16, permissive" in err) == (2, True)


def test_trusted_files_are_read_as_such(run, tmp_path):
    for verb in (["info", SNN], ["diff", SNN, SNN], ["convert", SNN, tmp_path / "a.h5"]):
        assert run(*verb, "--trusted")[0] == 0


def test_formats_tells_options_within_80_columns(run):
    _, out, _ = run("formats", "-v")
    assert "--orientation" in out
    assert max(map(len, out.splitlines())) <= 80


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["convert", SNN], "Missing argument 'DST' (see `snnbridge convert --help`)"),
        (["info", SNN, "--nope"], "No such option '--nope'"),
        (["nope"], "No such command 'nope'"),
        (["simulate", SNN, "--rate", "nan"], "'nan' is not a finite number"),
        (["verify", SNN, SNN, "--tolerance", "inf"], "'inf' is not a finite number"),
        (["simulate", SNN, "--plot", "p.txt"], "'p.txt' must end in .png or .svg or .pdf"),
        (["simulate", SNN, "--out", "snn.bp"], "'snn.bp' must end in .npz"),
        (["verify", SNN, SNN, "--report", "snn.bp"], "'snn.bp' must end in .html or .htm"),
        (["verify", SNN, SNN, "--report", "r.html", "--engine", "x"], "leave --engine out"),
    ],
    ids=lambda x: Path(x[-1]).name if isinstance(x, list) else "",
)
def test_wrong_usage_is_one_sentence_with_2_and_a_hint(run, arguments, message):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("snnbridge: ")
    assert err.count("\n") == 1


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


def program(*arguments, shell="", **environment):
    """Run the program in a process of its own, perhaps as part of a shell's line."""
    command = " ".join(["snnbridge", *map(str, arguments), shell])
    script = f'snnbridge() {{ "{sys.executable}" -m snnbridge "$@"; }}; {command}'
    return subprocess.run(
        ["bash", "-c", script], capture_output=True, env={**os.environ, **environment}, check=False
    )


needs_shell = pytest.mark.skipif(os.name != "posix", reason="the lines are of a POSIX shell")


@needs_shell
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_any_encoding_of_the_terminal_will_do(tmp_path, encoding):
    import numpy as np

    from snnbridge import Linear, SNNCheckpoint, write

    write(SNNCheckpoint([Linear("schicht_\u03b1", np.zeros((1, 1)))]), tmp_path / "x.h5")
    done = program("info", tmp_path / "x.h5", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    shown = "\u03b1" if encoding == "utf-8" else "\\u03b1"
    assert f"schicht_{shown}" in done.stdout.decode(encoding)


@needs_shell
@pytest.mark.parametrize("shell", [">&-", ">&- 2>&-", "| head -c 1 >/dev/null"])
def test_a_closed_output_changes_neither_the_work_nor_the_code(tmp_path, shell):
    done = program("convert", SNN, tmp_path / "x.h5", shell=f"{shell}; exit ${{PIPESTATUS[0]}}")
    assert (done.returncode, done.stderr) == (0, b"")
    assert read(tmp_path / "x.h5").total_params == 1020


@pytest.mark.skipif(os.name != "posix", reason="no such signals")
def test_a_signal_to_end_leaves_nothing_half_written(run, tmp_path, monkeypatch):
    def end(target):
        assert any(tmp_path.iterdir())
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("snnbridge.storage.Target.preview", end)
    code, _, _ = run("convert", SNN, tmp_path / "x.h5")
    assert code == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_latency_of_an_engine_is_refused(capsys):
    with pytest.raises(SystemExit) as left:
        main(["verify", SNN, SNN, "--engine", "onnxruntime", "--latency"])
    assert left.value.code == 2
    assert "leave --engine out" in capsys.readouterr().err
