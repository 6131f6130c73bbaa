"""What the contract says about files: whose they are, and what befalls them."""

from __future__ import annotations

import errno
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from snnbridge import bridge
from snnbridge.compare import differences
from snnbridge.errors import SNNBridgeError
from snnbridge.formats import Options, Probe
from snnbridge.model import SNNCheckpoint
from snnbridge.registry import Registry
from snnbridge.storage import Target
from snnbridge.testing.bounded import outcomes
from snnbridge.testing.samples import small
from snnbridge.testing.subject import ConformanceFailure, Subject, expect, files_beside

#: Places in a file at which it is cut and its bits are turned.
_PLACES = 60


def own_files_are_recognised(subject: Subject) -> None:
    """The format claims each of its own files by its content, whatever its suffix."""
    for name, sample in subject.held(20).items():
        path = _written(subject, sample)
        claims = [p for p in files_beside(path) if _sniff(subject, p)]
        expect(claims, f"its own file of {name!r} is not recognised")
        found = subject.registry.detect(path)
        expect(found is subject.format, f"its own file of {name!r} is taken for {found.name}")


def foreign_files_are_left_alone(subject: Subject) -> None:
    """The format claims no other format's file, no junk, no folder and no missing path."""
    folder = subject.place().parent
    for name, content in _junk().items():
        path = folder / f"{name}{(*subject.format.suffixes, '')[0]}"
        path.write_bytes(content)
        expect(not _sniff(subject, path), f"a file of {name} is claimed")
    expect(not _sniff(subject, folder), "a folder of other files is claimed")
    expect(not _sniff(subject, folder / "missing"), "a path that leads nowhere is claimed")
    for name, path in _files_of_others(subject):
        expect(not _sniff(subject, path), f"a file of the format {name} is claimed")


def a_missing_file_is_file_not_found(subject: Subject) -> None:
    """Reading a file that is not there is FileNotFoundError."""
    try:
        subject.read(subject.place())
    except FileNotFoundError:
        return
    expect(False, "reading a missing file did not raise FileNotFoundError")


def a_shortened_file_is_refused(subject: Subject) -> None:
    """A file that was cut anywhere is an error of the family, in bounded time and memory."""
    for path, sample in _damage_samples(subject):
        data = path.read_bytes()
        cuts = sorted({int(x) for x in np.linspace(0, len(data) - 1, _PLACES)})
        for cut, outcome in _tried(subject, path, sample, {c: data[:c] for c in cuts}):
            expect(
                outcome in ("refused", "the same"),
                f"{path.name} cut to {cut} of {len(data)} bytes: {outcome}",
            )


def a_flipped_bit_is_found(subject: Subject) -> None:
    """A turned bit never hangs or crashes a reader; a format with digests finds each."""
    accepted = ["refused", "the same"] + ["changed"] * (not subject.checks_integrity)
    for path, sample in _damage_samples(subject):
        data = path.read_bytes()
        variants = dict(_flips(data))
        for bit, outcome in _tried(subject, path, sample, variants):
            expect(
                outcome in accepted,
                f"{path.name} with bit {bit % 8} of byte {bit // 8} turned: {outcome}",
            )


def a_full_disk_leaves_the_old_file(subject: Subject) -> None:
    """When the disk is full at any point, the write fails and the old file is as it was."""
    for sample in list(subject.held(3).values()):
        path = _written(subject, sample)
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
        for path in (subject.place(), _written(subject, sample)):
            before = _contents(path.parent)
            seen: list[dict[str, bytes]] = []

            def look(path: Path = path, seen: list[dict[str, bytes]] = seen) -> None:
                seen.append(_contents(path.parent))

            _write_watched(subject, sample, path, after=look)
            expect(seen == [before], "files were changed before the new ones were complete")


def readers_may_share_a_file(subject: Subject) -> None:
    """Several readers of one file at the same time find the same."""
    for sample in list(subject.held(2).values()):
        path = _written(subject, sample)
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
        path = _written(subject, sample)
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


def _sniff(subject: Subject, path: Path) -> bool:
    try:
        return bool(subject.format.sniff(Probe(path)))
    except Exception as error:
        raise ConformanceFailure(
            f"sniff raised {type(error).__name__}: {error}, for {path.name}"
        ) from error


def _junk() -> dict[str, bytes]:
    noise = np.random.default_rng(0).bytes(5000)
    return {
        "nothing": b"",
        "one byte": b"\0",
        "zeros": bytes(5000),
        "noise": noise,
        "text": b"a text that nobody takes for a checkpoint\n" * 20,
        "JSON": b'{"a": [1, 2, {"b": null}]}',
        "an empty object": b"{}",
        "a picture": b"\x89PNG\r\n\x1a\n" + noise,
        "the head of a zip": b"PK\x03\x04" + noise,
        "the head of an HDF5 file": b"\x89HDF\r\n\x1a\n" + bytes(500),
        "a pickle": b"\x80\x04\x95" + noise,
    }


def _files_of_others(subject: Subject) -> Iterator[tuple[str, Path]]:
    """Write a sample in every other format that is installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        others = Registry.installed()
    for other in others:
        if other.name == subject.format.name or other.write is None:
            continue
        path = subject.place().with_suffix((*other.suffixes, "")[0])
        try:
            bridge.write(small(), path, format=other.name, allow_loss=True, registry=others)
        except SNNBridgeError:
            continue
        yield from ((other.name, p) for p in files_beside(path))


def _written(subject: Subject, sample: SNNCheckpoint) -> Path:
    path = subject.place()
    subject.write(sample, path)
    head: Path = next(p for p in [path, *files_beside(path)] if p.is_file())
    return head


def _damage_samples(subject: Subject) -> Iterator[tuple[Path, SNNCheckpoint]]:
    """Write some samples, and yield every file of each."""
    for sample in list(subject.held(3).values()):
        path = subject.place()
        subject.write(sample, path)
        yield from ((p, sample) for p in files_beside(path) if p.is_file())


def _tried(
    subject: Subject, path: Path, sample: SNNCheckpoint, variants: Mapping[int, bytes]
) -> Iterator[tuple[int, str]]:
    """Read variants of one file, each beside the others of its set."""
    good = path.read_bytes()

    def read(variant: int) -> str:
        path.write_bytes(variants[variant])
        try:
            back = subject.read(path)
        except SNNBridgeError as error:
            return _refusal(error)
        except (FileNotFoundError, PermissionError) as error:
            return f"raised {error!r}"
        return "changed" if differences(sample, back) else "the same"

    yield from outcomes(read, variants)
    path.write_bytes(good)


def _refusal(error: BaseException | None) -> str:
    while error is not None:
        if isinstance(error, MemoryError | RecursionError):
            return f"took too much memory ({type(error).__name__})"
        error = error.__cause__
    return "refused"


def _flips(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Turn bits all over a file, and all those of its first bytes."""
    chosen = np.linspace(0, len(data) - 1, 4 * _PLACES).astype(int)
    generator = np.random.default_rng(len(data))
    for byte in sorted({*map(int, chosen), *range(min(64, len(data)))}):
        bit = int(generator.integers(8))
        turned = bytearray(data)
        turned[byte] ^= 1 << bit
        yield 8 * byte + bit, bytes(turned)


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
