"""A writer that is stopped anywhere leaves the old checkpoint or the new one, whole.

Here one format of one file and one of two; ``tests/crashes/run.py`` does it for all.
"""

import os

import pytest

from crashes.calls import ERRORS
from crashes.scenarios import Scenario
from crashes.trials import (
    cuts,
    errors_at_every_call,
    kills_at_every_call,
    random_kills,
    writes_in_pieces,
)

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


@pytest.fixture(params=["hdf5", "npz"])
def scenario(request, tmp_path):
    return Scenario(request.param, tmp_path / "here")


def found(counts):
    return {key.split(",")[0] for key in counts}


def test_a_kill_before_any_call(scenario):
    assert found(kills_at_every_call(scenario)) == {"old", "new"}


def test_a_kill_at_any_moment(scenario):
    assert found(random_kills(scenario, 10)) <= {"old", "new"}


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_of_any_call_is_told_and_the_writer_says_what_is_there(scenario, error):
    counts = errors_at_every_call(scenario, error)
    assert set(counts) <= {"old", "new", "new, perhaps not yet durable"}
    assert counts["old"] > 0


def test_a_system_that_takes_only_parts(scenario):
    assert set(writes_in_pieces(scenario)) == {"new"}


def test_a_power_cut_at_any_moment(scenario, tmp_path):
    assert found(cuts(scenario, tmp_path)) == {"old", "new"}


def test_a_conversion_to_its_own_place_never_loses_the_checkpoint(tmp_path):
    scenario = Scenario("npz", tmp_path / "here", in_place=True)
    for counts in (kills_at_every_call(scenario), cuts(scenario, tmp_path)):
        assert set(counts) == {"new"}
