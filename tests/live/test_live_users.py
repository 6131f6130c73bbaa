"""Nets as users write and save them go to every other framework, and do there what they did."""

import pytest

import pairs
import users

pytestmark = pytest.mark.live

#: Nets whose neurons on images have each a time constant of their own.
EACH = {
    (source, kind)
    for source in ("brainpy", "norse", "sinabs", "snntorch", "spyx")
    for kind in ("image", "cube")
}
#: The nets of users that a framework cannot run as they are, by target: what it lacks.
REFUSED = {
    "brainpy": set(),
    "norse": {
        ("brainpy", "recurrent"), ("rockpool", "mlp"), ("rockpool", "recurrent"),
        ("sinabs", "recurrent"), ("snntorch", "recurrent"), ("spyx", "recurrent"),
    },
    "rockpool": {
        ("brainpy", "conv"), ("norse", "mlp"), ("norse", "conv"), ("norse", "recurrent"),
        ("sinabs", "conv"), ("snntorch", "conv"), ("spikingjelly", "mlp"),
        ("spikingjelly", "conv"), ("spikingjelly", "recurrent"), ("spyx", "conv"),
        ("sinabs", "analog"), *EACH,
    },
    "sinabs": set(),
    "snntorch": {("norse", "recurrent"), ("rockpool", "mlp"), ("rockpool", "recurrent")},
    "spikingjelly": EACH,
    "spyx": {
        *EACH - {(source, kind) for source in ("snntorch", "spyx") for kind in ("image", "cube")},
        ("brainpy", "conv"), ("norse", "mlp"), ("norse", "conv"), ("norse", "recurrent"),
        ("spikingjelly", "mlp"), ("spikingjelly", "conv"), ("spikingjelly", "recurrent"),
    },
}  # fmt: skip


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """Have every framework save its nets."""
    found = []
    for framework in pairs.GOALS:
        folder = tmp_path_factory.mktemp(framework)
        users.save(framework, folder)
        found += users.cases(framework, folder)
    assert len(found) == 31  # Rockpool has no convolutions
    return found


@pytest.mark.xdist_group("users")
def test_the_simulator_gives_what_each_net_gave_at_home(saved):
    for case in saved:
        name = pairs.last(case.net).name
        ours = pairs.simulate(case.net, case.x, record={name: "output"}).traces[name, "output"]
        assert case.out.any()
        assert (ours == case.out).all(), f"{case.framework} {case.name}"


@pytest.mark.xdist_group("users")
@pytest.mark.parametrize("target", pairs.GOALS)
def test_a_net_gives_elsewhere_what_it_gave_at_home(target, saved, tmp_path):
    found = pairs.converted(tmp_path, target, saved)
    pairs.run(found, target, tmp_path)
    refused = {(p.case.framework, p.case.name) for p in found if p.refused}
    assert refused == REFUSED[target]
    for pair in (p for p in found if not p.refused):
        which = f"{pair.case.framework} {pair.case.name}"
        assert pair.error is None, f"{which}: {pair.error}"
        lossy = pair.how == "approximated"
        assert not (lossy and (pair.case.framework, pair.case.name) in EACH), which
        if lossy and pair.verdict not in ("identical", "equivalent"):
            continue  # it says so
        assert pair.verdict in ("identical", "equivalent"), which
        assert pair.wrong() == 0, which
