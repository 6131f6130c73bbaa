"""Old or new, never a mix: what a writer promises when it ends well, badly or not at all."""

import errno
import hashlib
import json
import os
import stat
import subprocess
import sys
import textwrap
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from snnbridge.errors import IntegrityError, NotDurable, ReadError, WriteError
from snnbridge.storage import Source, Target, dump_json, parse_json, read_set, recover

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX files")


def save(base, value, size=1000):
    """Write a set of two files whose head holds the digest of the other."""
    with Target(base) as target:
        with target.open(".bin", sha256=True) as data:
            data.write(bytes([value]) * size)
        with target.open(".json") as head:
            head.write(dump_json({"value": value, "sha256": data.sha256}))


def belongs(sources):
    data, head = sources
    return parse_json(head.data)["sha256"] == data.digest()


def load(base):
    """Read such a set; give the value that both files agree on."""
    data, head = read_set([f"{base}.bin", f"{base}.json"], belongs)
    value = parse_json(head.data)["value"]
    assert set(bytes(data.data)) == {value}
    return value


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def test_a_file_and_a_set_are_written_and_nothing_else(tmp_path):
    with Target(tmp_path / "one") as target, target.open() as file:
        file.write(b"hello ")
        file.write(memoryview(b"world"))
    assert (tmp_path / "one").read_bytes() == b"hello world"
    save(tmp_path / "two", 1)
    save(tmp_path / "two", 2)
    assert load(tmp_path / "two") == 2
    assert names(tmp_path) == ["one", "two.bin", "two.json"]


def test_an_exception_leaves_everything_as_it_was(tmp_path):
    save(tmp_path / "a", 1)
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}

    def fail():
        with Target(tmp_path / "a") as target:
            with target.open(".bin", sha256=True) as data:
                data.write(bytes(9_000_000))
            target.open(".json").write(b"{")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert before == {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}


def test_names_are_appended_to_the_target_or_given(tmp_path):
    with Target(tmp_path / "model.v1") as target:
        target.open(".npz").write(b"1")
        target.open(name="other.json").write(b"2")
    assert names(tmp_path) == ["model.v1.npz", "other.json"]


def test_a_target_that_is_not_written_is_an_error(tmp_path):
    with pytest.raises(WriteError, match="nothing was written"), Target(tmp_path / "a"):
        pass
    with Target(tmp_path / "a") as target:
        target.open().write(b"x")
        with pytest.raises(WriteError, match="already written"):
            target.open()
    with pytest.raises(WriteError, match="nothing was written"):
        Target(tmp_path / "b").preview()
    assert names(tmp_path) == ["a"]


def test_pieces_of_every_kind_and_size_are_written_in_order(tmp_path):
    random = np.random.default_rng(0)
    pieces = [random.bytes(int(n)) for n in random.integers(0, 200_000, 60)] + [b"", b"x"] * 500
    with Target(tmp_path / "a") as target, target.open(sha256=True) as file:
        position = 0
        for index, piece in enumerate(pieces):
            wrapped = (bytes, bytearray, memoryview)[index % 3](piece)
            assert file.write(wrapped) == len(piece)
            position += len(piece)
            assert file.tell() == position
        file.align(64)
        file.write_array(np.arange(6, dtype=">i2").reshape(2, 3).T)
        file.write_array(np.arange(40_000.0).reshape(200, 200).T)
    expected = b"".join(pieces)
    expected += bytes(-len(expected) % 64) + np.array([0, 3, 1, 4, 2, 5], "<i2").tobytes()
    expected += np.arange(40_000.0).reshape(200, 200).T.tobytes()
    assert (tmp_path / "a").read_bytes() == expected
    assert file.sha256 == hashlib.sha256(expected).hexdigest()


def test_a_buffer_may_be_reused_at_once(tmp_path):
    buffer = bytearray(3_000_000)
    with Target(tmp_path / "a") as target, target.open(sha256=True) as file:
        for value in range(4):
            buffer[:] = bytes([value]) * len(buffer)
            file.write(buffer)
            file.write(memoryview(buffer)[:100])
    expected = b"".join(bytes([value]) * 3_000_100 for value in range(4))
    assert (tmp_path / "a").read_bytes() == expected
    assert file.sha256 == hashlib.sha256(expected).hexdigest()


def test_the_digest_is_known_without_being_announced(tmp_path):
    with Target(tmp_path / "a") as target:
        with target.open() as file:
            file.write(b"abc")
            with pytest.raises(ValueError, match="close"):
                file.sha256  # noqa: B018
        with pytest.raises(ValueError, match="closed"):
            file.write(b"more")
    assert file.sha256 == hashlib.sha256(b"abc").hexdigest()


@pytest.mark.parametrize("most", [7, 1000, 100_000])
def test_a_system_that_takes_less_than_it_is_given_gets_the_rest_again(tmp_path, monkeypatch, most):
    written = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: written(descriptor, data[:most]))
    data = np.random.default_rng(0).bytes(1000 * most if most < 1000 else 3_000_000)
    with Target(tmp_path / "a") as target, target.open(sha256=True) as file:
        file.write(data[:100])
        file.write(data[100:])
    assert (tmp_path / "a").read_bytes() == data
    assert file.sha256 == hashlib.sha256(data).hexdigest()


@posix
def test_a_file_that_shrinks_while_it_is_written_is_reported(tmp_path):
    def write():
        with Target(tmp_path / "a") as target:
            file = target.open(sha256=True)
            file.write(bytes(2_000_000))  # too little for another thread to be reading it yet
            os.truncate(file.staged, 5)
            file.close()

    with pytest.raises(WriteError, match="read back"):
        write()
    assert names(tmp_path) == []


def test_writing_takes_little_memory(tmp_path):
    array = np.zeros((3000, 3000)).T
    tracemalloc.start()
    with Target(tmp_path / "a") as target, target.open(sha256=True) as file:
        file.write_array(array)
        file.write_array(array.T)
        for _ in range(5000):
            file.write(bytes(4096))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20


def test_a_set_can_be_read_back_before_it_replaces_anything(tmp_path):
    save(tmp_path / "a", 1)
    with Target(tmp_path / "a") as target:
        data = target.open(".bin")
        data.write(bytes([2]) * 10)
        data.close()
        target.open(".json").write(dump_json({"value": 2, "sha256": data.sha256}))
        head = target.preview()
        assert head.path == tmp_path / "a.json"
        assert parse_json(head.data)["value"] == 2
        assert head.sibling(".bin").data == bytes([2]) * 10
        got = head.together(["a.bin", "a.json"], belongs)
        assert [source.size for source in got] == [10, head.size]
        assert load(tmp_path / "a") == 1
    assert load(tmp_path / "a") == 2


# --- what stands in the way


def test_a_folder_in_the_way_is_refused(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(WriteError, match="is a folder"), Target(tmp_path / "a") as target:
        target.open()
    assert names(tmp_path) == ["a"]


@posix
def test_a_pipe_or_device_in_the_way_is_refused(tmp_path):
    os.mkfifo(tmp_path / "a")
    for path in (tmp_path / "a", "/dev/null"):
        with pytest.raises(WriteError, match="pipe or a device"), Target(path) as target:
            target.open()


@pytest.mark.parametrize(
    ("name", "message"),
    [("none/a", "folder .* does not exist"), ("n" * 300, "too long"), ("a\0b", "NUL")],
)
def test_an_impossible_path_is_refused_with_the_reason(tmp_path, name, message):
    with pytest.raises(WriteError, match=message), Target(tmp_path / name) as target:
        target.open()
    assert names(tmp_path) == []


def test_the_longest_names_can_be_written(tmp_path):
    base = "é" * 122 + "n" * 6
    save(tmp_path / base, 1)
    save(tmp_path / base, 2)
    assert load(tmp_path / base) == 2
    assert names(tmp_path) == [f"{base}.bin", f"{base}.json"]


@posix
def test_a_read_only_file_or_folder_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o444)

    def refuse(*args, **options):  # what root is not told
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(WriteError, match="file is read-only"), Target(path) as target:
        target.open()
    with pytest.raises(WriteError, match="no file may be made"), Target(tmp_path / "b") as target:
        target.open()


@posix
def test_a_full_disk_is_reported_and_leaves_the_old_file(tmp_path, monkeypatch):
    save(tmp_path / "a", 1)
    written = os.write

    def full(descriptor, data):
        if len(data) > 100:
            raise OSError(errno.ENOSPC, "No space left on device")
        return written(descriptor, data)

    monkeypatch.setattr(os, "write", full)
    for size in (1000, 3_000_000):
        with pytest.raises(WriteError, match="No space left"):
            save(tmp_path / "a", 2, size)
    monkeypatch.undo()
    assert load(tmp_path / "a") == 1
    assert names(tmp_path) == ["a.bin", "a.json"]


# --- permissions and links


@posix
def test_permissions_of_the_old_file_are_kept_and_new_files_follow_the_umask(tmp_path):
    path = tmp_path / "a"
    old = os.umask(0o027)
    try:
        for mode in (None, 0o600, 0o664, 0o755):
            if mode is not None:
                path.chmod(mode)
            with Target(path) as target:
                target.open().write(b"x")
            assert stat.S_IMODE(path.stat().st_mode) == (0o640 if mode is None else mode)
    finally:
        os.umask(old)


@posix
def test_permissions_are_kept_when_the_file_appears_while_it_is_written(tmp_path):
    """As it does when another writer is just replacing it."""
    with Target(tmp_path / "a") as target:
        target.open().write(b"new")
        (tmp_path / "a").write_bytes(b"old")
        (tmp_path / "a").chmod(0o600)
    assert (tmp_path / "a").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


@posix
def test_links_are_written_through(tmp_path):
    (tmp_path / "real").mkdir()
    save(tmp_path / "real" / "r", 1)
    for suffix in (".bin", ".json"):
        (tmp_path / f"l{suffix}").symlink_to(f"real/r{suffix}")
    save(tmp_path / "l", 2)
    assert (tmp_path / "l.bin").is_symlink()
    assert load(tmp_path / "real" / "r") == load(tmp_path / "l") == 2
    assert names(tmp_path / "real") == ["r.bin", "r.json"]


@posix
def test_a_link_to_nothing_creates_what_it_names(tmp_path):
    (tmp_path / "l").symlink_to("real")
    with Target(tmp_path / "l") as target:
        target.open().write(b"x")
    assert (tmp_path / "real").read_bytes() == b"x"
    assert (tmp_path / "l").is_symlink()


@posix
def test_a_set_that_links_scatter_over_folders_is_refused(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "a.bin").symlink_to("real/a.bin")
    with pytest.raises(WriteError, match="different folders"):
        save(tmp_path / "a", 1)
    assert names(tmp_path / "real") == []
    assert names(tmp_path) == ["a.bin", "real"]


def test_a_reader_keeps_the_file_that_it_opened(tmp_path):
    save(tmp_path / "a", 1)
    source = Source(tmp_path / "a.bin")
    data = source.data
    save(tmp_path / "a", 2)
    assert set(bytes(data)) == {1}


# --- errors of the system at every step

STEPS = ["replace", "fsync", "unlink", "write", "open"]


@posix
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("single", [True, False])
def test_an_error_at_any_step_leaves_old_or_new(tmp_path, monkeypatch, step, single):
    def write(value):
        if single:
            with Target(tmp_path / "a.bin") as target:
                target.open().write(bytes([value]) * 100)
        else:
            save(tmp_path / "a", value)

    def read():
        return (tmp_path / "a.bin").read_bytes()[0] if single else load(tmp_path / "a")

    original, outcomes = getattr(os, step), set()
    for failing in range(40):
        write(1)
        calls = iter(range(1000))

        def fail(*args, calls=calls, failing=failing, **options):
            if next(calls) == failing:
                raise OSError(errno.EIO, "Input/output error")
            return original(*args, **options)

        monkeypatch.setattr(os, step, fail)
        try:
            write(2)
            outcome = "fine"
        except NotDurable:
            outcome = "new, not durable"
        except WriteError:
            outcome = "old"
        monkeypatch.undo()
        assert read() == (1 if outcome == "old" else 2)
        outcomes.add(outcome)
        write(3)
        assert read() == 3
        recover(tmp_path / "a.json")
        assert names(tmp_path) == (["a.bin"] if single else ["a.bin", "a.json"])
        if next(calls) <= failing:
            break
    else:
        pytest.fail("more steps than expected")
    assert "fine" in outcomes
    assert outcomes - {"fine"} or (single and step == "unlink")


CRASHES = textwrap.dedent("""
    import json, os, shutil, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    from test_storage_target import load, save
    from snnbridge.storage import recover

    STEPS = ("open", "write", "fsync", "replace", "unlink", "fchmod", "close")
    folder = Path(sys.argv[2])
    first = sys.argv[3] == "first"

    def crash_before(number):
        count = 0
        def wrap(original):
            def step(*args, **options):
                nonlocal count
                count += 1
                if count == number:
                    os._exit(7)
                return original(*args, **options)
            return step
        for name in STEPS:
            setattr(os, name, wrap(getattr(os, name)))

    def read(base):
        try:
            return load(base)
        except FileNotFoundError:
            return None

    seen = []
    for number in range(1, 200):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        if not first:
            save(folder / "a", 1)
        child = os.fork()
        if child == 0:
            crash_before(number)
            save(folder / "a", 2)
            os._exit(0)
        crashed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        folder.chmod(0o555)
        seen.append(read(folder / "a"))
        folder.chmod(0o755)
        recover(folder / "a.json")
        assert read(folder / "a") == seen[-1], number
        if seen[-1] is not None:
            head = (folder / "a.json").read_text()
            assert f'"value":{seen[-1]}' in head, number  # what other programs find
        save(folder / "a", 3)
        assert load(folder / "a") == 3
        left = sorted(os.listdir(folder))
        assert left == ["a.bin", "a.json"], (number, left)
        if not crashed:
            break
    print(json.dumps(seen))
""")


@posix
@pytest.mark.parametrize("start", ["first", "again"])
def test_a_crash_before_any_step_leaves_old_or_new_and_the_next_writer_cleans_up(tmp_path, start):
    done = subprocess.run(
        [sys.executable, "-c", CRASHES, str(Path(__file__).parent), str(tmp_path / "f"), start],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    old = None if start == "first" else 1
    assert set(seen) == {old, 2}
    assert seen == sorted(seen, key=lambda value: value == 2)


# --- several writers and readers


def test_writers_and_readers_at_once_see_whole_sets(tmp_path):
    save(tmp_path / "a", 1)
    problems, seen = [], set()

    def work(action):
        try:
            for _ in range(12):
                action()
        except Exception as error:  # noqa: BLE001
            problems.append(error)

    writers = [
        threading.Thread(target=work, args=(lambda v=v: save(tmp_path / "a", v, 100 * v),))
        for v in (2, 3, 4)
    ]
    readers = [
        threading.Thread(target=work, args=(lambda: seen.add(load(tmp_path / "a")),))
        for _ in range(2)
    ]
    for thread in writers + readers:
        thread.start()
    for thread in writers + readers:
        thread.join()
    assert not problems
    assert seen <= {1, 2, 3, 4}
    assert names(tmp_path) == ["a.bin", "a.json"]


@posix
def test_a_writer_does_not_wait_forever_for_another(tmp_path, monkeypatch):
    import fcntl

    save(tmp_path / "a", 1)
    monkeypatch.setattr("snnbridge.storage.system._PATIENCE", 0.01)
    with (tmp_path / ".a.json.snnb-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(WriteError, match="another process"):
            save(tmp_path / "a", 2)
        assert load(tmp_path / "a") == 1
    save(tmp_path / "a", 3)
    assert names(tmp_path) == ["a.bin", "a.json"]


def test_files_that_do_not_belong_together_are_reported(tmp_path):
    save(tmp_path / "a", 1)
    save(tmp_path / "b", 2)
    (tmp_path / "b.bin").replace(tmp_path / "a.bin")
    with pytest.raises(IntegrityError, match="do not belong together"):
        load(tmp_path / "a")


@pytest.mark.parametrize("missing", [".bin", ".json"])
def test_a_missing_part_of_a_set_is_a_file_not_found_error(tmp_path, missing):
    save(tmp_path / "a", 1)
    (tmp_path / f"a{missing}").unlink()
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "a")


def test_a_reader_waits_for_a_foreign_writer_to_finish(tmp_path):
    save(tmp_path / "a", 1)
    save(tmp_path / "b", 2)
    (tmp_path / "b.bin").replace(tmp_path / "a.bin")
    looks = []

    def while_it_is_finished(sources):
        looks.append(belongs(sources))
        if len(looks) == 2:
            (tmp_path / "b.json").replace(tmp_path / "a.json")
        return looks[-1]

    data, _ = read_set([tmp_path / "a.bin", tmp_path / "a.json"], while_it_is_finished)
    assert set(bytes(data.data)) == {2}
    assert looks == [False, False, True]


@posix
def test_a_staged_file_of_a_living_writer_is_not_swept(tmp_path):
    with Target(tmp_path / "a") as slow:
        slow.open().write(b"slow")
        with Target(tmp_path / "a") as quick:
            quick.open().write(b"quick")
        assert (tmp_path / "a").read_bytes() == b"quick"
    assert (tmp_path / "a").read_bytes() == b"slow"


def test_what_a_killed_writer_left_is_swept(tmp_path):
    leftover = tmp_path / ".a.0123456789abcdef.snnbtmp"
    others = [".b.0123456789abcdef.snnbtmp", ".a.0123.snnbtmp", "a.0123456789abcdef.snnbtmp"]
    for name in (leftover.name, *others):
        (tmp_path / name).touch()
    with Target(tmp_path / "a") as target:
        target.open().write(b"x")
    assert names(tmp_path) == sorted([*others, "a"])


# --- the journal of a dead writer


def pend(folder, **changes):
    """Leave a commit pending: value 2 in staged files, value 1 in the final ones."""
    save(folder / "a", 1)
    save(folder / "b", 2)
    files = []
    for name in ("a.bin", "a.json"):
        staged = folder / f".{name}.0123456789abcdef.snnbtmp"
        source = folder / name.replace("a", "b", 1)
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        size = source.stat().st_size
        source.replace(staged)
        files.append({"final": name, "staged": staged.name, "size": size, "sha256": digest})
    files[0] |= changes
    (folder / ".a.json.snnb-commit").write_bytes(dump_json({"version": 1, "files": files}))


def test_a_pending_set_is_read_from_where_it_is(tmp_path):
    pend(tmp_path)
    assert load(tmp_path / "a") == 2
    (tmp_path / "a.json").unlink()
    assert load(tmp_path / "a") == 2
    assert parse_json(Source(tmp_path / "a.json").data)["value"] == 2
    (tmp_path / ".a.bin.0123456789abcdef.snnbtmp").replace(tmp_path / "a.bin")
    assert load(tmp_path / "a") == 2
    assert recover(tmp_path / "a.json")
    assert not recover(tmp_path / "a.json")
    assert load(tmp_path / "a") == 2
    assert names(tmp_path) == ["a.bin", "a.json"]


def test_a_pending_file_is_not_swept_by_a_writer_of_that_file_alone(tmp_path):
    pend(tmp_path)
    with Target(tmp_path / "a.bin") as target:
        target.open().write(b"alone")
    assert load(tmp_path / "a") == 2


def test_a_staged_file_that_is_not_the_committed_one_is_not_taken(tmp_path):
    pend(tmp_path)
    (tmp_path / ".a.bin.0123456789abcdef.snnbtmp").write_bytes(b"other")
    with pytest.raises(IntegrityError):
        load(tmp_path / "a")


@pytest.mark.parametrize(
    "changes",
    [
        {"final": "../a.bin"},
        {"final": "b.bin"},
        {"staged": "../.a.bin.0123456789abcdef.snnbtmp"},
        {"staged": "/etc/passwd"},
        {"size": -1},
        {"size": True},
        {"sha256": "x"},
        {"more": 1},
    ],
)
def test_a_journal_that_no_writer_wrote_is_refused_and_moves_nothing(tmp_path, changes):
    pend(tmp_path, **changes)
    before = names(tmp_path)
    with pytest.raises(ReadError, match="journal"):
        load(tmp_path / "a")
    with pytest.raises(WriteError, match="journal"):
        save(tmp_path / "a", 3)
    with pytest.raises(WriteError, match="journal"):
        recover(tmp_path / "a.json")
    assert names(tmp_path) == before


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"version":1,"files":[]}', b"[" * 3000])
def test_a_damaged_journal_is_refused(tmp_path, text):
    save(tmp_path / "a", 1)
    (tmp_path / ".a.json.snnb-commit").write_bytes(text)
    with pytest.raises(ReadError, match="journal"):
        load(tmp_path / "a")
    with pytest.raises(WriteError, match="journal"):
        save(tmp_path / "a", 2)
