"""Nets of every framework, converted for every framework, give there what they gave at home."""

import pytest

import pairs

pytestmark = pytest.mark.live

#: One process runs all that is asked of a target.
TARGETS = [pytest.param(x, marks=pytest.mark.xdist_group(f"pairs {x}")) for x in pairs.GOALS]


@pytest.fixture(scope="module", params=TARGETS)
def judged(request, tmp_path_factory):
    """Convert every recorded net for one framework, and let it run them."""
    target, folder = request.param, tmp_path_factory.mktemp(request.param)
    found = pairs.converted(folder, target)
    pairs.run(found, target, folder)
    return target, [pair for pair in found if not pair.refused]


def test_what_is_written_is_built_and_runs(judged):
    _, taken = judged
    errors = [f"{p.case.framework} {p.case.name}: {p.error}" for p in taken if p.error]
    assert [e for e in errors if "no module stands for a" not in e and "pads" not in e] == []


def test_the_keys_of_the_file_are_those_of_the_framework_s_net(judged):
    """But for SpikingJelly's container, whose one weight is the file's and an identity."""
    target, taken = judged
    for pair in taken:
        if pair.case.framework != target and not any(".rc." in key for key in pair.strange):
            below = [key for key in pair.strange if "input_weights" not in key]  # a name with a dot
            assert below == [], f"{pair.case.framework} {pair.case.name}"


def test_no_spike_differs_where_the_verdict_says_equivalent(judged):
    _, taken = judged
    for pair in taken:
        if pair.error is None and pair.verdict in ("identical", "equivalent"):
            assert pair.wrong() == 0, f"{pair.case.framework} {pair.case.name} ({pair.how})"


def test_no_spike_differs_where_nothing_is_rounded(judged):
    _, taken = judged
    for pair in taken:
        if pair.error is None and pair.how in ("identical", "rewritten"):
            assert pair.wrong() == 0, f"{pair.case.framework} {pair.case.name} ({pair.how})"


def test_some_net_of_every_framework_gives_what_it_gave_at_home(judged):
    _, taken = judged
    right = {p.case.framework for p in taken if p.error is None and p.wrong() == 0}
    assert right == set(pairs.GOALS)
