"""``snnbridge verify``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from snnbridge.cli import options, render, stimulus
from snnbridge.cli.convert import CODES
from snnbridge.cli.progress import Progress

if TYPE_CHECKING:
    from snnbridge.verifier import Verification


@click.command(
    name="verify",
    epilog="Examples:\n\n"
    "  snnbridge verify trained.bp converted.h5 --spec net.toml\n\n"
    "  snnbridge verify a.h5 b.npz --steps 500 --report report.html\n\n"
    "Leaves with 0 if no spike differs, 1 if one does, 2 if a network does not state what "
    "it computes, 3 if it cannot be told.",
)
@options.path_argument("a")
@options.path_argument("b")
@options.spec
@click.option("--spec-b", metavar="FILE", type=click.Path(exists=True, dir_okay=False),
              help="What B does not say.")  # fmt: skip
@stimulus.options
@click.option("--tolerance", type=click.FloatRange(min=0), default=0.0, show_default=True,
              help="Membranes may differ by this share of the threshold.")  # fmt: skip
@click.option("--report", metavar="FILE", type=click.Path(dir_okay=False),
              help="Write a page with rasters and membranes side by side.")  # fmt: skip
@options.as_json
def command(
    a: str,
    b: str,
    *,
    spec: str | None,
    spec_b: str | None,
    steps: int,
    seed: int,
    rate: float,
    inputs: str | None,
    tolerance: float,
    report: str | None,
    as_json: bool,
) -> int:
    """Run A and B on the same input, and compare every spike."""
    from snnbridge.bridge import read
    from snnbridge.verifier import verify

    left, right = read(a, spec=spec), read(b, spec=spec_b)
    given = stimulus.load(inputs)
    with Progress(f"{a} and {b}") as progress:
        found = verify(
            left, right, steps=steps, seed=seed, rate=rate, inputs=given, tolerance=tolerance,
            progress=progress.update,
        )  # fmt: skip
    if report is not None:
        from snnbridge.verifier import Comparison
        from snnbridge.verifier.report import report as page

        shown = Comparison(left, right, tolerance).stimulus(given, steps, seed, rate)
        titles = (Path(a).name, Path(b).name)
        Path(report).write_text(page(left, right, found, shown, titles), encoding="utf-8")
    if as_json:
        render.print_json(found.as_json())
    else:
        show(found)
    return CODES[found.verdict]


def show(found: Verification) -> None:
    """Print a verification as a table and a sentence."""
    from snnbridge.verifier import VERDICTS

    if found.layers:
        render.print_table(
            ("layer", "neurons", "spikes", "differ", "max |dv|", "margin"),
            [
                (
                    x.left if x.left == x.right else f"{x.left} / {x.right}",
                    str(x.neurons),
                    f"{x.spikes_left} / {x.spikes_right}" if x.spiking else "readout",
                    str(x.differing),
                    f"{x.largest_difference:.3g}",
                    f"{x.smallest_margin:.3g}" if x.spiking else "",
                )
                for x in found.layers
            ],
        )
        click.echo(
            f"{found.samples} samples of {found.steps} steps, layers matched by {found.matched_by}"
        )
    if found.first is not None:
        layer, first = found.first
        click.echo(
            f"first divergence: layer {render.safe(layer.left)}, step {first.step}, sample "
            f"{first.sample}, neuron {list(first.neuron)}: v {first.left!r} and {first.right!r}, "
            f"threshold {first.threshold!r}"
        )
    click.echo(f"verdict: {found.verdict} ({VERDICTS[found.verdict]})")
