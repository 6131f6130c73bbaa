"""What the contract says about checkpoints: what comes back, and what is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from snnbridge.compare import Difference, differences
from snnbridge.document import inline, to_document
from snnbridge.errors import OptionError, SNNBridgeError, UnknownValue, WriteError
from snnbridge.ledger import Ledger
from snnbridge.model import UNKNOWN, Array, SNNCheckpoint
from snnbridge.storage import dump_json
from snnbridge.testing.subject import Subject, expect, files_beside
from snnbridge.usage import features
from snnbridge.verifier import verify


def a_sample_comes_back_or_is_refused(subject: Subject, sample: SNNCheckpoint) -> None:
    """What the format holds comes back bit for bit; the rest is refused, and no file is left."""
    path = subject.place()
    undeclared = sorted(f.name for f in set(features(sample)) - subject.format.holds)
    try:
        ledger = subject.write(sample, path)
    except WriteError:  # LossyWrite, or one for what cannot even be left out
        expect(not subject.holds(sample), "refused, although every feature is declared")
        _expect_nothing(path)
        return
    except UnknownValue:  # a format that runs cannot hold what no step can be made of
        expect(_has_unknowns(sample), "refused for unknown values, but everything is known")
        _expect_nothing(path)
        return
    expect(not undeclared, f"written, although {', '.join(undeclared)} is not declared")
    _expect_explained(differences(sample, subject.read(path)), ledger)


def the_ledger_tells_the_truth(subject: Subject, sample: SNNCheckpoint) -> None:
    """With losses allowed, every difference that a reader finds stands in the ledger."""
    path = subject.place()
    try:
        ledger = subject.write(sample, path, allow_loss=True)
    except SNNBridgeError:
        _expect_nothing(path)
        return
    _expect_explained(differences(sample, subject.read(path)), ledger)


def the_input_stays_as_it_was(subject: Subject, sample: SNNCheckpoint) -> None:
    """Writing changes nothing of the checkpoint that was handed in."""
    before = _fingerprint(sample)
    flags = [array.flags.writeable for array in _arrays(sample)]
    _write_if_possible(subject, sample)
    expect(_fingerprint(sample) == before, "writing changed the checkpoint that was handed in")
    after = [array.flags.writeable for array in _arrays(sample)]
    expect(flags == after, "writing changed which arrays may be written to")


def equal_checkpoints_make_equal_bytes(subject: Subject, sample: SNNCheckpoint) -> None:
    """Writing the same checkpoint twice makes the same files."""
    first = _write_if_possible(subject, sample)
    second = _write_if_possible(subject, sample)
    if first is None or second is None:
        return
    left, right = _contents(first), _contents(second)
    expect(left.keys() == right.keys(), f"files are {sorted(left)}, then {sorted(right)}")
    for name, digest in left.items():
        expect(digest == right[name], f"{name} has other bytes when it is written again")


def behaviour_is_the_same(subject: Subject, sample: SNNCheckpoint) -> None:
    """A network that comes back does what it did, spike for spike."""
    path = _write_if_possible(subject, sample)
    if path is None:
        return
    back = subject.read(path)
    verdict = verify(sample, back, steps=30).verdict
    _, ledger = subject.planned(sample)
    states = {entry.status.name for entry in ledger.told}
    expected = ("identical", "equivalent") if "ROUNDED" not in states else ("equivalent",)
    expect(
        verdict in expected or (states and verdict == "indeterminate"),
        f"the network that comes back is {verdict}; the ledger says {states or 'exact'}",
    )


def unknown_options_are_refused(subject: Subject) -> None:
    """An option that the format does not declare is an error before any work."""
    if subject.format.write is None:
        return
    path = subject.place()
    asked = Subject(subject.format, subject.place().parent, write_options={"no such option": "x"})
    try:
        asked.write(SNNCheckpoint([]), path)
    except OptionError:
        _expect_nothing(path)
        return
    expect(False, "an option of a name that nobody knows was accepted")


def _has_unknowns(sample: SNNCheckpoint) -> bool:
    from snnbridge.simulator import missing_values

    return bool(missing_values(sample)) or sample.connections is UNKNOWN


def _expect_nothing(path: Path) -> None:
    left = [p.name for p in files_beside(path)]
    expect(not left, f"the write was refused, but left {', '.join(left)}")


def _expect_explained(found: list[Difference], ledger: Ledger) -> None:
    told = {entry.path for entry in ledger.told}
    for difference in found:
        path = difference.path
        expect(
            any(path[:n] in told for n in range(1, len(path) + 1)),
            f"{'/'.join(path)} came back changed, and the ledger does not say so: {difference}",
        )


def _write_if_possible(subject: Subject, sample: SNNCheckpoint) -> Path | None:
    path = subject.place()
    try:
        subject.write(sample, path)
    except SNNBridgeError:
        return None
    return path


def _contents(path: Path) -> dict[str, str]:
    return {
        str(p.relative_to(path.parent)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in files_beside(path)
        if p.is_file()
    }


def _arrays(sample: SNNCheckpoint) -> Iterator[Array]:
    found: list[Array] = []
    to_document(sample, lambda _, array: found.append(array))
    yield from found


def _fingerprint(sample: SNNCheckpoint) -> str:
    document = to_document(sample, lambda _, array: inline(array))
    return hashlib.sha256(dump_json(document)).hexdigest()
