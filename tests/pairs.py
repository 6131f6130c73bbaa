"""The recorded nets of every framework, converted for every framework and run there."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

import beside
import recorded
import recorded_brainpy
from snnbridge import (
    Entry,
    Ledger,
    Neuron,
    Registry,
    SNNBridgeError,
    SNNCheckpoint,
    convert,
    read,
    simulate,
    verify,
    write,
)
from snnbridge.express import TARGETS
from snnbridge.express.containers import renamed
from snnbridge.express.graph import loops_of, own_synapses
from snnbridge.ledger import LATENCY
from snnbridge.simulator.arrivals import arrivals, output_delay
from snnbridge_plugins import brainpy, spyx, torch

REGISTRY = Registry([torch, brainpy, spyx])
#: What the nets are converted for.
GOALS = tuple(TARGETS)
#: Where a framework that is not on PyTorch runs, and what runs it there.
JUDGES = {
    "brainpy": ("brainpy-2.8", "judge_brainpy_pairs.py"),
    "spyx": ("spyx", "judge_spyx_pairs.py"),
}
SUFFIXES = {"brainpy": ".bp", "spyx": ".msgpack"}


@dataclass(frozen=True)
class Case:
    """A net that a real framework ran, its input, and what left it there.

    ``file`` is what it was saved to, if its users' own way is to be gone.
    """

    framework: str
    name: str
    kind: str
    net: SNNCheckpoint
    x: np.ndarray
    out: np.ndarray
    file: Path | None = None


@dataclass
class Pair:
    """One recorded net, converted for one framework.

    ``how`` is the weakest word of the ledger: identical, rewritten, rounded, or approximated where
    spikes may differ; ``later`` is by how many steps the output comes later; ``strange`` are the
    keys of the file that the built net has not, and the other way round.
    """

    case: Case
    target: str
    file: Path
    how: str = ""
    later: int = 0
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
        found, truth = shifted(self.out.reshape(truth.shape), truth, self.later)
        if last(self.case.net).rule.spiking:
            return int((found != truth).sum())
        return int((np.abs(found - truth) > 1e-4).sum())


def latency(source: SNNCheckpoint, planned: SNNCheckpoint) -> int:
    """Return how many steps later the output of a planned network comes."""
    late = []
    for net in (source, planned):
        edges = [(c.source, c.target, c.delay) for c in net.connections]
        layer = last(net)
        late.append(arrivals(net.layers, edges)[layer.name] + output_delay(layer))
    return late[1] - late[0]


def parts_ways(entry: Entry) -> bool:
    """Whether a line of a ledger says that spikes may differ."""
    return entry.status.is_loss and (entry.path != LATENCY or "the bias of" in entry.reason)


def shifted(found: np.ndarray, truth: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what two outputs have in common, the first of which comes some steps later."""
    if steps < 0:
        return found[: len(found) + steps], truth[-steps:]
    return found[steps:], truth[: len(truth) - steps]


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
    net = _with_usual_names(_up_to(net, layer.name))
    variable = "output" if layer.rule.spiking else "v"
    truth = {(n, v): np.asarray(a) for n, v, a in held.truth()}.get((layer.name, variable))
    if truth is None or x.ndim < 3:
        return
    ours = simulate(net, x, record={layer.name: variable}).traces[layer.name, variable]
    if ours.shape == truth.shape and np.allclose(ours, truth, atol=1e-4):  # from rest
        yield Case(framework, name, _kind(net), net, x, truth)


def _with_usual_names(net: SNNCheckpoint) -> SNNCheckpoint:
    """Name what Spyx holds below a neuron so that its files have a key for it."""
    synapses = own_synapses(net.layers, net.connections)
    loops = loops_of(net.layers, net.connections, synapses)
    if last(net).origin.framework != "spyx":
        return net
    return renamed(net, {x.layer.name: f"{neuron}.recurrent" for neuron, x in loops.items()})


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


def converted(folder: Path, target: str, given: Iterable[Case] | None = None) -> list[Pair]:
    """Write every case for one framework, or note why it is refused."""
    suffix = SUFFIXES.get(target, ".pt")
    made = cases() if given is None else given
    pairs = [Pair(c, target, folder / f"{n}{suffix}") for n, c in enumerate(made)]
    for pair in pairs:
        try:
            ledger = _written(pair)
        except SNNBridgeError as error:
            pair.refused = str(error)
            continue
        told = {entry.status.value for entry in ledger.told}
        pair.how = next((x for x in ("rounded", "rewritten") if x in told), "identical")
        if any(parts_ways(entry) for entry in ledger.told):
            pair.how = "approximated"
        _judge(pair)
    return pairs


def _written(pair: Pair) -> Ledger:
    """Write a net for its target; from its own file where there is one."""
    to = "spyx" if pair.target == "spyx" else None
    given = {"registry": REGISTRY, "allow_loss": True}
    chosen = {"for": pair.target}
    if pair.case.file is None:
        return write(pair.case.net, pair.file, format=to, options=chosen, **given)
    return convert(pair.case.file, pair.file, to=to, write_options=chosen, **given).ledger


def _judge(pair: Pair) -> None:
    """Note what the verifier says."""
    planned, net = read(pair.file, registry=REGISTRY), pair.case.net
    pair.later = latency(net, planned)
    pair.verdict = "identical"
    if pair.how != "identical" or pair.later:
        pair.verdict = str(verify(net, planned, inputs=pair.case.x, latency=True).verdict)


def run(pairs: list[Pair], target: str, folder: Path) -> None:
    """Let the real framework run what was written for it."""
    written = [pair for pair in pairs if not pair.refused]
    jobs = []
    for pair in written:
        np.save(pair.file.with_suffix(".in.npy"), pair.case.x)
        jobs.append(str(pair.file))
    script = folder / f"{target}.json"
    script.write_text(json.dumps({"framework": target, "files": jobs}), encoding="utf-8")
    for pair, (error, strange) in zip(written, judged(script, target), strict=True):
        pair.error, pair.strange = error, strange
        if error is None:
            pair.out = np.load(pair.file.with_suffix(".out.npy"))


def judged(script: Path, target: str) -> list[tuple[str | None, list[str]]]:
    """Have a framework build and run what the jobs name."""
    environment, judge = JUDGES.get(target, ("torch", "judge_pairs.py"))
    return beside.ask(environment, judge, str(script))
