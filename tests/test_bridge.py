"""Reading, writing and converting keep what they promise, whatever a format does."""

from dataclasses import replace

import numpy as np
import pytest

import toy
from snnbridge import (
    UNKNOWN,
    CheckpointError,
    Connection,
    Linear,
    LossyWrite,
    Neuron,
    OptionError,
    Origin,
    ReadError,
    Registry,
    SNNCheckpoint,
    SourceInfo,
    SpecError,
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


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing here"):
        read(tmp_path / "nothing here", registry=TOY)


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
    with pytest.raises(OptionError, match="no option 'size'; it has: colour"):
        read(source, options={"size": 1}, registry=TOY)
    with pytest.raises(OptionError, match="one of red, blue, not 'green'"):
        write(checkpoint(), source, options={"colour": "green"}, registry=TOY)
    with pytest.raises(OptionError, match="'bare'"):
        write(checkpoint(), source, bare=True, registry=with_format(holds_bare=frozenset()))


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
        read(source, spec={"layers": {"nope": {}}}, registry=TOY)


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
