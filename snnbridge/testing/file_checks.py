"""What the contract says about whose a file is."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from snnbridge import bridge
from snnbridge.errors import SNNBridgeError
from snnbridge.formats import Probe
from snnbridge.registry import Registry
from snnbridge.testing.samples import small
from snnbridge.testing.subject import ConformanceFailure, Subject, expect, files_beside


def own_files_are_recognised(subject: Subject) -> None:
    """The format claims each of its own files by its content, whatever its suffix."""
    for name, sample in subject.held(20).items():
        path = subject.written(sample)
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
