"""Nets of several shapes in the neurons of each importer's framework: rows, joins, ways back."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from snnbridge import (
    PER_STEP,
    Connection,
    Input,
    Layer,
    Linear,
    Output,
    Quantity,
    SNNCheckpoint,
    Subgraph,
    rules,
)

#: By importer: a class, its arguments, and the time step.
NEURONS: dict[str, tuple[str, dict[str, Any], Any]] = {
    "norse": ("LIFBoxCell", {"tau_mem_inv": 256.0, "v_th": 0.25}, Quantity(2.0**-10, "s")),
    "rockpool": (
        "LIFTorch",
        {"tau_mem": 0.02, "tau_syn": 0.01, "threshold": 1.0},
        Quantity(1e-3, "s"),
    ),
    "sinabs": ("LIF", {"tau_mem": 8.0, "spike_threshold": 1.0, "norm_input": False}, PER_STEP),
    "snntorch": (
        "Leaky",
        {"beta": 0.75, "threshold": 1.0, "reset_mechanism": "zero", "reset_delay": False},
        PER_STEP,
    ),
    "spikingjelly": ("LIFNode", {"tau": 4.0, "v_reset": 0.0, "v_threshold": 0.25}, PER_STEP),
    "spyx": ("LIF", {"beta": 0.75, "threshold": 1.0}, PER_STEP),
}
SIZE = 4


class Maker:
    """Makes the layers of one importer's net."""

    def __init__(self, importer: str, seed: int = 7) -> None:
        self.importer, self.rng = importer, np.random.default_rng(seed)
        self.kind, self.arguments, self.dt = NEURONS[importer]
        self.layers: list[Layer] = []
        self.edges: list[Connection] = []

    def neuron(self, name: str) -> str:
        """Add a layer of neurons, with its synapse if it has one; return where its input goes."""
        made = rules.get(self.importer, self.kind).chain(name, shape=(SIZE,), **self.arguments)
        self.layers += made
        if len(made) == 2:
            self.edges.append(Connection(made[0].name, name))
        return made[0].name

    def weights(self, name: str, *, bias: bool = True) -> None:
        """Add a matrix."""
        weight = self.rng.normal(0.4, size=(SIZE, SIZE)).astype(np.float32)
        held = self.rng.normal(size=SIZE).astype(np.float32) * bias
        self.layers.append(Linear(name, weight, held))

    def ends(self) -> None:
        """Add an input and an output."""
        self.layers += [Input("input", (SIZE,)), Output("output", (SIZE,))]

    def connect(self, *names: str, delay: int = 0) -> None:
        """Connect each to the next; the delay is the last connection's."""
        pairs = list(itertools.pairwise(names))
        self.edges += [Connection(a, b) for a, b in pairs[:-1]]
        self.edges.append(Connection(*pairs[-1], delay))

    def net(self) -> SNNCheckpoint:
        """Return the net."""
        return SNNCheckpoint(self.layers, connections=self.edges, dt=self.dt)


def _row(make: Maker) -> None:
    make.weights("a")
    make.connect("input", "a", make.neuron("lif"))
    make.connect("lif", "output")


def _join(make: Maker) -> None:
    """Two matrices feed one neuron."""
    for name in ("a", "b"):
        make.weights(name)
    lif = make.neuron("lif")
    make.connect("input", "a", lif)
    make.connect("input", "b", lif)
    make.connect("lif", "output")


def _two_rows(make: Maker) -> None:
    """Two rows of neurons that meet at the output."""
    for name in ("a", "b"):
        make.weights(name)
        make.connect("input", name, make.neuron(f"lif_{name}"))
        make.connect(f"lif_{name}", "output")


def _skip(make: Maker) -> None:
    """The input goes past a layer of neurons to the next."""
    _layers_of_two(make)
    make.connect("a", "lif_b" if make.kind != "LIFTorch" else "lif_b.synapse")


def _layers_of_two(make: Maker) -> None:
    for name in ("a", "b"):
        make.weights(name)
    make.connect("input", "a", make.neuron("lif_a"))
    make.connect("lif_a", "b", make.neuron("lif_b"))
    make.connect("lif_b", "output")


def _residual(make: Maker) -> None:
    """Spikes go past a layer of neurons to the output."""
    _layers_of_two(make)
    make.connect("lif_a", "output")


def _itself(make: Maker) -> None:
    """Each neuron feeds itself."""
    make.weights("a")
    lif = make.neuron("lif")
    make.connect("input", "a", lif)
    make.connect("lif", lif, delay=1)
    make.connect("lif", "output")


def _recurrent(make: Maker) -> None:
    """A matrix leads from the neurons back to them, the step behind it."""
    make.weights("a")
    make.weights("rec")
    lif = make.neuron("lif")
    make.connect("input", "a", lif)
    make.connect("lif", "rec", lif, delay=1)
    make.connect("lif", "output")


def _recurrent_early(make: Maker) -> None:
    """The same with the step before the matrix, which has no bias."""
    make.weights("a")
    make.weights("rec", bias=False)
    lif = make.neuron("lif")
    make.connect("input", "a", lif)
    make.connect("lif", "rec", delay=1)
    make.connect("rec", lif)
    make.connect("lif", "output")


def _back(make: Maker) -> None:
    """The second layer of neurons feeds the first."""
    _layers_of_two(make)
    make.weights("back")
    first = "lif_a" if make.kind != "LIFTorch" else "lif_a.synapse"
    make.connect("lif_b", "back", first, delay=1)


def _nested(make: Maker) -> None:
    """A graph inside the graph."""
    inner = Maker(make.importer, seed=8)
    inner.ends()
    _row(inner)
    ends = {"inputs": {"input": "input"}, "outputs": {"output": "output"}}
    make.layers.append(Subgraph("block", inner.layers, tuple(inner.edges), **ends))
    make.weights("z")
    make.connect("input", "block", "z", make.neuron("lif"))
    make.connect("lif", "output")


SHAPES: dict[str, Callable[[Maker], None]] = {
    "a row": _row,
    "two matrices into one layer": _join,
    "two rows": _two_rows,
    "past a layer": _skip,
    "past a layer to the output": _residual,
    "neurons to themselves": _itself,
    "recurrent matrix": _recurrent,
    "recurrent matrix, the step before it": _recurrent_early,
    "back over a layer": _back,
    "a graph inside": _nested,
}
_JOINED = {"two matrices into one layer", "two rows"}
_LATE = {x for x in SHAPES if "recurrent" in x} | {"neurons to themselves", "back over a layer"}
_ADDED_AT_THE_END = {"two rows", "past a layer to the output"}
#: What importers do not run.
REFUSED: dict[str, set[str]] = {
    "norse": _JOINED,
    "rockpool": _JOINED | _LATE,  # a whole sequence at once
    "sinabs": _JOINED | _LATE,
    "snntorch": _ADDED_AT_THE_END | {x for x in SHAPES if "recurrent" in x},
    "spikingjelly": _ADDED_AT_THE_END,
    "spyx": set(SHAPES) - {"a row", "a graph inside"},
}


def nets(importer: str) -> Iterator[tuple[str, SNNCheckpoint]]:
    """Yield the nets of an importer's neurons, each with its shape."""
    for name, add in SHAPES.items():
        make = Maker(importer)
        make.ends()
        add(make)
        yield name, make.net()
