"""Trials: each stops a writer in its own way many times, and counts what is found."""

import os
import random
import shutil
import signal
import time
from collections import Counter

from crashes.calls import failing, killed, short_writes
from crashes.power import restore, states_of
from snnbridge.errors import NotDurable, ReadError, WriteError

MOST_CALLS = 500


def in_child(action):
    """Run something in a child; return the child's number."""
    child = os.fork()
    if child:
        return child
    try:
        action()
        os._exit(0)
    finally:
        os._exit(1)


def after_kill(scenario):
    """Say what is found, and that the next writer cleans up."""
    found = scenario.found()
    scenario.act()
    hidden = scenario.hidden()
    return found if not hidden and scenario.found() == "new" else f"left {hidden}"


def kills_at_every_call(scenario):
    """Kill the writer before each of its calls in turn."""
    counts = Counter()
    for number in range(MOST_CALLS):
        scenario.begin()

        def act(number=number):
            with killed(number):
                scenario.act()

        code = os.waitstatus_to_exitcode(os.waitpid(in_child(act), 0)[1])
        if code == 0:
            return counts
        counts[after_kill(scenario) if code == 9 else f"exit code {code}"] += 1
    raise AssertionError("more calls than expected")


def random_kills(scenario, times, seed=0):
    """Kill the writer with SIGKILL at random moments."""
    counts, generator = Counter(), random.Random(seed)
    scenario.begin()
    begun = time.perf_counter()
    os.waitpid(in_child(scenario.act), 0)
    usual = time.perf_counter() - begun
    for _ in range(times):
        scenario.begin()
        child = in_child(scenario.act)
        time.sleep(generator.uniform(0, 1.2 * usual))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        counts[after_kill(scenario)] += 1
    return counts


def errors_at_every_call(scenario, error):
    """Let each call in turn fail; what is found must be what the writer said."""
    counts = Counter()
    for number in range(MOST_CALLS):
        scenario.begin()
        outcome, made = _said(scenario, number, error)
        if len(made) <= number:
            return counts
        found = scenario.found()
        counts[outcome if found in (outcome[:3], scenario.always) else f"{outcome}, {found}"] += 1
    raise AssertionError("more calls than expected")


def _said(scenario, number, error):
    """Write while one call fails; return what the writer says is there, and the calls."""
    with failing(number, error) as made:
        try:
            scenario.act()
        except NotDurable:
            return "new, perhaps not yet durable", made
        except (WriteError, ReadError):
            return "old", made
        except OSError as raised:
            return f"escaped: {raised!r}", made
    return "new", made


def cuts(scenario, folder):
    """Cut the power after every call, in every way, and once more when the writer has returned."""
    counts = Counter()
    states, last = states_of(scenario)
    for number, state in enumerate(states):
        place = restore(state, folder / f"{scenario.format}-{number}")
        counts[scenario.found(place)] += 1
        shutil.rmtree(place)
    for number, state in enumerate(last):
        place = restore(state, folder / f"{scenario.format}-last-{number}")
        found = scenario.found(place)
        counts["new" if found == "new" else f"{found} after the end"] += 1
        shutil.rmtree(place)
    return counts


def writes_in_pieces(scenario):
    """Let the system take only parts of what it is given."""
    scenario.begin()
    with short_writes():
        scenario.act()
    return Counter([scenario.found()])
