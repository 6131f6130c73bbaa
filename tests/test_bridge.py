"""Reading, writing and converting keep what they promise, whatever a format does."""

import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import toy
from snnbridge import (
    UNKNOWN,
    AmbiguousFormat,
    CheckpointError,
    Connection,
    FormatUnavailable,
    Linear,
    LossyWrite,
    Neuron,
    Option,
    OptionError,
    Origin,
    ReadError,
    Registry,
    SNNCheckpoint,
    SourceInfo,
    SpecError,
    StateVariable,
    Status,
    UnknownFormat,
    WriteError,
    convert,
    differences,
    hookimpl,
    read,
    rewrites,
    rules,
    write,
)
from snnbridge.bridge import engine, find
from snnbridge.ledger import ORDER
from snnbridge.storage.journal import lock_path
from snnbridge.storage.system import locked

TOY = Registry([toy])


def checkpoint():
    weight = np.arange(6, dtype=np.float32).reshape(2, 3)
    return SNNCheckpoint(
        [Linear("fc", weight), Neuron("lif", (2,), {"tau": 5.0}, origin=Origin("brainpy", "Lif"))],
        [Connection("fc", "lif")],
        training={"epoch": 3},
    )


def with_format(**changes):
    class Plugin:
        @staticmethod
        @hookimpl
        def snnbridge_formats():
            return [replace(toy.FORMAT, **changes)]

    return Registry([Plugin])


def raising(error):
    def act(*_):
        raise error

    return act


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "a.toy"
    write(checkpoint(), path, registry=TOY)
    return path


def test_what_is_written_is_read_back_equal(source):
    assert differences(checkpoint(), read(source, registry=TOY)) == []


def test_a_path_without_its_suffix_finds_the_file(source):
    assert read(source.with_suffix(""), registry=TOY).layer_names == ["fc"]


def test_a_checkpoint_says_where_it_was_read_from(source):
    found = read(source, registry=TOY).source
    assert (found.format, found.path) == ("toy", str(source))


def test_a_path_without_its_suffix_that_several_formats_fit_is_ambiguous(source):
    class Plugin:
        @staticmethod
        @hookimpl
        def snnbridge_formats():
            sniff = lambda probe: probe.head == b"other"  # noqa: E731
            return [replace(toy.FORMAT, name="other", sniff=sniff, suffixes=(".other",))]

    registry = Registry([toy, Plugin])
    source.with_suffix(".other").write_bytes(b"other")
    with pytest.raises(AmbiguousFormat, match=r"a\.other, a\.toy are all there; name one"):
        read(source.with_suffix(""), registry=registry)
    assert find(source.with_suffix(""), format="toy", registry=registry)[0] == source


@pytest.mark.parametrize(
    "name",
    ["brainpy-2.4.2/lif_default_exp.bp", "nir-1.0.8/mlp.nir", "norse-1.1.0/mlp_dyadic.pt"],
)
def test_reading_loads_neither_the_simulator_nor_its_kernel(name):
    path = Path(__file__).parent.parent / "fixtures" / name
    code = (
        "import sys, snnbridge\n"
        f"snnbridge.read({str(path)!r})\n"
        "kernel = {f'snnbridge.simulator.{x}' for x in ('simulator', '_kernel')}\n"
        "bad = kernel & set(sys.modules)\n"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing here"):
        read(tmp_path / "nothing here", registry=TOY)


def test_a_file_that_is_just_being_replaced_is_waited_for(source):
    data = source.read_bytes()
    source.unlink()
    with locked(lock_path(source)):
        threading.Timer(0.05, source.write_bytes, [data]).start()
        assert read(source, registry=TOY).layer_names == ["fc"]


@pytest.mark.parametrize("trusted", [False, True])
def test_a_reader_knows_whether_its_file_is_trusted(source, trusted):
    seen = []

    def look(file, options):
        seen.append(file.trusted)
        return toy.read(file, options)

    read(source, trusted=trusted, registry=with_format(read=look))
    assert seen == [trusted]


def test_an_explicit_format_is_never_overruled(tmp_path):
    path = tmp_path / "a.toy"
    path.write_bytes(b"{}")
    with pytest.raises(ReadError):
        read(path, format="toy", registry=TOY)


@pytest.mark.parametrize(
    "error", [KeyError("x"), RecursionError(), MemoryError(), ValueError("bad"), ReadError("cut")]
)
def test_whatever_a_reader_raises_becomes_a_read_error_with_the_path(source, error):
    with pytest.raises(ReadError, match=r"a\.toy"):
        read(source, registry=with_format(read=raising(error)))


@pytest.mark.parametrize("error", [KeyError("x"), OSError("disk"), CheckpointError("no")])
def test_whatever_a_writer_raises_leaves_the_old_file(source, error):
    before = source.read_bytes()
    with pytest.raises(WriteError, match=r"a\.toy"):
        write(checkpoint(), source, registry=with_format(write=raising(error)))
    assert source.read_bytes() == before
    assert [p.name for p in source.parent.iterdir()] == ["a.toy"]


def test_options_are_checked_before_anything_happens(source):
    with pytest.raises(OptionError, match="no option 'size'; for reading it has: colour"):
        read(source, options={"size": 1}, registry=TOY)
    with pytest.raises(OptionError, match="one of red, blue, not 'green'"):
        write(checkpoint(), source, options={"colour": "green"}, registry=TOY)
    with pytest.raises(OptionError, match="'bare'"):
        write(checkpoint(), source, bare=True, registry=with_format(holds_bare=frozenset()))


def test_an_option_of_the_other_direction_is_refused_not_ignored(source):
    options = (Option("in", "x", direction="reading"), Option("out", "x", direction="writing"))
    registry = with_format(options=options)
    read(source, options={"in": "1"}, registry=registry)
    write(checkpoint(), source, options={"out": "1"}, registry=registry)
    with pytest.raises(OptionError, match="'out' of format 'toy' is for writing, not for reading"):
        read(source, options={"out": "1"}, registry=registry)
    with pytest.raises(OptionError, match="'in' of format 'toy' is for reading, not for writing"):
        write(checkpoint(), source, options={"in": "1"}, registry=registry)


def test_a_format_that_cannot_write_says_so(source):
    with pytest.raises(UnknownFormat, match="does not write"):
        write(checkpoint(), source, format="toy", registry=with_format(write=None))


def test_what_would_be_lost_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(LossyWrite, match=r"nothing was written: .* would be dropped, because"):
        write(checkpoint(), tmp_path / "b.toy", bare=True, registry=TOY)
    assert list(tmp_path.iterdir()) == []


def test_a_permitted_loss_stands_in_the_ledger(tmp_path):
    ledger = write(checkpoint(), tmp_path / "b.toy", bare=True, allow_loss=True, registry=TOY)
    lost = {entry.path for entry in ledger.losses}
    assert lost == {("layers", "lif"), ("connections",), ("training",)} or lost == {
        ("layers", "lif"),
        ("connections",),
        ("training", "epoch"),
    }
    assert all("has no place for" in entry.reason for entry in ledger.losses)


def test_a_format_may_name_losses_of_its_own(tmp_path):
    picky = with_format(losses=lambda c, o: [(("layers", "fc", "weight"), "it is too large")])
    with pytest.raises(LossyWrite, match="it is too large"):
        write(checkpoint(), tmp_path / "b.toy", registry=picky)


def lossy(*paths):
    return with_format(losses=lambda c, o: [(path, "no place") for path in paths])


def lines(ledger):
    return [(entry.status.value, entry.what) for entry in ledger]


def stateful():
    state = {("lif", name): StateVariable(np.zeros(2), 0) for name in ("v", "i")}
    return replace(checkpoint(), state=state, training={"epoch_i": 3, "loss": {"a": 1, "b": 2}})


@pytest.mark.parametrize(
    ("path", "dropped", "kept"),
    [
        (("layers", "lif", "tau"), "tau of 'lif'", "Neuron 'lif'"),
        (("layers", "lif", "tau", "unit"), "tau.unit of 'lif'", "Neuron 'lif': tau (but for unit)"),
        (("state", "lif", "v"), "state 'v' of 'lif'", "1 state variable"),
        (("state", "lif", "v", "batch_axis"), "batch_axis of state 'v' of 'lif'", None),
        (("training", "epoch_i"), "training: epoch_i", "training: loss"),
        (("training", "loss", "a"), "training: loss/a", "training: epoch_i, loss (but for a)"),
        (("layers", "fc"), "layer 'fc'", None),
        (("connections", "0"), "connections: 0", None),
        (("layers", ORDER), "order of layers", "Neuron 'lif': tau"),
    ],
    ids=lambda x: "/".join(x) if isinstance(x, tuple) else "",
)
def test_what_is_kept_and_what_is_lost_never_contradict(tmp_path, path, dropped, kept):
    whole = lines(write(stateful(), tmp_path / "a.toy", registry=TOY))
    ledger = write(stateful(), tmp_path / "b.toy", allow_loss=True, registry=lossy(path))
    assert ("dropped", dropped) in lines(ledger)
    if kept is not None:
        assert ("exact", kept) in lines(ledger)
    changed = {what for _, what in whole} - {what for _, what in lines(ledger)}
    assert len(changed) <= 1
    assert all(entry.path != path for entry in ledger if entry.status is Status.EXACT)


def test_a_refusal_carries_the_whole_ledger(tmp_path):
    with pytest.raises(LossyWrite) as refused:
        write(checkpoint(), tmp_path / "b.toy", registry=lossy(("dt",), ("training", "epoch")))
    assert {e.status for e in refused.value.ledger} == {Status.EXACT, Status.DROPPED}
    assert ("exact", "Linear 'fc': weight") in lines(refused.value.ledger)


def test_an_order_that_is_lost_explains_another_order_and_nothing_else(source, tmp_path):
    def backwards(checkpoint, target, options):
        layers = dict(reversed(checkpoint.layers.items()))
        toy.write(replace(checkpoint, layers=layers), target, options)

    registry = with_format(write=backwards, losses=lambda c, o: [(("layers", ORDER), "x")])
    done = convert(source, tmp_path / "b.toy", allow_loss=True, registry=registry)
    assert ("dropped", "order of layers") in lines(done.ledger)
    assert list(read(tmp_path / "b.toy", registry=TOY).layers) == ["lif", "fc"]


def test_a_dry_run_says_what_would_happen_and_writes_nothing(source, tmp_path):
    done = convert(source, tmp_path / "b.toy", dry_run=True, registry=TOY)
    assert (done.verdict, done.files) == ("identical", ())
    assert ("exact", "Linear 'fc': weight") in lines(done.ledger)
    assert [p.name for p in tmp_path.iterdir()] == ["a.toy"]


def test_a_conversion_names_the_files_it_wrote(source, tmp_path):
    done = convert(source, tmp_path / "b", to="toy", registry=in_two_files())
    assert done.files == (str(tmp_path / "b.side"), str(tmp_path / "b"))


def in_two_files(name="toy"):
    def write_both(checkpoint, target, options):
        with target.open(".side") as file:
            file.write(b"side")
        toy.write(checkpoint, target, options)

    return with_format(name=name, write=write_both)


def test_a_file_of_a_set_that_belongs_to_something_else_is_not_replaced(tmp_path):
    (tmp_path / "b.toy.side").write_bytes(b"somebody's")
    with pytest.raises(WriteError, match=r"b\.toy\.side is there already.*--force"):
        write(checkpoint(), tmp_path / "b.toy", registry=in_two_files())
    assert [p.name for p in tmp_path.iterdir()] == ["b.toy.side"]
    write(checkpoint(), tmp_path / "b.toy", force=True, registry=in_two_files())
    write(checkpoint(), tmp_path / "b.toy", registry=in_two_files())
    assert (tmp_path / "b.toy.side").read_bytes() == b"side"


def other_format():
    class Plugin:
        @staticmethod
        @hookimpl
        def snnbridge_formats():
            never = {"sniff": lambda probe: False, "read": None, "suffixes": (".other",)}
            return [replace(toy.FORMAT, name="other", **never)]

    return Registry([toy, Plugin])


@pytest.mark.skipif(os.name != "posix", reason="links need a privilege elsewhere")
@pytest.mark.parametrize("link", ["itself", "symbolic", "hard"])
def test_a_source_is_not_replaced_by_a_file_of_another_format(source, link):
    target = source if link == "itself" else source.with_name("link")
    if link == "symbolic":
        target.symlink_to(source)
    elif link == "hard":
        target.hardlink_to(source)
    before = source.read_bytes()
    with pytest.raises(WriteError, match="belongs to the source"):
        convert(source, target, to="other", registry=other_format())
    assert source.read_bytes() == before
    convert(source, target, to="other", force=True, registry=other_format())


def test_an_exact_write_has_one_line_for_each_thing(tmp_path):
    ledger = write(checkpoint(), tmp_path / "b.toy", registry=TOY)
    assert {entry.status for entry in ledger} == {Status.EXACT}
    assert [entry.path for entry in ledger] == [
        ("layers", "fc"),
        ("layers", "lif"),
        ("connections",),
        ("training",),
    ]


def test_a_checkpoint_made_invalid_is_not_written(tmp_path):
    broken = checkpoint()
    broken.frozen_layers.append("nope")
    with pytest.raises(CheckpointError, match="nope"):
        write(broken, tmp_path / "b.toy", registry=TOY)


def test_a_conversion_reads_back_and_records_its_history(source, tmp_path):
    done = convert(source, tmp_path / "b.toy", registry=TOY)
    assert done.verdict == "identical"
    back = read(tmp_path / "b.toy", registry=TOY)
    assert differences(checkpoint(), back) == []
    assert back.provenance[0]["source"]["name"] == "a.toy"
    again = convert(tmp_path / "b.toy", tmp_path / "c.toy", registry=TOY)
    assert again.verdict == "identical"
    assert len(read(tmp_path / "c.toy", registry=TOY).provenance) == 2


def test_a_file_that_does_not_hold_what_was_planned_replaces_nothing(source, tmp_path):
    def forgetful(checkpoint, target, options):
        toy.write(replace(checkpoint, training={}), target, options)

    old = tmp_path / "b.toy"
    old.write_bytes(b"old")
    with pytest.raises(WriteError, match=r"nothing was replaced.*training"):
        convert(source, old, registry=with_format(write=forgetful))
    assert old.read_bytes() == b"old"


def test_a_conversion_without_verification_has_no_verdict(source, tmp_path):
    assert convert(source, tmp_path / "b.toy", verify=False, registry=TOY).verdict == ""


def test_a_conversion_onto_its_own_source_is_safe(source):
    assert convert(source, source, registry=TOY).verdict == "identical"
    assert differences(checkpoint(), read(source, registry=TOY)) == []


def test_the_same_checkpoint_gives_the_same_bytes(source, tmp_path):
    write(read(source, registry=TOY), tmp_path / "b.toy", registry=TOY)
    assert (tmp_path / "b.toy").read_bytes() == source.read_bytes()


def test_a_spec_states_what_the_file_does_not(source, tmp_path):
    spec = tmp_path / "net.toml"
    spec.write_text('dt = "1 ms"\n[layers.lif]\nV_th = 2.0\n')
    found = read(source, spec=spec, registry=TOY)
    assert str(found.dt) == "1.0 ms"
    assert found.layers["lif"].parameters["threshold"].value == 2
    with pytest.raises(SpecError):
        read(source, spec={"layers": {"nope": {"tau": 1.0}}}, registry=TOY)


def test_progress_is_told_in_bytes(source, tmp_path):
    told = []
    convert(source, tmp_path / "b.toy", registry=TOY, progress=lambda *x: told.append(x))
    assert told
    assert all(0 <= done <= total for _, done, total in told)


def test_a_conversion_as_json_names_files_formats_ledger_and_verdict(source, tmp_path):
    found = convert(source, tmp_path / "b.toy", registry=TOY).as_json()
    assert found["source"]["format"] == "toy"
    assert found["verdict"] == "identical"
    assert found["ledger"][0] == {
        "status": "exact",
        "path": ["layers", "fc"],
        "what": "Linear 'fc': weight",
        "reason": "",
    }


def test_source_info_is_no_part_of_a_checkpoint():
    a, b = checkpoint(), checkpoint()
    b.source = SourceInfo(framework=UNKNOWN, notes=("x",))
    assert differences(a, b) == []


def spiking():
    lif = rules.get("snntorch", "Leaky").build("lif", shape=(2,), beta=0.5, threshold=1.0)
    weight = np.array([[0.5, 1.0, 0.25], [1.0, 0.0, 2.0]], np.float32)
    return SNNCheckpoint([Linear("fc", weight), lif], [Connection("fc", "lif")])


def preparing(rewrite):
    def prepare(checkpoint, options):
        new, entry = rewrite(checkpoint)
        return new, [entry]

    return with_format(prepare=prepare)


def test_a_rewritten_form_is_simulated_beside_its_source(tmp_path):
    write(spiking(), tmp_path / "a.toy", registry=TOY)
    registry = preparing(lambda c: rewrites.scaled(c, "lif", 3))
    done = convert(tmp_path / "a.toy", tmp_path / "b.toy", registry=registry)
    assert done.verdict == "equivalent"
    assert [e.status for e in done.ledger if e.reason] == [Status.REWRITTEN]
    written = read(tmp_path / "b.toy", registry=TOY)
    assert written.layers["lif"].parameters["threshold"].value == 8


def test_a_form_that_spikes_differently_is_found_out_before_it_is_written(tmp_path):
    def wrong(checkpoint):
        new, entry = rewrites.scaled(checkpoint, "lif", 3)
        new.layers["fc"] = checkpoint.layers["fc"]
        return new, entry

    write(spiking(), tmp_path / "a.toy", registry=TOY)
    done = convert(tmp_path / "a.toy", tmp_path / "b.toy", registry=preparing(wrong))
    assert done.verdict == "different"


def test_a_rewritten_form_with_unknown_parameters_cannot_be_judged(tmp_path):
    source = spiking()
    source.connections = UNKNOWN

    def flip(checkpoint):
        known = replace(checkpoint, connections=(Connection("fc", "lif"),))
        new, entry = rewrites.scaled(known, "lif", 1)
        return replace(new, connections=UNKNOWN), entry

    write(source, tmp_path / "a.toy", registry=TOY)
    done = convert(tmp_path / "a.toy", tmp_path / "b.toy", registry=preparing(flip))
    assert done.verdict == "indeterminate"


def running(run=lambda path, inputs, options: {}, package="json"):
    return with_format(run=run, engine=package)


def test_an_engine_runs_the_file_itself(source):
    def run(path, inputs, options):
        return {("lif", "spikes"): inputs["fc"] + len(path.name)}

    execute = engine(source, "json", registry=running(run))
    assert execute({"fc": np.ones(1)})["lif", "spikes"] == 6


def test_an_engine_that_is_not_there_is_named_with_its_remedy(source):
    with pytest.raises(FormatUnavailable, match="pip install no_such_engine"):
        engine(source, registry=running(package="no_such_engine"))
    with pytest.raises(OptionError, match="not run by other: its engine is json"):
        engine(source, "other", registry=running())
    with pytest.raises(OptionError, match="no engine runs them"):
        engine(source, registry=TOY)


def test_what_an_engine_raises_is_a_read_error_with_the_path(source):
    def fail(path, inputs, options):
        raise ZeroDivisionError

    with pytest.raises(ReadError, match=r"a\.toy: cannot be run by json"):
        engine(source, registry=running(fail))({})
