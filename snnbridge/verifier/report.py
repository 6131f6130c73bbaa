"""The report of a verification: one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from math import isnan
from typing import Any

import numpy as np

from snnbridge.model import Array, Shape, SNNCheckpoint
from snnbridge.simulator import simulate
from snnbridge.verifier.comparison import Comparison, recorded
from snnbridge.verifier.pictures import Recording, as_svg, figure_of
from snnbridge.verifier.result import LayerAgreement, Verification

_MOST_STEPS = 400

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 72rem; margin: 2rem auto;
  padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 } td, th { padding: .3rem .8rem; text-align: left;
  border-bottom: 1px solid #ddd } td.n { text-align: right; font-variant-numeric: tabular-nums }
.verdict { font-size: 1.4rem; font-weight: 600 } .bad { color: #c0392b } .good { color: #1e8449 }
svg { max-width: 100%; height: auto }
"""


def report(
    left: SNNCheckpoint,
    right: SNNCheckpoint,
    found: Verification,
    inputs: Mapping[str, Array],
    titles: tuple[str, str],
) -> str:
    """Return the page.

    Parameters
    ----------
    left, right : SNNCheckpoint
    found : Verification
        Of these two under `inputs`.
    inputs : mapping of str to numpy.ndarray
        The stimulus, shape ``(steps, batch, *layer shape)``, by the left network's input layers.
    titles : pair of str
        What the two are called.

    Returns
    -------
    str
        HTML that loads nothing from anywhere.
    """
    parts = [
        f"<!doctype html><meta charset=utf-8><title>{escape(found.verdict)}</title>",
        f"<style>{_STYLE}</style>",
        f"<h1>{escape(titles[0])} and {escape(titles[1])}</h1>",
        _headline(found),
    ]
    if found.layers:
        parts += [_table(found), _drawn(left, right, found, inputs, titles)]
    return "\n".join(parts)


def _headline(found: Verification) -> str:
    good = found.verdict in ("identical", "equivalent")
    text = (
        f'<p class="verdict {"good" if good else "bad"}">{found.verdict}</p>'
        f"<p>{escape(found.meaning)}. {found.samples} samples of {found.steps} steps; "
        f"layers were matched by {found.matched_by}.{_later(found)}{_apart(found)}</p>"
    )
    if found.first is None:
        return text
    layer, first = found.first
    threshold = "" if isnan(first.threshold) else f", threshold {first.threshold!r}"
    return text + (
        f"<p>They part first in layer <b>{escape(layer.left)}</b>, step {first.step}, sample "
        f"{first.sample}, neuron {list(first.neuron)}: membrane potentials {first.left!r} and "
        f"{first.right!r}{threshold}.</p>"
    )


def _later(found: Verification) -> str:
    late = [f"{x.right} by {x.latency}" for x in found.layers if x.latency]
    return f" Steps that the second comes later: {escape(', '.join(late))}." if late else ""


def _apart(found: Verification) -> str:
    return f" {found.apart}." if found.apart else ""


def _table(found: Verification) -> str:
    heads = (
        "layer", "matched with", "neurons", "spikes", "spikes", "differing", "agreement",
        "largest difference of v", "smallest margin",
    )  # fmt: skip
    rows = "".join(f"<tr>{_cells(layer)}</tr>" for layer in found.layers)
    return f"<table><tr>{''.join(f'<th>{h}</th>' for h in heads)}</tr>{rows}</table>"


def _cells(x: LayerAgreement) -> str:
    margin = "readout" if not x.spiking else "" if x.margin is None else f"{x.margin:.3g}"
    numbers = (
        str(x.neurons), str(x.spikes_left), str(x.spikes_right), str(x.differing),
        f"{x.agreement:.6f}", f"{x.largest_difference or 0:.3g}", margin,
    )  # fmt: skip
    names = f"<td>{escape(x.left)}</td><td>{escape(x.right)}</td>"
    return names + "".join(f'<td class="n">{n}</td>' for n in numbers)


def _drawn(
    left: SNNCheckpoint,
    right: SNNCheckpoint,
    found: Verification,
    inputs: Mapping[str, Array],
    titles: tuple[str, str],
) -> str:
    comparison = Comparison(left, right, 0.0, any(x.latency for x in found.layers))
    aligned = comparison.alignments()
    sample = found.first[1].sample if found.first else 0
    sides = [_recorded(comparison, side, inputs, sample) for side in (0, 1)]
    drawn = []
    for i, layer in enumerate(found.layers):
        _, *both = aligned[i].pair(sides[0][i], sides[1][i])
        row = [
            Recording(
                f"{title}, {layer.left}",
                v=both[side][0],  # type: ignore[arg-type]
                spikes=both[side][1],
                threshold=comparison.units[i][side].threshold.ravel() if layer.spiking else None,
            )
            for side, title in enumerate(titles)
        ]
        index = _index(layer, comparison.networks[0].shapes_out[layer.left])
        drawn.append(f"<h2>{escape(layer.left)}</h2>{as_svg(figure_of([row], neuron=index))}")
    return f"<p>Sample {sample}; spikes that differ are red.</p>" + "".join(drawn)


def _index(layer: LayerAgreement, shape: Shape) -> int | None:
    """Return the flat index of the neuron that parts first."""
    if layer.first is None:
        return None
    return int(np.ravel_multi_index(layer.first.neuron, shape)) if shape else 0


def _recorded(
    comparison: Comparison, side: int, inputs: Mapping[str, Array], sample: int
) -> list[Any]:
    """Run one side on one sample, and flatten what its neurons did."""
    one = {
        comparison.inputs[name][side]: value[:_MOST_STEPS, sample : sample + 1]
        for name, value in inputs.items()
    }
    names = [pair[side] for pair in comparison.pairs]
    record = recorded(names, comparison.found)
    traces = simulate(comparison.raw[side], one, record=record).traces
    found = []
    for name in names:
        v = traces[name, "v"]
        spikes = traces.get((name, "spikes"))
        flat = v.reshape(len(v), -1)
        found.append((flat, None if spikes is None else spikes.reshape(len(v), -1)))
    return found
