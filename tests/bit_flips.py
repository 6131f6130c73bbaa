"""Turns single bits of files, and tells what becomes of each; prints the table of docs/safety.md.

python tests/bit_flips.py            every bit of every format's small file
python tests/bit_flips.py npz hdf5
"""

import sys
import tempfile
from collections import Counter
from pathlib import Path

from crashes.scenarios import NEW, SUFFIXES
from snnbridge import SNNBridgeError, differences, read, write
from snnbridge.bridge.digests import with_check
from snnbridge.registry import default
from snnbridge.testing.bounded import outcomes

#: What may become of a turned bit.
FOUND, HARMLESS, SILENT = "found", "harmless", "silent"


def outcome_of(path, format, expected):
    """Say what a reader that compares digests makes of a file with one bit turned."""
    try:
        back = read(path, format=format, options=with_check(default().get(format), {}))
    except (SNNBridgeError, FileNotFoundError):
        return FOUND
    if back.source.integrity == "changed":
        return FOUND
    return SILENT if differences(expected, back) else HARMLESS


def flips(format, folder, *, every=1):
    """Turn bits of every file of a set, and count the outcomes; also where the silent ones are."""
    path = folder / f"net{SUFFIXES[format]}"
    write(NEW, path, format=format)
    expected = read(path, format=format)
    counts, silent = Counter(), []
    for file in sorted(folder.iterdir()):
        good = file.read_bytes()

        def turn(bit, file=file, good=good):
            data = bytearray(good)
            data[bit // 8] ^= 1 << bit % 8
            file.write_bytes(data)
            return outcome_of(path, format, expected)

        for bit, outcome in outcomes(turn, range(0, 8 * len(good), every)):
            counts[outcome] += 1
            if outcome not in (FOUND, HARMLESS):
                silent.append(f"{file.name}, bit {bit % 8} of byte {bit // 8}: {outcome}")
        file.write_bytes(good)
    return counts, silent


def main():
    print("| format | bits | found | harmless | silent |", "|---|---|---|---|---|", sep="\n")
    for format in sys.argv[1:] or SUFFIXES:
        with tempfile.TemporaryDirectory() as folder:
            counts, silent = flips(format, Path(folder))
        shown = (sum(counts.values()), counts[FOUND], counts[HARMLESS], len(silent))
        print(f"| {format} | {' | '.join(f'{n:,}' for n in shown)} |", flush=True)
        for place in silent[:5]:
            print(f"  {place}")


if __name__ == "__main__":
    main()
