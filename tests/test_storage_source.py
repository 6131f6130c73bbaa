"""A source is one opened file: checked, mapped, and unmoved by what happens to its name."""

import errno
import gc
import hashlib
import mmap
import os
import socket
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from snnbridge.errors import ReadError
from snnbridge.storage import Limits, Source, view

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX files")


def test_data_is_the_whole_file_read_only(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"hello")
    with Source(path) as source:
        assert (source.path, source.size, source.is_dir) == (path, 5, False)
        assert source.data == b"hello"
        assert source.data.readonly
        assert "a" in repr(source)


def test_what_is_opened_from_a_trusted_source_is_trusted(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).touch()
    for trusted in (False, True):
        source = Source(tmp_path, trusted=trusted)
        file = source.child("a")
        opened = [file, file.sibling("b"), *file.together(["b", "a"], lambda _: True)]
        assert [x.trusted for x in opened] == [trusted] * 4
        assert {x.limits for x in opened} == {Limits().trusted() if trusted else Limits()}


def test_an_empty_file_has_empty_data(tmp_path):
    (tmp_path / "a").touch()
    source = Source(tmp_path / "a")
    assert source.data == b""
    assert source.digest() == hashlib.sha256().hexdigest()


@pytest.mark.parametrize("mapped", [False, True])
def test_read_gives_what_is_there(tmp_path, mapped):
    (tmp_path / "a").write_bytes(bytes(range(100)))
    source = Source(tmp_path / "a")
    assert not mapped or source.data
    assert source.read(0, 4) == bytes(range(4))
    assert source.read(98, 4) == bytes([98, 99])
    assert source.read(200, 4) == b""
    assert source.read(0, 1 << 40) == bytes(range(100))
    with pytest.raises(ValueError, match="negative"):
        source.read(-1, 4)


def test_arrays_outlive_the_source_and_the_replacement_of_the_file(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(np.arange(5000.0).tobytes())
    with Source(path) as source:
        array = view(source.data, "<f8", (5000,))
    del source
    gc.collect()
    (tmp_path / "b").write_bytes(bytes(40_000))
    (tmp_path / "b").replace(path)
    assert array[4999] == 4999.0
    assert not array.flags.writeable


def test_the_opened_file_is_read_after_its_name_is_given_to_another(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    source = Source(path)
    (tmp_path / "b").write_bytes(b"newer")
    (tmp_path / "b").replace(path)
    assert source.read(0, 10) == b"old"
    assert source.data == b"old"


def test_a_file_cut_after_it_was_opened_is_reported(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"0123456789")
    source = Source(path)
    os.truncate(path, 3)
    for use in (lambda: source.data, source.digest):
        with pytest.raises(ReadError, match="shorter"):
            use()


def test_a_file_system_that_cannot_map_is_read_instead(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"hello")

    def refuse(*args, **options):
        raise OSError(errno.ENODEV, "No such device")

    monkeypatch.setattr(mmap, "mmap", refuse)
    source = Source(tmp_path / "a")
    assert source.data == b"hello"
    assert source.data.readonly
    assert source.digest() == hashlib.sha256(b"hello").hexdigest()


def test_a_closed_source_says_so(tmp_path):
    (tmp_path / "a").write_bytes(b"hello")
    source = Source(tmp_path / "a")
    source.close()
    source.close()
    for use in (lambda: source.data, lambda: source.read(0, 1), source.digest):
        with pytest.raises(ValueError, match="closed"):
            use()


def test_the_digest_is_sha256_in_little_memory(tmp_path):
    data = np.random.default_rng(0).bytes(9_000_001)
    (tmp_path / "a").write_bytes(data)
    tracemalloc.start()
    digest = Source(tmp_path / "a").digest()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert digest == hashlib.sha256(data).hexdigest()
    assert peak < 4 << 20


@pytest.mark.parametrize("name", ["missing", "missing/file", "n" * 300])
def test_a_missing_file_is_a_file_not_found_error(tmp_path, name):
    with pytest.raises(FileNotFoundError):
        Source(tmp_path / name)


def test_a_name_with_nul_is_refused():
    with pytest.raises(ReadError, match="NUL"):
        Source("a\0b")


@posix
def test_pipes_devices_and_sockets_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    listener = socket.socket(socket.AF_UNIX)
    here = Path.cwd()
    os.chdir(tmp_path)  # the path of a socket must be short
    try:
        listener.bind("socket")
    finally:
        os.chdir(here)
        listener.close()
    for path in (tmp_path / "pipe", tmp_path / "socket", "/dev/zero"):
        with pytest.raises(ReadError, match=r"pipe or a device|socket"):
            Source(path)


@posix
def test_descriptors_are_closed_with_their_source(tmp_path):
    (tmp_path / "a").write_bytes(b"hello")
    gc.collect()
    before = len(list(Path("/dev/fd").iterdir()))
    sources = [Source(tmp_path / "a") for _ in range(20)]
    data = [source.data for source in sources]
    del sources, data
    gc.collect()
    assert len(list(Path("/dev/fd").iterdir())) == before


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model" / "deep").mkdir(parents=True)
    for name in ("b.bin", "a.bin", "deep/c.bin", "model.npz", "model.json"):
        (tmp_path / "model" / name).write_text(name)
    (tmp_path / "secret").write_text("secret")
    return tmp_path / "model"


def test_a_folder_lists_and_opens_what_is_in_it(folder):
    with Source(folder) as source:
        assert source.is_dir
        assert source.names() == ["a.bin", "b.bin", "deep", "model.json", "model.npz"]
        assert source.child("a.bin").data == b"a.bin"
        assert source.child("deep/c.bin", follow=False).data == b"deep/c.bin"
        assert source.child("deep").child("c.bin").data == b"deep/c.bin"
        with pytest.raises(FileNotFoundError):
            source.child("none")
        with pytest.raises(ReadError, match="more than 4 entries"):
            source.names(limits=Limits(folder_entries=4))
        for use in (lambda: source.data, lambda: source.read(0, 1), source.digest):
            with pytest.raises(ReadError, match="is a folder"):
                use()


def test_a_file_has_siblings_but_no_children(folder):
    source = Source(folder / "model.npz")
    assert source.sibling(".json").data == b"model.json"
    assert source.sibling("a.bin").data == b"a.bin"
    assert source.sibling("deep/c.bin").data == b"deep/c.bin"
    for use in (lambda: source.child("a"), source.names):
        with pytest.raises(ReadError, match="expected a folder"):
            use()


@pytest.mark.parametrize(
    "name",
    ["../secret", "/etc/passwd", "deep/../../secret", "", ".", "..", "a//b", "./a.bin", "a\0"],
)
def test_names_that_lead_elsewhere_are_refused(folder, name):
    with pytest.raises(ReadError, match="no name of a file"):
        Source(folder).child(name)
    with pytest.raises(ReadError, match="no name of a file"):
        Source(folder / "model.npz").sibling(name)


@posix
def test_links_are_followed_unless_the_name_came_from_a_file(folder):
    (folder / "link.bin").symlink_to("../secret")
    (folder / "away").symlink_to("..")
    source = Source(folder)
    assert source.child("link.bin").data == b"secret"
    assert source.child("away/secret").data == b"secret"
    for name in ("link.bin", "away/secret", "away"):
        with pytest.raises(ReadError, match="symbolic link"):
            source.child(name, follow=False)
        with pytest.raises(ReadError, match="symbolic link"):
            Source(folder / "model.npz").sibling(name, follow=False)


@posix
def test_a_link_in_a_circle_is_refused(tmp_path):
    (tmp_path / "a").symlink_to("a")
    with pytest.raises(ReadError, match="symbolic link"):
        Source(tmp_path / "a")
