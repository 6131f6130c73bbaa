"""What the benchmarks share: the machine, and a page that takes their tables and pictures."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

import numpy as np

from snnbridge.version import __version__

INK, GREY, RED = "#1f4e79", "#9aa0a6", "#c0392b"


def add_out(parser):
    """Let a benchmark write into a page of the documentation."""
    parser.add_argument(
        "--out",
        metavar="PAGE.md",
        type=Path,
        help="write table and picture into this page, as docs/performance.md, between its marks",
    )


def machine():
    """Name the day, the machine and the versions in one line."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        name = models[0].split(":")[1].strip() if models else name
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"{time.strftime('%Y-%m-%d')}, {name}, {os.cpu_count()} cores{load}, {platform.system()}, "
        f"Python {platform.python_version()}, numpy {np.__version__}, snnbridge {__version__}"
    )


def figure(width=7.5, height=4.0):
    """Return an empty figure whose SVG is the same for the same numbers."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams.update({"svg.hashsalt": "snnbridge", "svg.fonttype": "none"})
    return Figure(figsize=(width, height), layout="constrained")


def publish(page, name, text, drawn, described):
    """Put a text and a picture between the marks of a page, and the picture beside it."""
    picture = page.with_name(f"{page.stem}-{name}.svg")
    drawn.savefig(picture, metadata={"Date": None})
    start, end = f"<!-- {name}: start -->", f"<!-- {name}: end -->"
    held = page.read_text(encoding="utf-8")
    before, after = held[: held.index(start)], held[held.index(end) :]
    shown = f"{start}\n\n![{described}]({picture.name})\n\n{text}\n\n"
    page.write_text(before + shown + after, encoding="utf-8")
