"""``snnbridge verify``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from snnbridge.cli import options, outputs, reading, render, stimulus
from snnbridge.cli.convert import CODES
from snnbridge.cli.progress import Progress

if TYPE_CHECKING:
    from snnbridge.model import SNNCheckpoint
    from snnbridge.verifier import Divergence, LayerAgreement, Verification

_SIMULATOR = "snnbridge"


@click.command(
    name="verify",
    cls=options.Verb,
    epilog="Examples:\n\n"
    "  snnbridge verify trained.bp converted.h5 --spec net.toml\n\n"
    "  snnbridge verify a.h5 b.npz --steps 500 --report report.html\n\n"
    "Exits with 0 if no spike differs, 1 if one does, 2 if a network does not state what "
    "it computes, 3 if the comparison cannot tell.",
)
@options.path_argument("a")
@options.path_argument("b")
@reading.of_two
@stimulus.options
@click.option("--engine", metavar="NAME", default=_SIMULATOR, show_default=True,
              help="What runs B: the simulator, or an engine such as onnxruntime.")  # fmt: skip
@click.option("--tolerance", type=options.Finite(min=0), default=0.0, show_default=True,
              help="How far potentials may differ, as a share of the threshold.")  # fmt: skip
@click.option(
    "--latency",
    is_flag=True,
    help="Ignore a constant delay between the two networks' outputs.",
)
@click.option(
    "--rounding",
    is_flag=True,
    help="The two round otherwise: do not count where rounding decides in samples made to hit a "
    "threshold.",
)
@click.option("--report", metavar="FILE", type=outputs.OutputFile(".html", ".htm"),
              help="Write a page (.html) with rasters and potentials side by side.")  # fmt: skip
@options.as_json
def command(
    a: str,
    b: str,
    *,
    steps: int,
    seed: int,
    rate: float,
    inputs: str | None,
    engine: str,
    tolerance: float,
    latency: bool,
    rounding: bool,
    report: str | None,
    as_json: bool,
    **given: Any,
) -> int:
    """Run A and B on the same input, and compare every spike."""
    from snnbridge.verifier import verify

    if report is not None and engine != _SIMULATOR:
        raise click.UsageError("--report shows two simulations; leave --engine out")
    if latency and engine != _SIMULATOR:
        raise click.UsageError("--latency compares two simulations; leave --engine out")
    if rounding and engine != _SIMULATOR:
        raise click.UsageError("--rounding compares two simulations; leave --engine out")
    outputs.refuse_checkpoint(report)
    left, right = _sides(a, b, engine, given)
    drive = stimulus.load(inputs)
    with Progress(f"{a} and {b}") as progress:
        found = verify(
            left, right, steps=steps, seed=seed, rate=rate, inputs=drive, tolerance=tolerance,
            latency=latency, rounding=rounding, progress=progress.update,
        )  # fmt: skip
    if report is not None:
        from snnbridge.verifier import Comparison
        from snnbridge.verifier.report import report as page

        shown = Comparison(left, right, tolerance).stimulus(drive, steps, seed, rate)
        titles = (Path(a).name, Path(b).name)
        outputs.write_file(report, page(left, right, found, shown, titles).encode())
    if as_json:
        render.print_json(found.as_json())
    else:
        show(found)
    return CODES[found.verdict]


def _sides(a: str, b: str, engine: str, given: dict[str, Any]) -> tuple[SNNCheckpoint, Any]:
    """Return the network of A, and that of B or what runs B."""
    if engine == _SIMULATOR:
        return reading.read_two(a, b, given)
    from snnbridge import bridge

    left, right = reading.options_of_two(a, b, given)
    runs = bridge.engine(b, engine, format=given["from_b"], options=right)
    return reading.read_side(a, given, left), runs


def show(found: Verification) -> None:
    """Print a verification as a table and a sentence."""
    if found.layers:
        render.print_table(
            ("layer", "neurons", "spikes", "differ", "max |dv|", "margin"),
            [_row(layer) for layer in found.layers],
        )
        for layer in found.layers:
            if layer.latency:
                when = "later" if layer.latency > 0 else "earlier"
                steps = render.count(abs(layer.latency), "step")
                render.paragraph(f"{layer.right} of B is compared {steps} {when} than in A")
        samples, steps = render.count(found.samples, "sample"), render.count(found.steps, "step")
        render.line(f"{samples} of {steps}, layers matched by {found.matched_by}")
    if found.apart:
        render.paragraph(f"{found.apart}{'' if found.rounding else '; --rounding leaves them out'}")
    for note in found.notes:
        render.paragraph(f"note: {note}")
    if found.first is not None:
        render.paragraph(_divergence(*found.first, found.hitting))
    render.paragraph(f"verdict: {found.verdict} ({found.meaning})")


def _row(x: LayerAgreement) -> tuple[str, ...]:
    return (
        x.left if x.left == x.right else f"{x.left} / {x.right}",
        str(x.neurons),
        f"{x.spikes_left} / {x.spikes_right}" if x.spiking else "readout",
        str(x.differing),
        "" if x.largest_difference is None else f"{x.largest_difference:.3g}",
        "" if x.margin is None else f"{x.margin:.3g}",
    )


def _divergence(layer: LayerAgreement, first: Divergence, hitting: tuple[int, ...]) -> str:
    """Say where two networks part; what was not measured is left out."""
    made = " (made to hit a threshold)" if first.sample in hitting else ""
    place = f"layer {layer.left}, step {first.step}, sample {first.sample}{made}"
    text = f"first divergence: {place}, neuron {list(first.neuron)}"
    if first.left == first.left and first.right == first.right:
        text += f": v {first.left!r} and {first.right!r}"
    return text if first.threshold != first.threshold else f"{text}, threshold {first.threshold!r}"
