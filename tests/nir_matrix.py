"""The recorded nets of every framework, run by every importer of NIR graphs."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import beside
import nir_graphs
import recorded
from snnbridge import (
    LossyWrite,
    Quantity,
    Registry,
    SNNCheckpoint,
    UnknownValue,
    WriteError,
    read,
    simulate,
    write,
)
from snnbridge.model import Neuron
from snnbridge_plugins import nir
from snnbridge_plugins.nir.importers import IMPORTERS

REGISTRY = Registry([nir])
ROOT = Path(__file__).parents[1]
#: Sinabs and Rockpool pin NIR 1.0.4, which lies over the environment's own.
PINNED = {"sinabs": "nir-1.0.4", "rockpool": "nir-1.0.4"}


@dataclass
class Cell:
    """One recorded net, written for one importer."""

    source: str
    name: str
    importer: str
    net: SNNCheckpoint
    x: np.ndarray
    file: Path
    exact: bool = False
    refused: str = ""
    planned: SNNCheckpoint | None = None
    error: str | None = None
    out: np.ndarray | None = field(default=None, repr=False)

    @property
    def last(self) -> str:
        """The layer whose output leaves the net: nothing follows it, or only what it feeds."""
        follows = {c.source for c in self.net.connections}
        ends = [name for name in self.net.layers if name not in follows]
        neurons = [n for n, layer in self.net.layers.items() if isinstance(layer, Neuron)]
        return (ends or neurons)[-1]

    @property
    def outcome(self) -> str:
        """What became of the net: refused, error, wrong or right."""
        if self.refused:
            return "refused"
        if self.error is not None:
            return "error"
        return "wrong" if self.wrong() else "right"

    def wrong(self) -> int:
        """Return how many outputs of the importer's net differ from the source's."""
        return self.compared()[0]

    def compared(self) -> tuple[int, int]:
        """Return how many outputs of the importer's net differ from the source's, and of all."""
        layer = self.net.layers[self.last]
        truth = simulate(self.net, self.x, record={self.last: "output"}).traces[self.last, "output"]
        if self.out is None or self.out.size != truth.size:
            return truth.size, truth.size
        found = self.out.reshape(truth.shape)
        if isinstance(layer, Neuron) and layer.rule.spiking:
            return int((found != truth).sum()), truth.size
        return int((np.abs(found - truth) > 1e-4).sum()), truth.size


def cells(folder: Path, importers=tuple(IMPORTERS), *, plain: bool = False) -> Iterator[Cell]:
    """Write every recorded net for every importer, or as a graph for nobody in particular."""
    for book, stem, name in recorded.cases():
        case = recorded.Recorded(book, stem, name)
        if case.initial():
            continue
        for importer in importers:
            number = f"{book}-{name}-{importer}"
            file = folder / f"{number}.nir"
            x = case.seen("input").astype(np.float32)
            cell = Cell(book, name, importer, case.net, x, file)
            put(cell, plain=plain)
            yield cell


def shapes(folder: Path, importer: str, *, plain: bool = False) -> Iterator[Cell]:
    """Write nets of every shape, in an importer's own neurons, for that importer or for nobody."""
    x = np.random.default_rng(11).random((30, 5, nir_graphs.SIZE)).astype(np.float32) * 2
    for number, (name, net) in enumerate(nir_graphs.nets(importer)):
        file = folder / f"shape-{number}-{importer}.nir"
        cell = Cell("shapes", name, importer, net, x, file)
        put(cell, plain=plain)
        yield cell


def recordings(folder: Path, importer: str) -> Iterator[Cell]:
    """Write every recorded net for an importer."""
    return cells(folder, [importer])


def unwritten(folder: Path, importer: str) -> Iterator[Cell]:
    """Write the nets on random drives as plain NIR, for nobody in particular."""
    for cell in cells(folder, [importer], plain=True):
        if cell.name.endswith("random"):
            yield cell


def put(cell: Cell, *, plain: bool = False) -> None:
    """Write a cell's net, or note why it is refused."""
    options: dict[str, Any] = {} if plain else {"for": cell.importer}
    try:
        ledger = write(cell.net, cell.file, registry=REGISTRY, options=options)
    except (WriteError, UnknownValue, LossyWrite) as error:
        cell.refused = str(error)
        return
    cell.exact = all(entry.status.value != "rounded" for entry in ledger.told)
    cell.planned = read(cell.file, registry=REGISTRY)


def environment(importer: str) -> Path:
    """Return the interpreter that has an importer's framework."""
    return beside.python_of("spyx" if importer == "spyx" else "torch")


def run(written: list[Cell], importer: str, folder: Path) -> str:
    """Let the real importer run its files; return the version of NIR that read them."""
    mine = [cell for cell in written if cell.importer == importer and not cell.refused]
    jobs = [_job(cell) for cell in mine]
    script = folder / f"{importer}.json"
    script.write_text(json.dumps(jobs), encoding="utf-8")
    over = {}
    if importer in PINNED:
        lib = next((beside.ENVIRONMENTS / PINNED[importer]).glob("[Ll]ib/**/site-packages"))
        over = {"PYTHONPATH": str(lib)}
    judge = Path(__file__).with_name("live") / "judge_nir.py"
    done = subprocess.run(
        [environment(importer), judge, script],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "JAX_PLATFORMS": "cpu", **over},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answer = json.loads(done.stdout.splitlines()[-1])
    for cell, result in zip(mine, answer["results"], strict=True):
        cell.error = result["error"]
        if cell.error is None:
            with np.load(cell.file.with_suffix(".out.npz")) as held:
                cell.out = held["out"]
    return answer["nir"]


def _job(cell: Cell) -> dict[str, Any]:
    np.savez(cell.file.with_suffix(".in.npz"), x=cell.x)
    dt = cell.planned.dt if cell.planned is not None else None
    return {
        "importer": cell.importer,
        "file": str(cell.file),
        "input": str(cell.file.with_suffix(".in.npz")),
        "output": str(cell.file.with_suffix(".out.npz")),
        "dt": dt.seconds if isinstance(dt, Quantity) else 1e-4,
    }
