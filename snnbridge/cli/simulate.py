"""``snnbridge simulate``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from snnbridge.cli import options, outputs, reading, render, stimulus
from snnbridge.cli.progress import Progress

if TYPE_CHECKING:
    from snnbridge.model import Array
    from snnbridge.simulator import Simulation, Simulator


@click.command(
    name="simulate",
    cls=options.Verb,
    epilog="Examples:\n\n"
    "  snnbridge simulate model.h5 --plot raster.png\n\n"
    "  snnbridge simulate trained.bp --spec net.toml --input spikes.npy --out out.npz",
)
@options.path_argument("file")
@reading.of_one
@stimulus.options
@click.option("--out", metavar="FILE.npz", type=outputs.OutputFile(".npz"),
              help="Save the spikes and potentials of every layer.")  # fmt: skip
@click.option("--plot", metavar="FILE", type=outputs.OutputFile(".png", ".svg", ".pdf"),
              help="Draw spikes and potentials: .png, .svg or .pdf; needs matplotlib.")  # fmt: skip
@options.as_json
def command(
    file: str,
    *,
    steps: int,
    seed: int,
    rate: float,
    inputs: str | None,
    out: str | None,
    plot: str | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Run the network in FILE, and show how its neurons spike."""
    from snnbridge.simulator import Simulator
    from snnbridge.verifier.stimulus import random_spikes

    for path in (out, plot):
        outputs.refuse_checkpoint(path)
    checkpoint = reading.read_one(file, given)
    drive = stimulus.load(inputs)
    if drive is None:
        drive = random_spikes(checkpoint, steps=steps, seed=seed, rate=rate)
    simulator = Simulator(checkpoint)
    with Progress(file) as progress:
        done = simulator.run(
            drive,
            record=_everything(simulator) if out or plot else {},
            progress=lambda step, steps: progress.update("simulating", step, steps),
        )
    if out is not None:
        _write(done, out)
    if plot is not None:
        _plot(done, plot)
    if as_json:
        render.print_json({**_as_json(done), "notes": list(simulator.notes)})
    else:
        _show(done)
        for note in simulator.notes:
            render.paragraph(f"note: {note}")


def _everything(simulator: Simulator) -> dict[str, list[str]]:
    """Return the membranes and the spikes of every layer that has some."""
    return {
        name: [variable for variable in ("v", "spikes") if variable in possible]
        for name, possible in simulator.recordable.items()
        if "v" in possible
    }


def _readouts(done: Simulation) -> dict[str, Array]:
    """Return the membranes after the last step of the layers that do not spike."""
    return {
        path[0]: held.value
        for path, held in done.state.items()
        if path[-1] == "v" and path[0] not in done.counts
    }


def _as_json(done: Simulation) -> dict[str, Any]:
    return {
        "steps": done.steps,
        "samples": done.batch,
        "spikes": {name: int(count.sum()) for name, count in done.counts.items()},
        "rates": done.rates(),
        "readouts": {name: v.tolist() for name, v in _readouts(done).items()},
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
    readouts = _readouts(done)
    if readouts:
        render.print_table(
            ("readout", "neurons", "v after the last step"),
            [(name, str(v[0].size), _values(v)) for name, v in readouts.items()],
        )
    render.line(f"{render.count(done.batch, 'sample')} of {render.count(done.steps, 'step')}")


def _values(v: Array, most: int = 10) -> str:
    """Return the values of one small sample, else their range."""
    if v.size <= most:
        return ", ".join(f"{x:.4g}" for x in v.ravel())
    return f"{v.min():.4g} to {v.max():.4g}"


def _write(done: Simulation, path: str) -> None:
    from snnbridge.formats import TRACES
    from snnbridge.storage import StoredZip, Target

    with Target(path) as target, target.open() as file:
        archive = StoredZip(file, comment=TRACES)
        for (name, variable), trace in done.traces.items():
            archive.add_array(f"{name}.{variable}", trace)
        archive.close()


def _plot(done: Simulation, path: str) -> None:
    from snnbridge.verifier.pictures import Recording, drawn, figure_of

    rows = []
    for name, variable in done.traces:
        if variable == "v":
            v = done.traces[name, "v"][:, 0]
            spikes = done.traces.get((name, "spikes"))
            flat = None if spikes is None else spikes[:, 0].reshape(len(v), -1)
            rows.append([Recording(name, v=v.reshape(len(v), -1), spikes=flat)])
    outputs.write_file(path, drawn(figure_of(rows), path))
