"""What the contract says about damaged files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from snnbridge.compare import differences
from snnbridge.errors import SNNBridgeError
from snnbridge.model import SNNCheckpoint
from snnbridge.testing.bounded import outcomes
from snnbridge.testing.subject import Subject, expect, files_beside

#: Places in a file at which it is cut and its bits are turned.
_PLACES = 60


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
    """A turned bit never hangs or crashes a reader; a format with digests tells of each."""
    accepted = ["refused", "told", "the same"] + ["changed"] * (not subject.checks_integrity)
    for path, sample in _damage_samples(subject):
        data = path.read_bytes()
        variants = dict(_flips(data))
        for bit, outcome in _tried(subject, path, sample, variants):
            expect(
                outcome in accepted,
                f"{path.name} with bit {bit % 8} of byte {bit // 8} turned: {outcome}",
            )


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
        if back.source is not None and back.source.integrity == "changed":
            return "told"
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
