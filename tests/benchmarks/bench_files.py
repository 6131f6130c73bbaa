"""Moving weights: every figure is a ratio of two things measured in turn in the same run.

    python tests/benchmarks/bench_files.py            # about three minutes
    python tests/benchmarks/bench_files.py --quick    # smaller files, for a look
    python tests/benchmarks/bench_files.py --peers    # beside the frameworks' own save and load
    python tests/benchmarks/bench_files.py --peers --out docs/performance.md

Prints a table (`--json` for machines), or writes table and picture into a page. Peers run in the
environments that fixtures/make/environments.py makes, where they are there. Memory is anonymous
memory (RssAnon) above that of the process before the work; it is read on Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import page
from peers_files import PEERS, TAIL

from snnbridge import Linear, SNNCheckpoint, convert, read, write

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = Path(os.environ.get("SNNBRIDGE_ENVIRONMENTS", ROOT / ".environments"))
FORMATS = {"npz": ".npz", "brainpy": ".bp", "hdf5": ".h5"}


def model(count, nbytes):
    """Make a checkpoint of square float32 weights."""
    side = round((nbytes / 4) ** 0.5)
    rng = np.random.default_rng(0)
    return SNNCheckpoint(
        [Linear(f"Dense{i}", rng.standard_normal((side, side), np.float32)) for i in range(count)]
    )


def timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def ratio(work, limit, pairs):
    """Return the median ratio of pairs measured in turn, and the limit's median time."""
    work(), limit()
    ratios, limits = [], []
    for _ in range(pairs):
        limits.append(timed(limit))
        ratios.append(timed(work) / limits[-1])
    return statistics.median(ratios), statistics.median(limits)


def anonymous():
    """Return the anonymous memory of this process in bytes, or None off Linux."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    line = next(x for x in status.read_text().splitlines() if x.startswith("RssAnon"))
    return int(line.split()[1]) * 1024


def peak_above(work):
    """Return the most anonymous memory that the work takes above what was there before."""
    before = anonymous()
    if before is None:
        work()
        return None
    peak, over = before, threading.Event()

    def watch():
        nonlocal peak
        while not over.wait(0.002):
            peak = max(peak, anonymous())

    thread = threading.Thread(target=watch)
    thread.start()
    work()
    over.set()
    thread.join()
    return peak - before


def raw_write(path, checkpoint):
    pieces = [memoryview(w).cast("B") for w in checkpoint.weights]

    def work():
        with path.open("wb", buffering=1 << 20) as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())

    return work


def raw_read(path):
    def work():
        np.fromfile(path, np.uint8).sum(dtype=np.uint64)

    return work


def touch(path):
    def work():
        for weight in read(path).weights:
            weight.view(np.uint8).reshape(-1).sum(
                dtype=np.uint64
            ) if weight.flags.c_contiguous else (
                weight.T.view(np.uint8).reshape(-1).sum(dtype=np.uint64)
            )

    return work


def copy(source, target):
    def work():
        with source.open("rb") as reader, target.open("wb") as writer:
            size = source.stat().st_size
            while reader.tell() < size:
                done = os.copy_file_range(reader.fileno(), writer.fileno(), 1 << 30)
                if not done:
                    break
            os.fsync(writer.fileno())

    return work


def rows_of_size(folder, name, checkpoint, pairs):
    """Yield (what, ratio, goal, limit) for one set of arrays in every format.

    Written is what the format itself read: BrainPy's weights are (in, out), so that a weight from
    elsewhere is transposed on its way, which the rows of conversions show.
    """
    raw = folder / "raw"
    small = len(checkpoint.layers) > 1000
    write_goal, read_goal = (2.0, 2.0) if small else (1.10, 1.1)
    for format, suffix in FORMATS.items():
        path = folder / f"model{suffix}"
        write(checkpoint, folder / f"first{suffix}")
        own = read(folder / f"first{suffix}")
        goal = 6.0 if small and format == "hdf5" else write_goal
        found = ratio(lambda p=path, c=own: write(c, p), raw_write(raw, checkpoint), pairs)
        yield f"{name}: write {format}", *found, goal, "raw write + fsync"
        limit = raw_write(raw, checkpoint) if small else raw_read(raw)
        against = "raw write + fsync" if small else "np.fromfile"
        goal = 6.0 if small and format == "hdf5" else read_goal
        found = ratio(touch(path), limit, pairs)
        yield f"{name}: read and touch {format}", *found, goal, against


def conversions(folder, name, checkpoint, pairs):
    for a, b in (("brainpy", "npz"), ("npz", "hdf5"), ("hdf5", "brainpy")):
        source, target = folder / f"model{FORMATS[a]}", folder / f"out{FORMATS[b]}"
        found = ratio(
            lambda s=source, t=target: convert(s, t, verify=False),
            copy(source, folder / "copy"),
            pairs,
        )
        yield f"{name}: convert {a} to {b}, unverified", *found, 1.15, "cp + fsync"


def child(expression):
    """Run an expression of this module in a process of its own and return its JSON."""
    code = f"import sys, json; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    code += f"from bench_files import *\nprint(json.dumps({expression}))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def write_memory(format, folder, count, nbytes):
    checkpoint = model(count, nbytes)
    write(model(1, 1024), Path(folder) / f"warm{FORMATS[format]}")
    return peak_above(lambda: write(checkpoint, Path(folder) / f"m{FORMATS[format]}"))


def convert_memory(a, b, folder):
    warm = Path(folder) / f"warm{FORMATS[a]}"
    write(model(1, 1024), warm)
    convert(warm, Path(folder) / f"warmed{FORMATS[b]}")
    source = Path(folder) / f"big{FORMATS[a]}"
    return peak_above(lambda: convert(source, Path(folder) / f"bigger{FORMATS[b]}"))


def memory_rows(folder, size):
    for format in FORMATS:
        peak = child(f"write_memory({format!r}, {str(folder)!r}, 8, {size // 8})")
        yield f"extra memory: write {format}", peak, 16 << 20
    for format, suffix in FORMATS.items():
        write(model(8, size // 8), folder / f"big{suffix}", format=format)
    for a, b in (("brainpy", "npz"), ("npz", "hdf5"), ("hdf5", "brainpy")):
        peak = child(f"convert_memory({a!r}, {b!r}, {str(folder)!r})")
        yield f"extra memory: convert {a} to {b}, verified", peak, 64 << 20


def start_rows(pairs):
    command = Path(sys.executable).parent / "snnbridge"
    fixture = ROOT / "fixtures/brainpy-2.8.2/snn.bp"
    for arguments, goal in ((["--help"], 0.1), (["formats"], 0.15), (["info", str(fixture)], 0.3)):
        runs = [
            timed(
                lambda a=arguments: subprocess.run([command, *a], capture_output=True, check=True)
            )
            for _ in range(pairs + 1)
        ]
        bare = [
            timed(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True))
            for _ in range(pairs)
        ]
        yield arguments[0], statistics.median(runs[1:]), goal, statistics.median(bare)


def peer_rows(folder, size):
    side = round((size / 8 / 4) ** 0.5)
    for name, code in PEERS.items():
        python = ENVIRONMENTS / name / "bin" / "python"
        if not python.exists():
            continue
        done = subprocess.run(
            [python, "-c", code + TAIL, "8", str(side), folder / "peer", folder / "raw"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            saved, loaded = json.loads(done.stdout.splitlines()[-1])
            yield f"{name}: its own save", saved, "raw write + fsync"
            yield f"{name}: its own load and touch", loaded, "np.fromfile"


COLUMNS = ("what", "ratio", "limit_s", "goal", "against")


def measure(arguments):
    size = (32 if arguments.quick else 256) << 20
    many = 4_000 if arguments.quick else 40_000
    with tempfile.TemporaryDirectory(dir=arguments.folder) as place:
        folder, pairs = Path(place), arguments.pairs
        large, name = model(8, size // 8), f"{size >> 20} MiB in 8 arrays"
        for row in rows_of_size(folder, name, large, pairs):
            yield dict(zip(COLUMNS, row, strict=True))
        for row in conversions(folder, name, large, pairs):
            yield dict(zip(COLUMNS, row, strict=True))
        for row in rows_of_size(folder, f"{many:,} arrays of 4 KiB", model(many, 4096), pairs):
            yield dict(zip(COLUMNS, row, strict=True))
        for what, peak, goal in memory_rows(folder, size):
            yield {"what": what, "bytes": peak, "goal": goal}
        for what, seconds, goal, bare in start_rows(pairs):
            yield {"what": f"snnbridge {what}", "seconds": seconds, "goal": goal, "bare_s": bare}
        for what, times, against in peer_rows(folder, size) if arguments.peers else ():
            yield {"what": what, "ratio": times, "against": against}


def show(row):
    if "ratio" in row:
        value = f"{row['ratio']:.2f} x"
        goal = f"{row['goal']:.2f} x" if "goal" in row else ""
    elif "bytes" in row:
        value = "?" if row["bytes"] is None else f"{row['bytes'] / 2**20:.1f} MiB"
        goal = f"{row['goal'] / 2**20:.0f} MiB"
    else:
        value, goal = f"{row['seconds']:.3f} s", f"{row['goal']:.2f} s"
    against = row.get("against", f"python -c pass {row['bare_s']:.3f} s" if "bare_s" in row else "")
    return f"| {row['what']} | {value} | {goal} | {against} |"


def drawn(rows):
    """Draw every ratio beside its goal; the limit that it is a ratio to is 1."""
    shown = [row for row in rows if "ratio" in row][::-1]
    figure = page.figure(8.5, 0.6 + 0.24 * len(shown))
    axes = figure.subplots()
    for y, row in enumerate(shown):
        ours = "goal" in row
        axes.barh(y, row["ratio"], color=page.INK if ours else page.GREY, height=0.6)
        if ours:
            axes.plot([row["goal"]] * 2, [y - 0.42, y + 0.42], color=page.RED)
    axes.axvline(1, color="black", linewidth=0.7)
    axes.set_xscale("log")
    axes.set_yticks(range(len(shown)), [row["what"] for row in shown], fontsize=7)
    axes.set_xlabel("times the limit, log scale; goals are red, peers are grey", fontsize=8)
    return figure


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--folder", help="where files are written; its file system is measured")
    page.add_out(parser)
    arguments = parser.parse_args()
    machine = page.machine()
    found = list(measure(arguments))
    if arguments.json:
        print(json.dumps({"machine": machine, "rows": found}, indent=2))
        return
    head = "| what | measured | goal | against |\n|---|---|---|---|"
    text = f"{machine}\n\n" + "\n".join([head, *(show(row) for row in found)])
    if arguments.out:
        page.publish(arguments.out, "files", text, drawn(found), "times of files over their limits")
    else:
        print(text)


if __name__ == "__main__":
    main()
