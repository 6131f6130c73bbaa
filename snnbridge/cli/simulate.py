"""``snnbridge simulate``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from snnbridge.cli import options, render, stimulus
from snnbridge.cli.progress import Progress

if TYPE_CHECKING:
    from snnbridge.model import SNNCheckpoint
    from snnbridge.simulator import Simulation


@click.command(
    name="simulate",
    epilog="Examples:\n\n"
    "  snnbridge simulate model.h5 --plot raster.png\n\n"
    "  snnbridge simulate trained.bp --spec net.toml --input spikes.npy --out out.npz",
)
@options.path_argument("file")
@options.spec
@stimulus.options
@click.option("--out", metavar="FILE.npz", type=click.Path(dir_okay=False),
              help="Write spikes and membranes of every layer.")  # fmt: skip
@click.option("--plot", metavar="FILE", type=click.Path(dir_okay=False),
              help="Draw rasters and membranes: .png, .svg or .pdf.")  # fmt: skip
@options.as_json
def command(
    file: str,
    *,
    spec: str | None,
    steps: int,
    seed: int,
    rate: float,
    inputs: str | None,
    out: str | None,
    plot: str | None,
    as_json: bool,
) -> None:
    """Run the network in FILE, and show how its neurons spike."""
    from snnbridge.bridge import read
    from snnbridge.simulator import simulate
    from snnbridge.verifier.stimulus import random_spikes

    checkpoint = read(file, spec=spec)
    given = stimulus.load(inputs)
    if given is None:
        given = random_spikes(checkpoint, steps=steps, seed=seed, rate=rate)
    record = _everything(checkpoint) if out or plot else {}
    with Progress(file) as progress:
        done = simulate(
            checkpoint,
            given,
            record=record,
            progress=lambda step, steps: progress.update("simulating", step, steps),
        )
    if out is not None:
        _write(done, out)
    if plot is not None:
        _plot(done, plot)
    if as_json:
        render.print_json(_as_json(done))
    else:
        _show(done)


def _everything(checkpoint: SNNCheckpoint) -> dict[str, Any]:
    from snnbridge.model import Neuron

    return {
        name: ("v", "spikes") if layer.rule.spiking else ("v",)
        for name, layer in checkpoint.layers.items()
        if isinstance(layer, Neuron)
    }


def _as_json(done: Simulation) -> dict[str, Any]:
    return {
        "steps": done.steps,
        "samples": done.batch,
        "spikes": {name: int(count.sum()) for name, count in done.counts.items()},
        "rates": done.rates(),
    }


def _show(done: Simulation) -> None:
    rates = done.rates()
    render.print_table(
        ("layer", "neurons", "spikes", "per neuron and step"),
        [
            (name, str(count[0].size), str(int(count.sum())), f"{rates[name]:.4f}")
            for name, count in done.counts.items()
        ],
    )
    click.echo(f"{done.batch} samples of {done.steps} steps")


def _write(done: Simulation, path: str) -> None:
    from snnbridge.storage import StoredZip, Target

    with Target(path) as target, target.open() as file:
        archive = StoredZip(file)
        for (name, variable), trace in done.traces.items():
            archive.add_array(f"{name}.{variable}", trace)
        archive.close()


def _plot(done: Simulation, path: str) -> None:
    from snnbridge.verifier.pictures import Recording, figure_of, save

    rows = []
    for name, variable in done.traces:
        if variable == "v":
            v = done.traces[name, "v"][:, 0]
            spikes = done.traces.get((name, "spikes"))
            flat = None if spikes is None else spikes[:, 0].reshape(len(v), -1)
            rows.append([Recording(name, v=v.reshape(len(v), -1), spikes=flat)])
    save(figure_of(rows), path)
