"""Rasters and membrane traces, as people look at them; needs matplotlib."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from snnbridge.errors import FormatUnavailable
from snnbridge.model import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_NEURONS = 200
_INK, _RED, _BLUE, _GREY = "#222222", "#c0392b", "#2c6fbb", "#999999"


@dataclass(frozen=True, slots=True)
class Recording:
    """One sample of one layer.

    Parameters
    ----------
    title : str
    spikes : numpy.ndarray, optional
        Shape (steps, neurons).
    v : numpy.ndarray
        Membrane potentials before the reset, shape (steps, neurons).
    threshold : numpy.ndarray, optional
        Shape (neurons,).
    """

    title: str
    v: Array
    spikes: Array | None = None
    threshold: Array | None = None


def figure_of(rows: Sequence[Sequence[Recording]], *, neuron: int | None = None) -> Figure:
    """Draw layers as rows: a raster and the membrane potential of one neuron for each column.

    Parameters
    ----------
    rows : sequence of sequences of Recording
        One row for each layer; one recording, or two to be compared.
    neuron : int, optional
        Whose membrane is drawn; the busiest by default.

    Raises
    ------
    FormatUnavailable
        If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise FormatUnavailable(
            "pictures need matplotlib; run: python -m pip install matplotlib"
        ) from error
    columns = max(len(row) for row in rows)
    figure = Figure(figsize=(5.2 * columns, 3.0 * len(rows)), layout="constrained")
    grid = figure.subplots(2 * len(rows), columns, squeeze=False, height_ratios=[3, 2] * len(rows))
    for i, row in enumerate(rows):
        shown = _busiest(row[0]) if neuron is None else min(neuron, row[0].v.shape[1] - 1)
        for j, recording in enumerate(row):
            _raster(grid[2 * i][j], recording, row)
            _membrane(grid[2 * i + 1][j], recording, shown)
    return figure


def drawn(figure: Figure, path: str | Path) -> bytes:
    """Return the file of a figure, as the path's suffix says: .png, .svg, .pdf."""
    content = io.BytesIO()
    kind = Path(path).suffix.lower().removeprefix(".")
    figure.savefig(content, format=kind, dpi=130, metadata=None)
    return content.getvalue()


def as_svg(figure: Figure) -> str:
    """Return a figure as SVG that can stand inside a page."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    drawn = text.getvalue()
    return drawn[drawn.index("<svg") :]


def _busiest(recording: Recording) -> int:
    activity = recording.v if recording.spikes is None else recording.spikes
    return int(np.abs(activity).sum(axis=0).argmax()) if activity.size else 0


def _raster(axes: Any, recording: Recording, row: Sequence[Recording]) -> None:
    if recording.spikes is None:
        most = recording.v[:, :_MOST_NEURONS].T
        axes.imshow(most, aspect="auto", cmap="Greys", interpolation="nearest", origin="lower")
        axes.set_title(f"{recording.title}: no spikes, values", fontsize=9)
        axes.set_ylabel("neuron", fontsize=8)
        axes.yaxis.get_major_locator().set_params(integer=True)
        axes.tick_params(labelsize=7)
        return
    spikes = recording.spikes[:, :_MOST_NEURONS]
    other = next((r.spikes for r in row if r is not recording and r.spikes is not None), None)
    differ = np.zeros(spikes.shape, bool) if other is None else spikes != other[:, :_MOST_NEURONS]
    for mask, colour in ((spikes.astype(bool) & ~differ, _INK), (differ, _RED)):
        at, who = np.nonzero(mask)
        axes.scatter(at, who, s=4, c=colour, marker="|", linewidths=0.9)
    axes.set_xlim(-0.5, len(spikes) - 0.5)
    axes.set_ylim(-0.5, spikes.shape[1] - 0.5)
    axes.set_title(f"{recording.title}: {int(recording.spikes.sum())} spikes", fontsize=9)
    axes.set_ylabel("neuron", fontsize=8)
    axes.tick_params(labelsize=7)


def _membrane(axes: Any, recording: Recording, neuron: int) -> None:
    if not recording.v.size:
        return
    axes.plot(recording.v[:, neuron], color=_BLUE, linewidth=0.9)
    if recording.threshold is not None:
        theta = float(np.broadcast_to(recording.threshold, recording.v.shape[1:])[neuron])
        axes.axhline(theta, color=_GREY, linewidth=0.8, linestyle="--")
    axes.set_xlim(-0.5, len(recording.v) - 0.5)
    axes.set_ylabel(f"v of {neuron}", fontsize=8)
    axes.set_xlabel("step", fontsize=8)
    axes.tick_params(labelsize=7)
