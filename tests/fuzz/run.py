"""Fuzzes the readers, guided by the code that an input reaches; needs ``pip install -e ".[fuzz]"``.

    python tests/fuzz/run.py                        every target for 20 seconds
    python tests/fuzz/run.py --seconds 3600 hdf5    one target for an hour
    python tests/fuzz/run.py --runs 5000            the same 5000 inputs each time, as CI does
    python tests/fuzz/run.py --merge                put what the runs found new into the corpus

What a run finds stands in ``tests/fuzz/found``: fix the defect, move the file to the corpus of its
target, and the tests keep it.
"""

import argparse
import atexit
import hashlib
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SCRATCH = HERE / "scratch"
FOUND = HERE / "found"
#: Bytes of the longest input, seconds for one, MiB of the process: most of them are Python's.
LIMITS = ("-max_len=65536", "-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1")
KEPT_BYTES, KEPT_FILES = 16384, 40
TARGETS = (
    "npz", "npz-record", "brainpy", "hdf5", "nir", "onnx", "torch", "safetensors",
    "safetensors-index", "spyx", "rockpool", "journal", "spec-toml", "spec-json",
)  # fmt: skip


def fuzz(target, arguments):
    """Run one target in this process; it does not return."""
    import atheris

    with atheris.instrument_imports(include=["snnbridge", "snnbridge_plugins"]):
        from fuzz.targets import attempt, clean_up
    atexit.register(clean_up)
    atheris.Setup([sys.argv[0], *arguments], lambda data: attempt(target, data))
    atheris.Fuzz()


def child(target, *arguments):
    """Run one target in a process of its own."""
    command = [sys.executable, __file__, "--target", target, "--", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def run(target, seconds, runs=None):
    """Fuzz a target for a time, or with so many inputs; say whether it held."""
    extent = (f"-max_total_time={seconds}",) if runs is None else (f"-runs={runs}", "-seed=1")
    (SCRATCH / target).mkdir(parents=True, exist_ok=True)
    FOUND.mkdir(exist_ok=True)
    code, said = child(
        target, *LIMITS, *extent, f"-artifact_prefix={FOUND}/{target}-",
        SCRATCH / target, HERE / "corpus" / target,
    )  # fmt: skip
    count = [x.split()[-1] for x in said.splitlines() if "number_of_executed_units" in x]
    print(f"{target}: {'no defect' if code == 0 else 'DEFECT'} in {(count or ['?'])[0]} runs")
    if code:
        print(said[:3000], said[-3000:])
    return code == 0


def merge(target):
    """Put inputs into the corpus that reach lines, from lines, that no smaller one there does."""
    from fuzz.targets import attempt

    place = HERE / "corpus" / target
    place.mkdir(parents=True, exist_ok=True)
    files = [path for folder in (place, SCRATCH / target) for path in folder.iterdir()]
    reached = set()
    for path in sorted(files, key=lambda path: (path.parent != place, path.stat().st_size)):
        data = path.read_bytes()
        new = steps_of(lambda data=data: attempt(target, data)) - reached
        if new and len(data) <= KEPT_BYTES and len(list(place.iterdir())) < KEPT_FILES:
            reached |= new
            (place / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def steps_of(action):
    """Return the steps from line to line that an action takes in this package."""
    found = set()

    def trace(frame, event, _):
        if "snnbridge" not in frame.f_code.co_filename:
            return None
        last = None

        def local(frame, event, _):
            nonlocal last
            found.add((frame.f_code, last, frame.f_lineno))
            last = frame.f_lineno
            return local

        return local

    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(None)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", default=TARGETS)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--runs", type=int, help="so many inputs, the same ones each time")
    parser.add_argument("--merge", action="store_true")
    parser.add_argument("--target", help=argparse.SUPPRESS)
    chosen = parser.parse_args(sys.argv[1 : sys.argv.index("--")] if "--" in sys.argv else None)
    sys.path.insert(0, str(HERE.parent))
    if chosen.target:
        fuzz(chosen.target, sys.argv[sys.argv.index("--") + 1 :])
    if chosen.merge:
        for target in chosen.targets:
            merge(target)
        return 0
    held = [run(target, chosen.seconds, chosen.runs) for target in chosen.targets]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
