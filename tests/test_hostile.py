"""Hostile files are refused in words: in two seconds of work and 256 MiB, whatever they hold."""

import shutil
import time

import pytest

from hostile import every_case
from snnbridge import SNNBridgeError, SNNCheckpoint, check_file, read, spec
from snnbridge.errors import ReadError, SpecError, UnknownFormat
from snnbridge.testing.bounded import outcomes

SECONDS, BYTES = 2.0, 256 << 20
CASES = every_case()
posix = pytest.mark.skipif("fork" not in dir(__import__("os")), reason="needs fork and pipes")


def attempt(case, path):
    """Read a file with and without the help of its format's name; say what came of it."""
    if case.format == "spec":
        return outcome(lambda: spec.apply(SNNCheckpoint([]), path))
    found = outcome(lambda: read(path))
    if found.startswith("escaped"):
        return found
    named = outcome(lambda: read(path, format=case.format))
    if named == "read":
        checked = outcome(lambda: check_file(path, format=case.format))
        return checked if checked.startswith("escaped") else named
    return named


def outcome(action):
    begun = time.process_time()
    try:
        action()
        result = "read"
    except (ReadError, SpecError, UnknownFormat, FileNotFoundError, PermissionError) as error:
        result = f"refused: {error}"
        cause = error
        while cause is not None:
            if isinstance(cause, MemoryError):
                result = f"escaped: {cause!r} within {error!r}"
            cause = cause.__cause__
    except (SNNBridgeError, OSError) as error:
        result = f"escaped: {error!r}"
    if time.process_time() - begun > SECONDS:
        return f"escaped: took more than {SECONDS} seconds; {result[:200]}"
    return result


@posix
@pytest.mark.parametrize("format", sorted({case.format for case in CASES.values()}))
def test_hostile_files_are_refused_in_words_within_bounds(tmp_path, format):
    cases = [case for case in CASES.values() if case.format == format]
    wrong = {}
    paths = {}
    for number, case in enumerate(cases):
        folder = tmp_path / str(number) / "inner"
        folder.mkdir(parents=True)
        paths[case.name] = case.make(folder)
    for case, found in outcomes(
        lambda case: attempt(case, paths[case.name]), cases, seconds=20, memory=BYTES
    ):
        if not found.startswith("refused") and not (found == "read" and case.harmless):
            wrong[case.name] = found
    shutil.rmtree(tmp_path)
    assert wrong == {}
