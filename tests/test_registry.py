"""Formats are found by content, and a broken plugin never stops the others."""

import os
import sys
from dataclasses import replace
from importlib import metadata
from types import SimpleNamespace

import pytest

import toy
from snnbridge import (
    AmbiguousFormat,
    Format,
    FormatUnavailable,
    PluginError,
    Probe,
    ReadError,
    Registry,
    SNNCheckpoint,
    UnknownFormat,
    WriteError,
    convert,
    hookimpl,
    read,
    write,
)


def plugin(*formats, **more):
    found = SimpleNamespace(**more)

    @hookimpl
    def snnbridge_formats():
        return formats

    found.snnbridge_formats = snnbridge_formats
    return found


def variant(name, **changes):
    return replace(toy.FORMAT, name=name, **changes)


@pytest.fixture
def toy_file(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b'{"toy": {}}')
    return path


def test_a_file_is_known_by_its_content_whatever_its_suffix(toy_file):
    other = variant("other", sniff=lambda probe: False, suffixes=(".bin",))
    assert Registry([toy, plugin(other)]).detect(toy_file) is toy.FORMAT


def test_the_suffix_settles_a_tie_and_nothing_else(toy_file):
    twin = variant("twin", suffixes=(".bin",))
    assert Registry([toy, plugin(twin)]).detect(toy_file) is twin
    with pytest.raises(AmbiguousFormat, match="toy, twin all claim it; name one"):
        Registry([toy, plugin(variant("twin"))]).detect(toy_file)


def test_a_suffix_of_several_formats_is_refused_with_what_to_add(tmp_path):
    twin = variant("twin", suffixes=(".bin",), summary="twins")
    registry = Registry([plugin(twin, variant("other", suffixes=(".bin",), summary="others"))])
    with pytest.raises(AmbiguousFormat, match=r"write \.bin files.*--to other: others; --to twin"):
        registry.for_target(tmp_path / "a.bin")


def test_the_longest_suffix_says_what_is_written(tmp_path):
    long = variant("long", suffixes=(".index.bin",))
    registry = Registry([plugin(variant("short", suffixes=(".bin",)), long)])
    assert registry.for_target(tmp_path / "a.index.bin") is long
    assert registry.for_target(tmp_path / "a.bin").name == "short"


def test_a_file_that_nobody_knows_is_an_error_that_lists_the_formats(tmp_path):
    (tmp_path / "x").write_bytes(b"\x00\x01")
    with pytest.raises(UnknownFormat, match=r"no format knows this content.*toy"):
        Registry([toy]).detect(tmp_path / "x")


def test_what_is_no_checkpoint_is_called_by_its_name(tmp_path):
    registry = Registry([toy])
    (tmp_path / "empty").touch()
    with pytest.raises(UnknownFormat, match="empty: the file is empty"):
        registry.detect(tmp_path / "empty")
    with pytest.raises(UnknownFormat, match="a folder, and no format knows"):
        registry.detect(tmp_path)
    (tmp_path / "x").write_bytes(b"\x00\x01")
    with pytest.raises(UnknownFormat) as foreign:
        registry.detect(tmp_path / "x")
    assert "--from" not in str(foreign.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in this system's folders")
def test_a_pipe_is_refused_and_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ReadError, match="is a pipe or a device"):
        Registry([toy]).detect(tmp_path / "pipe")


def test_a_damaged_file_of_a_known_suffix_says_how_to_learn_more(tmp_path):
    (tmp_path / "x.toy").write_bytes(b"\x00\x01")
    with pytest.raises(UnknownFormat, match="if it should be toy, format= or --from toy says"):
        Registry([toy]).detect(tmp_path / "x.toy")


def test_suffixes_in_capitals_are_the_same_suffixes(toy_file):
    assert Registry([toy]).for_target("X.TOY") is toy.FORMAT
    twin = variant("twin", suffixes=(".twin",))
    other = toy_file.rename(toy_file.with_name("A.TWIN"))
    assert Registry([toy, plugin(twin)]).detect(other) is twin


def test_a_missing_file_stays_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        Registry([toy]).detect(tmp_path / "x")


def test_a_format_that_only_writes_is_not_asked_to_read(toy_file):
    with pytest.raises(UnknownFormat):
        Registry([plugin(variant("w", read=None))]).detect(toy_file)


def test_the_target_s_suffix_names_its_format():
    registry = Registry([toy, plugin(variant("more", suffixes=(".more",)))])
    assert registry.for_target("x.more").name == "more"
    with pytest.raises(UnknownFormat, match=r"\.toy \(toy\)"):
        registry.for_target("x.nope")
    with pytest.raises(AmbiguousFormat, match="add one of these"):
        Registry([toy, plugin(variant("twin"))]).for_target("x.toy")


def test_a_sniffer_that_raises_is_a_warning_and_no_claim(toy_file):
    broken = plugin(variant("broken", sniff=lambda probe: 1 / 0))
    with pytest.warns(RuntimeWarning, match="'broken' failed to look at"):
        assert Registry([toy, broken]).detect(toy_file) is toy.FORMAT


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Registry([toy, plugin(variant("toy"))]), "'toy' is there already"),
        (lambda: Registry([plugin("no format")]), "must return Format records"),
        (lambda: variant("Toy"), "lower case"),
        (lambda: variant("x", read=None, write=None), "neither read nor write"),
        (lambda: variant("x", suffixes=("toy",)), "must start with a dot"),
        (lambda: variant("x", engine="onnxruntime"), "run and engine are stated together"),
        (lambda: variant("x", suffixes=".toy"), "suffixes must be a tuple of str"),
        (lambda: variant("x", holds={"weights"}), "holds must be a set of Feature"),
        (lambda: variant("x", options=("fast",)), "options must be a tuple of Option"),
        (lambda: variant("x", sniff=None), "sniff must be a function"),
        (lambda: variant("x", losses=[]), "losses must be a function"),
        (lambda: Registry([plugin(variant("x"), variant("x"))]), "have the same name"),
    ],
)
def test_a_wrong_record_is_refused(make, message):
    with pytest.raises(PluginError, match=message):
        make()


def test_a_misspelt_hook_is_an_error():
    wrong = SimpleNamespace()

    @hookimpl
    def snnbridge_format():
        return []

    wrong.snnbridge_format = snnbridge_format
    with pytest.raises(PluginError, match="snnbridge_format"):
        Registry([wrong])


def test_an_unknown_name_lists_the_formats():
    with pytest.raises(UnknownFormat, match="no format 'nope'; expected one of toy"):
        Registry([toy]).get("nope")


def test_a_missing_package_is_named_with_its_remedy():
    needy = variant("needy", needs=("no_such_package",))
    with pytest.raises(FormatUnavailable, match="pip install no_such_package"):
        Registry([plugin(needy)]).require(needy)


@pytest.mark.parametrize(
    "value", ["no_such_module_at_all", "toy:nothing", "os:getcwd"], ids=["import", "name", "hook"]
)
def test_a_plugin_that_cannot_be_used_is_a_warning_that_names_its_distribution(monkeypatch, value):
    good = metadata.EntryPoint("toy", "toy", "snnbridge")
    bad = metadata.EntryPoint("bad", value, "snnbridge")
    monkeypatch.setattr(metadata, "entry_points", lambda group: [bad, good])
    if value == "os:getcwd":
        assert [f.name for f in Registry.installed()] == ["toy"]
        return
    with pytest.warns(RuntimeWarning, match="plugin 'bad' of"):
        registry = Registry.installed()
    assert [f.name for f in registry] == ["toy"]


def failing(monkeypatch, load):
    """Install a plugin whose entry point does something, beside one that works."""
    good = metadata.EntryPoint("toy", "toy", "snnbridge")
    bad = SimpleNamespace(name="bad", value="bad", dist=None, load=load)
    monkeypatch.setattr(metadata, "entry_points", lambda group: [bad, good])


def test_a_plugin_that_leaves_the_program_while_it_is_imported_is_a_warning(monkeypatch):
    failing(monkeypatch, lambda: sys.exit("no licence"))
    with pytest.warns(RuntimeWarning, match="SystemExit: no licence"):
        assert [f.name for f in Registry.installed()] == ["toy"]


def test_of_a_plugin_with_one_wrong_record_nothing_is_used(monkeypatch):
    both = plugin(variant("fine"))

    @hookimpl
    def snnbridge_neurons():
        return ["no kind"]

    both.snnbridge_neurons = snnbridge_neurons
    failing(monkeypatch, lambda: both)
    with pytest.warns(RuntimeWarning, match="must return NeuronKind records"):
        assert [f.name for f in Registry.installed()] == ["toy"]


@pytest.mark.parametrize("function", ["prepare", "losses", "read", "write"])
@pytest.mark.parametrize("fault", [lambda *_: 1 / 0, lambda *_: sys.exit(3)], ids=["raise", "exit"])
def test_a_function_that_fails_is_an_error_that_names_its_format(function, fault, tmp_path):
    broken = Registry([plugin(variant("broken", **{function: fault}))])
    path = tmp_path / "a.toy"
    write(SNNCheckpoint([]), path, registry=Registry([toy]))
    with pytest.raises((ReadError, WriteError), match="broken"):
        convert(path, tmp_path / "b.toy", from_="broken", to="broken", registry=broken)


def test_a_reader_that_returns_no_checkpoint_is_a_read_error(tmp_path):
    write(SNNCheckpoint([]), tmp_path / "a.toy", registry=Registry([toy]))
    forgetful = Registry([plugin(variant("forgetful", read=lambda source, options: None))])
    with pytest.raises(ReadError, match="returned None, not a checkpoint"):
        read(tmp_path / "a.toy", registry=forgetful)


def test_a_probe_never_opens_what_is_no_regular_file(tmp_path):
    probe = Probe(tmp_path)
    assert (probe.head, probe.size, probe.is_folder) == (b"", 0, True)
    assert Probe(tmp_path / "missing").head == b""


def test_a_format_is_a_plain_record():
    assert isinstance(toy.FORMAT, Format)
    with pytest.raises(AttributeError):
        toy.FORMAT.name = "x"
