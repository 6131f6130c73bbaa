"""What fuzzing found, and what reaches most of the readers: read or refused in words."""

import pytest

from fuzz.targets import TARGETS, attempt, clean_up, corpus


@pytest.fixture(scope="module", autouse=True)
def no_files_left():
    yield
    clean_up()


@pytest.mark.parametrize("target", TARGETS)
def test_every_input_of_the_corpus_is_read_or_refused(target):
    taken = [attempt(target, path.read_bytes()) for path in corpus(target)]
    assert len(taken) > 3
    assert any(taken) or target == "journal"
