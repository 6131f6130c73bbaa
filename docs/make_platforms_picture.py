"""Draw the published traces of one neuron: ``python docs/make_platforms_picture.py``."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

HERE = Path(__file__).parent
TRACES = HERE.parent / "fixtures" / "nir-paper"
PICTURE = HERE / "platforms.svg"
#: By platform: the threshold in its own unit, colour and line.
PLATFORMS = {
    "norse": (0.1, "#1f4e79", "-"),
    "snntorch": (2.5, "#e69f00", ":"),
    "exact": (0.1, "#c0392b", "-"),
    "nengo": (1.0, "#2e8b57", "--"),
}


def trace(platform):
    """Return input, potential in thresholds, and spikes, each of 1000 steps."""
    given, v, spikes = np.loadtxt(TRACES / f"lif_{platform}.csv", delimiter=",").T
    return given, v / PLATFORMS[platform][0], spikes


def drawn():
    """Return the figure: the whole run, the steps around two spikes, and what lies between."""
    matplotlib.rcParams.update({"svg.hashsalt": "snnbridge", "svg.fonttype": "none"})
    figure = Figure(figsize=(8, 6), layout="constrained")
    whole, near, apart = figure.subplots(3, 1)
    _, norse, _ = trace("norse")
    for name, (_, colour, line) in PLATFORMS.items():
        _, v, spikes = trace(name)
        for axes in (whole, near):
            axes.plot(v, line, color=colour, linewidth=1.1, label=name)
        if name != "norse":
            apart.plot(np.abs(v - norse) + 1e-9, line, color=colour, linewidth=1.0)
    whole.plot(np.flatnonzero(spikes), [1.06] * int(spikes.sum()), "k|", label="spikes of all four")
    whole.axhline(1, color="#9aa0a6", linewidth=0.8)
    near.set_xlim(455, 525)
    apart.set_yscale("log")
    whole.set_ylabel("v / threshold", fontsize=8)
    near.set_ylabel("around two spikes", fontsize=8)
    apart.set_ylabel("distance to norse", fontsize=8)
    apart.set_xlabel("step of 0.1 ms", fontsize=8)
    whole.legend(fontsize=7, ncols=3, loc="upper left")
    for axes in (whole, near, apart):
        axes.tick_params(labelsize=7)
    return figure


if __name__ == "__main__":
    drawn().savefig(PICTURE, metadata={"Date": None})
