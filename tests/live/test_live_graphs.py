"""Nets that branch and join: what `build` makes of them does what the simulator does."""

from itertools import pairwise

import numpy as np
import pytest

import beside
from snnbridge import (
    BatchNorm,
    Connection,
    Conv2d,
    Flatten,
    Input,
    Linear,
    MaxPool,
    Output,
    Quantity,
    SNNCheckpoint,
    read,
    rules,
    simulate,
    write,
)

FRAMEWORKS = ("snntorch", "spikingjelly", "sinabs", "norse")
STEPS, BATCH = 30, 3
DT = Quantity(2.0**-10, "s")
PLAIN = {"stride": 1, "padding": 1, "dilation": 1, "groups": 1}

pytestmark = pytest.mark.live


def dyadic(rng, *shape):
    """Weights whose sums are exact in float32: one result for every engine."""
    return (rng.integers(-64, 64, shape) / 64).astype(np.float32)


def conv(name, channels, rng, **more):
    return Conv2d(name, dyadic(rng, 2, channels, 3, 3), **{**PLAIN, **more})


def leaky(name, *shape):
    return rules.snntorch.Leaky(
        name, shape=shape, beta=0.5, threshold=0.5, reset_mechanism="zero", reset_delay=False
    )


def chained(*names):
    return [Connection(a, b) for a, b in pairwise(names)]


def residual(rng):
    """Spikes of two layers added, and two currents added before a neuron."""
    layers = [
        Input("image", (1, 6, 6)),
        conv("stem", 1, rng), leaky("lif0", 2, 6, 6),
        conv("block.conv1", 2, rng), leaky("block.lif1", 2, 6, 6),
        conv("block.conv2", 2, rng), conv("skip", 2, rng), leaky("lif2", 2, 6, 6),
        Flatten("flat", order="channels first"), Linear("fc", dyadic(rng, 4, 72)), leaky("out", 4),
    ]  # fmt: skip
    edges = [
        *chained("image", "stem", "lif0", "block.conv1", "block.lif1", "block.conv2", "lif2"),
        Connection("lif0", "block.conv2"),
        *chained("lif0", "skip", "lif2", "flat", "fc", "out"),
        Connection("block.lif1", "flat"),
    ]
    return SNNCheckpoint(layers, connections=edges)


def several_ends(rng):
    """Two inputs and two outputs, the names of which no argument of Python can have."""
    layers = [
        Input("in", (4,)), Input("class-2", (3,)), Linear("a", dyadic(rng, 5, 4)),
        Linear("b", dyadic(rng, 5, 3)), leaky("lif", 5), Linear("c", dyadic(rng, 2, 5)),
        leaky("last", 2), Output("first", (5,)), Output("second", (2,)),
    ]  # fmt: skip
    edges = [
        *chained("in", "a", "lif", "first"), *chained("class-2", "b", "lif"),
        *chained("lif", "c", "last", "second"),
    ]  # fmt: skip
    return SNNCheckpoint(layers, connections=edges)


def branches_without_ends(rng):
    """Layers that nothing feeds, layers that feed nothing, and one norm without images."""
    ones = np.ones(5, np.float32)
    norm = BatchNorm("norm", 0 * ones, ones, ones, 0.25 * ones, 0.0)
    layers = [Linear("a", dyadic(rng, 5, 4)), Linear("b", dyadic(rng, 5, 4)), norm]
    layers += [leaky("lif", 5), leaky("other", 5)]
    edges = [*chained("a", "norm", "lif"), *chained("b", "lif"), *chained("b", "other")]
    return SNNCheckpoint(layers, connections=edges)


def features(rng):
    """A chain whose names have dots."""
    names = ("image", "features.0", "features.1", "features.2", "classifier.0", "classifier.1")
    layers = [
        Input("image", (1, 6, 6)), conv("features.0", 1, rng), leaky("features.1", 2, 6, 6),
        Flatten("features.2", order="channels first"), Linear("classifier.0", dyadic(rng, 4, 72)),
        leaky("classifier.1", 4),
    ]  # fmt: skip
    return SNNCheckpoint(layers, connections=chained(*names))


def view(rng):
    """A chain with a Flatten below the name of the layer behind it, as `export` names a view."""
    names = ("image", "conv", "lif", "fc.flatten", "fc", "out")
    layers = [
        Input("image", (1, 6, 6)), conv("conv", 1, rng), leaky("lif", 2, 6, 6),
        Flatten("fc.flatten", order="channels first"), Linear("fc", dyadic(rng, 4, 72)),
        leaky("out", 4),
    ]  # fmt: skip
    return SNNCheckpoint(layers, connections=chained(*names))


def apart(rng):
    """Names with dots that do not stand together, and a module inside another one's name."""
    names = ("a.0", "lif", "b", "lif2", "b.c", "lif3", "a.1", "a.2")
    layers = [
        Linear("a.0", dyadic(rng, 9, 4)), leaky("lif", 9), Linear("b", dyadic(rng, 9, 9)),
        leaky("lif2", 9), Linear("b.c", dyadic(rng, 9, 9)), leaky("lif3", 9),
        Linear("a.1", dyadic(rng, 9, 9)), leaky("a.2", 9),
    ]  # fmt: skip
    return SNNCheckpoint(layers, connections=chained(*names))


def paddings(rng):
    """Strides over what is padded by the size of the input, and sides that differ."""
    layers = [
        Input("image", (1, 7, 6)), conv("same", 1, rng, padding="same", stride=2),
        leaky("lif1", 2, 4, 3), MaxPool("pool", (3, 1), stride=(1, 1), padding="same"),
        conv("uneven", 2, rng, padding=((0, 2), (1, 0)), stride=(1, 2)),
        leaky("lif2", 2, 4, 1), Flatten("flat", order="channels first"),
        Linear("fc", dyadic(rng, 4, 8)), leaky("out", 4),
    ]  # fmt: skip
    names = ("image", "same", "lif1", "pool", "uneven", "lif2", "flat", "fc", "out")
    return SNNCheckpoint(layers, connections=chained(*names))


def numbered_by_hand(rng):
    """A net of Norse's own neurons, whose names are no numbers."""

    def box(name, *shape):
        known = rules.norse.LIFBoxCell
        return known(name, shape=shape, dt=DT, tau_mem_inv=512.0, v_th=0.5)

    names = ("features.0", "features.lif", "last.0", "last.1")
    layers = [
        Linear("features.0", dyadic(rng, 9, 4)), box("features.lif", 9),
        Linear("last.0", dyadic(rng, 9, 9)), box("last.1", 9),
    ]  # fmt: skip
    return SNNCheckpoint(layers, connections=chained(*names), dt=DT)


NETS = (residual, several_ends, branches_without_ends, features, view, apart, paddings)


def inputs_of(checkpoint, rng):
    fed = {c.target for c in checkpoint.connections}
    ends = [x for x in checkpoint.layers.values() if type(x) is Input]
    shapes = {x.name: x.shape for x in ends} or {
        x.name: (x.size[0],) for x in checkpoint.layers.values() if x.name not in fed
    }
    return {
        name: (rng.random((STEPS, BATCH, *shape)) < 0.5).astype(np.float32)
        for name, shape in shapes.items()
    }


def ends_of(checkpoint):
    """Name the outputs, or the layers that feed nothing."""
    feeding = {c.source for c in checkpoint.connections}
    told = [x.name for x in checkpoint.layers.values() if isinstance(x, Output)]
    return told or [name for name in checkpoint.layers if name not in feeding]


@pytest.fixture(scope="module", params=FRAMEWORKS)
def built(request, tmp_path_factory):
    """What a framework makes of each net, by the net's name."""
    framework, folder = request.param, tmp_path_factory.mktemp(request.param)
    rng, held = np.random.default_rng(1), {}
    for make in (*NETS, numbered_by_hand) if framework == "norse" else NETS:
        checkpoint = make(rng)
        file = folder / f"{make.__name__}.pt"
        inputs = inputs_of(checkpoint, rng)
        write(checkpoint, file, options={"for": framework})
        np.savez(file.with_suffix(".in.npz"), **inputs)
        held[make.__name__] = file, checkpoint, inputs
    files = [str(file) for file, *_ in held.values()]
    told = beside.ask("torch", "judge_graphs.py", framework, *files)
    return {name: (*x, one) for (name, x), one in zip(held.items(), told, strict=True)}


@pytest.mark.parametrize("net", [make.__name__ for make in NETS])
def test_a_net_that_is_built_gives_the_simulator_s_spikes(net, built):
    file, checkpoint, inputs, _ = built[net]
    ends = ends_of(checkpoint)
    traces = simulate(checkpoint, inputs, record=dict.fromkeys(ends, "output")).traces
    with np.load(file.with_suffix(".out.npz")) as held:
        found = [held[name] for name in held]
    for out, end in zip(found, ends, strict=True):
        assert traces[end, "output"].any()
        assert np.array_equal(out, traces[end, "output"])


@pytest.mark.parametrize("net", [make.__name__ for make in NETS])
def test_a_net_is_the_same_after_pickle_and_after_a_reset(net, built):
    assert all(built[net][3]["same"])


def test_only_what_branches_or_is_named_apart_is_a_graph(built):
    graphs = {name for name, (*_, told) in built.items() if told["code"]}
    chains = {"features", "view", "paddings", "numbered_by_hand"}
    norse = "numbered_by_hand" in built  # which names the modules of a chain by their place
    assert graphs == set(built) - chains - ({"apart"} if norse else set())


def test_the_code_of_a_graph_has_the_names_of_the_layers(built):
    code = built["residual"][3]["code"]
    assert "def forward(self, image" in code
    assert "self.block.conv1(" in code
    assert "def forward(self, input_in, class_2" in built["several_ends"][3]["code"]


def test_a_chain_keeps_the_dots_of_its_names(built):
    if "numbered_by_hand" in built:
        assert built["numbered_by_hand"][3]["keys"] == ["features.0.weight", "last.0.weight"]
    else:
        assert {"features.0.weight", "classifier.0.weight"} <= set(built["features"][3]["keys"])


def test_a_padding_that_pytorch_lacks_is_exported_as_what_it_was(built):
    file, checkpoint, _, _ = built["paddings"]
    convs = [x for x in checkpoint.layers.values() if isinstance(x, Conv2d)]
    again = read(file.with_suffix(".again.pt")).layers.values()
    found = [x for x in again if isinstance(x, Conv2d)]
    for conv, other in zip(convs, found, strict=True):
        assert (conv.padding, conv.stride) == (other.padding, other.stride)
        assert np.array_equal(conv.weight.value, other.weight.value)


@pytest.mark.parametrize("name", ['a", print(1)) #', "lambda", "code", "lif.forward"])
def test_a_name_that_a_graph_cannot_have_is_refused(name, tmp_path):
    rng = np.random.default_rng(2)
    layers = [
        Linear("fc", dyadic(rng, 5, 4)), leaky("lif", 5), Linear(name, dyadic(rng, 5, 5)),
        leaky("last", 5),
    ]  # fmt: skip
    edges = [*chained("fc", "lif", name, "last"), Connection("lif", "last")]
    write(SNNCheckpoint(layers, connections=edges), tmp_path / "net.pt")
    told = beside.ask("torch", "judge_graphs.py", "refused", str(tmp_path / "net.pt"))
    assert f"layer {name!r}: " in told[0]
    assert "give the layer another name" in told[0]
