"""The recorded nets of every framework, converted for every framework and run there."""

import json
import os
import subprocess
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

import nir_matrix
import recorded
import recorded_brainpy
from nir_matrix import ENVIRONMENTS, INSIDE
from snnbridge import (
    Neuron,
    Registry,
    SNNBridgeError,
    SNNCheckpoint,
    read,
    simulate,
    verify,
    write,
)
from snnbridge.express import TARGETS
from snnbridge_plugins import torch

REGISTRY = Registry([torch])
#: What the nets are converted for: live modules of PyTorch, and Spyx's importer of NIR.
GOALS = (*TARGETS, "spyx")


@dataclass(frozen=True)
class Case:
    """A net that a real framework ran, its input, and what left it there."""

    framework: str
    name: str
    kind: str
    net: SNNCheckpoint
    x: np.ndarray
    out: np.ndarray


@dataclass
class Pair:
    """One recorded net, converted for one framework.

    ``how`` is the weakest word of the ledger: identical, rewritten or rounded; ``strange`` are the
    keys of the file that the built net has not, and the other way round.
    """

    case: Case
    target: str
    file: Path
    how: str = ""
    verdict: str = ""
    refused: str = ""
    error: str | None = None
    strange: list[str] = field(default_factory=list)
    out: np.ndarray | None = field(default=None, repr=False)

    def wrong(self) -> int:
        """Return how many outputs of the target's net differ from those of the real source."""
        truth = self.case.out
        if self.out is None or self.out.size != truth.size:
            return truth.size
        found = self.out.reshape(truth.shape)
        if last(self.case.net).rule.spiking:
            return int((found != truth).sum())
        return int((np.abs(found - truth) > 1e-4).sum())


def last(net: SNNCheckpoint) -> Neuron:
    """Return the neurons whose output leaves a net."""
    return [layer for layer in net.layers.values() if isinstance(layer, Neuron)][-1]


@cache
def cases() -> tuple[Case, ...]:
    """Return every recording that starts from rest and ends in neurons."""
    return (*_of_brainpy(), *_of_others())


def _of_others() -> Iterator[Case]:
    for book, stem, name in recorded.cases():
        if book.rpartition("-")[0] not in GOALS:
            continue
        held = recorded.Recorded(book, stem, name)
        if not held.initial() and any(isinstance(x, Neuron) for x in held.net.layers.values()):
            yield from _case(book.rpartition("-")[0], name, held)


def _of_brainpy() -> Iterator[Case]:
    for version, name in recorded_brainpy.cases():
        held = recorded_brainpy.RecordedBrainPy(version, name)
        if any(isinstance(x, Neuron) for x in held.net.layers.values()):
            yield from _case("brainpy", f"{name} of {version}", held)


def _case(framework: str, name: str, held) -> Iterator[Case]:
    net, x = held.net, held.seen("input").astype(np.float32)
    layer = last(net)
    net = _up_to(net, layer.name)
    variable = "output" if layer.rule.spiking else "v"
    truth = {(n, v): np.asarray(a) for n, v, a in held.truth()}.get((layer.name, variable))
    if truth is None or x.ndim < 3:
        return
    ours = simulate(net, x, record={layer.name: variable}).traces[layer.name, variable]
    if ours.shape == truth.shape and np.allclose(ours, truth, atol=1e-4):  # from rest
        yield Case(framework, name, _kind(net), net, x, truth)


def _up_to(net: SNNCheckpoint, name: str) -> SNNCheckpoint:
    """Return a net without what only follows a layer."""
    needed = {name}
    for _ in net.layers:
        needed |= {c.source for c in net.connections if c.target in needed}
    edges = [c for c in net.connections if {c.source, c.target} <= needed]
    layers = [layer for name, layer in net.layers.items() if name in needed]
    return SNNCheckpoint(layers, connections=edges, dt=net.dt)


def _kind(net: SNNCheckpoint) -> str:
    sources = {layer.kind for layer in net.layers.values()}
    if any(c.delay for c in net.connections):
        return "recurrent"
    if sources & {"Conv1d", "Conv2d"}:
        return "conv"
    return "mlp" if "Linear" in sources else "neuron"


def converted(folder: Path, target: str) -> list[Pair]:
    """Write every case for one framework, or note why it is refused."""
    suffix = ".nir" if target == "spyx" else ".pt"
    pairs = [Pair(c, target, folder / f"{n}{suffix}") for n, c in enumerate(cases())]
    registry = nir_matrix.REGISTRY if target == "spyx" else REGISTRY
    for pair in pairs:
        try:
            ledger = write(pair.case.net, pair.file, registry=registry, options={"for": target})
        except SNNBridgeError as error:
            pair.refused = str(error)
            continue
        told = {entry.status.value for entry in ledger.told}
        pair.how = next((x for x in ("rounded", "rewritten") if x in told), "identical")
        pair.verdict = _verdict(pair, registry)
    return pairs


def _verdict(pair: Pair, registry: Registry) -> str:
    if pair.how == "identical":
        return "identical"
    planned = read(pair.file, registry=registry)
    return str(verify(pair.case.net, planned, inputs=pair.case.x).verdict)


def run(pairs: list[Pair], target: str, folder: Path) -> None:
    """Let the real framework run what was written for it."""
    written = [pair for pair in pairs if not pair.refused]
    if target == "spyx":
        cells = [
            nir_matrix.Cell(p.case.framework, p.case.name, target, p.case.net, p.case.x, p.file)
            for p in written
        ]
        nir_matrix.run(cells, target, folder)
        for pair, cell in zip(written, cells, strict=True):
            pair.error, pair.out = cell.error, cell.out
        return
    jobs = []
    for pair in written:
        np.save(pair.file.with_suffix(".in.npy"), pair.case.x)
        jobs.append(str(pair.file))
    script = folder / f"{target}.json"
    script.write_text(json.dumps({"framework": target, "files": jobs}), encoding="utf-8")
    for pair, (error, strange) in zip(written, judged(script), strict=True):
        pair.error, pair.strange = error, strange
        if error is None:
            pair.out = np.load(pair.file.with_suffix(".out.npy"))


def judged(script: Path) -> list[tuple[str | None, list[str]]]:
    """Run judge_pairs.py with the packages of the frameworks before those of this environment."""
    judge = Path(__file__).with_name("live") / "judge_pairs.py"
    start = f"import site; site.addsitedir({sysconfig.get_paths()['purelib']!r}); "
    start += f"import runpy, sys; sys.argv = {['judge', str(script)]!r}; "
    start += f"sys.path.insert(0, {str(judge.parent)!r}); "
    start += f"runpy.run_path({str(judge)!r}, run_name='__main__')"
    done = subprocess.run(
        [ENVIRONMENTS / "torch" / INSIDE, "-W", "ignore", "-c", start],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])
