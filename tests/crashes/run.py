"""Stops writers in every way, many times, and prints the table of docs/safety.md.

python tests/crashes/run.py                  some minutes
python tests/crashes/run.py --kills 1000 npz one format, many random kills
"""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from crashes.calls import ERRORS
from crashes.scenarios import SUFFIXES, Scenario
from crashes.trials import (
    cuts,
    errors_at_every_call,
    kills_at_every_call,
    random_kills,
    writes_in_pieces,
)

HEAD = "| format | kill before each call | random kills | failing calls | power cuts |"


def row(format, folder, kills):
    """Return a format's line of the table."""
    columns = [Counter() for _ in range(4)]
    for in_place in (False, True):
        scenario = Scenario(format, folder / "here", in_place)
        columns[0] += kills_at_every_call(scenario)
        columns[1] += random_kills(scenario, kills)
        for error in ERRORS:
            columns[2] += errors_at_every_call(scenario, error)
        columns[2] += writes_in_pieces(scenario)
        columns[3] += cuts(scenario, folder)
    return f"| {format} | {' | '.join(map(shown, columns))} |"


def shown(counts):
    """Show how often the old one was found, the new one, and anything else."""
    old, new = (sum(n for key, n in counts.items() if key.startswith(k)) for k in ("old", "new"))
    rest = {key: n for key, n in counts.items() if not key.startswith(("old", "new"))}
    return f"{old}/{new}/{sum(rest.values())}" + (f" {rest}" if rest else "")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("formats", nargs="*", default=list(SUFFIXES))
    parser.add_argument("--kills", type=int, default=100)
    chosen = parser.parse_args()
    print(HEAD, "|---|---|---|---|---|", sep="\n")
    for format in chosen.formats:
        with tempfile.TemporaryDirectory() as folder:
            print(row(format, Path(folder), chosen.kills), flush=True)


if __name__ == "__main__":
    main()
