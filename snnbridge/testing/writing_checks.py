"""What the contract says about writing, and about reading at the same time."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from snnbridge.compare import differences
from snnbridge.errors import SNNBridgeError
from snnbridge.formats import Options
from snnbridge.model import SNNCheckpoint
from snnbridge.storage import Target
from snnbridge.testing.samples import small
from snnbridge.testing.subject import ConformanceFailure, Subject, expect


def a_full_disk_leaves_the_old_file(subject: Subject) -> None:
    """When the disk is full at any point, the write fails and the old file is as it was."""
    for sample in list(subject.held(3).values()):
        path = subject.written(sample)
        before = _contents(path.parent)
        size = _write_watched(subject, sample, path)
        for room in sorted({0, 1, size // 2, max(size - 1, 0)}):
            _expect_failure(subject, sample, path, room)
            expect(
                _contents(path.parent) == before,
                f"a write that failed after {room} bytes left its traces",
            )


def nothing_is_in_place_before_the_end(subject: Subject) -> None:
    """While a file is written, readers still find the old one, whole, and no other beside it."""
    for sample in list(subject.held(3).values()):
        for path in (subject.place(), subject.written(sample)):
            before = _contents(path.parent)
            seen: list[dict[str, bytes]] = []

            def look(path: Path = path, seen: list[dict[str, bytes]] = seen) -> None:
                seen.append(_contents(path.parent))

            _write_watched(subject, sample, path, after=look)
            expect(seen == [before], "files were changed before the new ones were complete")


def readers_may_share_a_file(subject: Subject) -> None:
    """Several readers of one file at the same time find the same."""
    for sample in list(subject.held(2).values()):
        path = subject.written(sample)
        found: list[object] = []

        def look(path: Path = path, sample: SNNCheckpoint = sample, to: Any = found) -> None:
            try:
                to.append(differences(sample, subject.read(path)))
            except Exception as error:  # noqa: BLE001  # told in the main thread
                to.append(error)

        threads = [threading.Thread(target=look) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        expect(len({repr(x) for x in found}) == 1, f"readers found {found}")


def a_reader_finds_the_old_file_or_the_new_one(subject: Subject) -> None:
    """A reader beside a writer finds one of the two checkpoints, never a mix."""
    held = [x for x in (small(seed=1), small(seed=2)) if subject.holds(x)]
    if len(held) < 2:
        return
    path = subject.place()
    subject.write(held[0], path)
    over = threading.Event()

    def write() -> None:
        try:
            for i in range(20):
                subject.write(held[i % 2], path)
        finally:
            over.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while not over.is_set():
            back = subject.read(path)
            expect(any(not differences(x, back) for x in held), "a reader found a mix of two files")
    finally:
        writer.join()


def arrays_outlive_their_file(subject: Subject) -> None:
    """Arrays that were read keep their bits when the file is replaced."""
    for sample in list(subject.held(3).values()):
        path = subject.written(sample)
        back = subject.read(path)
        subject.write(small() if subject.holds(small()) else SNNCheckpoint([]), path)
        subject.read(path)
        found = differences(sample, back)
        told = subject.planned(sample)[1].told
        expect(not found or told, f"an array changed when its file was replaced: {found[:1]}")


def _contents(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder but those that the core has staged and will clean up."""
    return {
        p.name: p.read_bytes()
        for p in folder.iterdir()
        if p.is_file() and not p.name.startswith(".")
    }


class _FullDisk:
    """A target whose disk has room for so many bytes."""

    def __init__(self, target: Any, room: float) -> None:
        self._target, self._room = target, room
        self.taken = 0

    def open(self, *args: Any, **more: Any) -> _FullFile:
        return _FullFile(self._target.open(*args, **more), self)

    def take(self, count: int) -> None:
        self.taken += count
        if self.taken > self._room:
            raise OSError(errno.ENOSPC, "No space left on device")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)


class _FullFile:
    def __init__(self, file: Any, disk: _FullDisk) -> None:
        self._file, self._disk = file, disk

    def write(self, data: Any) -> int:
        self._disk.take(memoryview(data).nbytes)
        written: int = self._file.write(data)
        return written

    def write_array(self, array: Any) -> int:
        self._disk.take(array.nbytes)
        written: int = self._file.write_array(array)
        return written

    def __enter__(self) -> _FullFile:
        self._file.__enter__()
        return self

    def __exit__(self, *args: Any) -> Any:
        return self._file.__exit__(*args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _expect_failure(subject: Subject, sample: SNNCheckpoint, path: Path, room: int) -> None:
    try:
        _write_watched(subject, sample, path, room=room)
    except SNNBridgeError:
        return
    except OSError as error:
        raise ConformanceFailure(f"a full disk became {error!r}; expected WriteError") from error
    expect(False, f"the disk was full after {room} bytes, and the write said nothing")


def _write_watched(
    subject: Subject,
    sample: SNNCheckpoint,
    path: Path,
    *,
    room: float = float("inf"),
    after: Callable[[], None] | None = None,
) -> int:
    """Write on a disk of so much room, and look around before the new file is in place.

    Returns the bytes that were written.
    """
    own = subject.format.write
    assert own is not None
    disks: list[_FullDisk] = []

    def write(checkpoint: SNNCheckpoint, target: Any, options: Options) -> None:
        disks.append(_FullDisk(target, room))
        own(checkpoint, cast("Target", disks[-1]), options)
        if after is not None:
            after()

    watched = Subject(
        replace(subject.format, write=write),
        subject.place().parent,
        write_options=subject.write_options,
    )
    watched.write(sample, path)
    return disks[-1].taken
