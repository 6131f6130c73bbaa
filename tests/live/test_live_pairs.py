"""Nets of every framework, converted for every framework, give there what they gave at home."""

import pytest

import pairs

pytestmark = pytest.mark.live

#: Pairs of frameworks that some recorded net can go between; a refactoring must not lose one.
WORKING = {
    "brainpy": {"brainpy", "norse", "sinabs", "snntorch", "spikingjelly", "spyx"},
    "norse": {"brainpy", "norse", "sinabs", "snntorch", "spikingjelly"},
    "rockpool": {"brainpy", "norse", "rockpool", "sinabs", "snntorch", "spikingjelly"},
    "sinabs": {"brainpy", "norse", "rockpool", "sinabs", "snntorch", "spikingjelly", "spyx"},
    "snntorch": {"brainpy", "norse", "sinabs", "snntorch", "spikingjelly", "spyx"},
    "spikingjelly": {"brainpy", "norse", "sinabs", "snntorch", "spikingjelly"},
    "spyx": {"spyx"},
}


@pytest.fixture(scope="module", params=pairs.GOALS)
def judged(request, tmp_path_factory):
    """Convert every recorded net for one framework, and let it run them."""
    target, folder = request.param, tmp_path_factory.mktemp(request.param)
    if not pairs.environment(target).is_file():
        pytest.skip(f"no environment for {target}")
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


def test_the_pairs_of_frameworks_that_worked_still_do(judged):
    target, taken = judged
    right = {p.case.framework for p in taken if p.error is None and p.wrong() == 0}
    assert right == WORKING[target]
