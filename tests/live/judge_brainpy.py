"""Runs where BrainPy is installed, and answers for it: its arguments are ACTION ARGUMENTS.

The arguments are JSON; so is the answer, on the last line of the standard output.
"""

import json
import sys
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")

import brainpy as bp  # noqa: E402
import brainpy.math as bm  # noqa: E402
import numpy as np  # noqa: E402


def training_network(num_in=6, num_rec=5, num_out=2):
    """Make the network of BrainPy's tutorial, with weights of its own."""

    class SNN(bp.DynamicalSystem):
        def __init__(self):
            super().__init__()
            self.r = bp.dyn.Lif(num_rec, tau=10.0, V_reset=0.0, V_rest=0.0, V_th=1.0)
            self.o = bp.dyn.Integrator(num_out, tau=5.0, method="euler")
            self.i2r = bp.Sequential(
                comm=bp.dnn.Linear(
                    num_in, num_rec, W_initializer=bp.init.KaimingNormal(scale=20.0)
                ),
                syn=bp.dyn.Expon(num_rec, tau=10.0),
            )
            self.r2o = bp.Sequential(
                comm=bp.dnn.Linear(
                    num_rec, num_out, W_initializer=bp.init.KaimingNormal(scale=20.0)
                ),
                syn=bp.dyn.Expon(num_out, tau=10.0),
            )

        def update(self, spike):
            return spike >> self.i2r >> self.r >> self.r2o >> self.o

    return SNN()


def state_network():
    """Make the first network of the tutorial: a dense layer and neurons."""

    class SNN(bp.DynamicalSystem):
        def __init__(self):
            super().__init__()
            self.var = bm.Variable(bm.zeros(1))
            self.l1 = bp.dnn.Dense(28 * 28, 10, b_initializer=None)
            self.l2 = bp.dyn.Lif(10, V_rest=0.0, V_reset=0.0, V_th=1.0, tau=2.0)

        def update(self, x):
            return x >> self.l1 >> self.l2

    return SNN()


def image_network():
    """Make a chain with a convolution, neurons on an image, and two synapses."""
    tau = bm.TrainVar(bm.asarray(np.linspace(2.0, 4.0, 32, dtype=np.float32).reshape(4, 4, 2)))
    return bp.Sequential(
        bp.dnn.Conv2d(1, 2, 3, stride=2, w_initializer=bp.init.Normal(0.2, 0.5)),
        bp.dyn.Lif((4, 4, 2), keep_size=True, spk_reset="hard", tau=tau, V_th=0.5, V_reset=0.0),
        bp.dnn.MaxPool2d(2, 2),
        bp.dnn.Flatten(),
        bp.dnn.Dense(8, 3, W_initializer=bp.init.Normal(0.2, 0.5)),
        bp.Sequential(
            bp.dyn.DualExpon(3, tau_decay=6.0, tau_rise=2.0),
            bp.dyn.LifRef(3, tau_ref=2.0, V_th=0.5, V_reset=0.0),
        ),
    )


def neuron_network():
    """Make a chain of two dense layers with a synapse and refractory neurons behind them."""
    return bp.Sequential(
        bp.dnn.Dense(6, 8, W_initializer=bp.init.Normal(0.2, 0.5)),
        bp.dyn.DualExpon(8, tau_decay=6.0, tau_rise=2.0),
        bp.dyn.LifRef(8, tau=4.0, tau_ref=2.0, V_th=0.5, V_reset=-0.5),
        bp.dnn.Dense(8, 3, W_initializer=bp.init.Normal(0.5, 0.5)),
        bp.dyn.Alpha(3, tau_decay=5.0),
        bp.dyn.Lif(3, tau=3.0, V_th=0.5, V_reset=0.0, method="euler"),
    )


def save_state(net):
    """Save as the release does: in 2.4 all its objects, integrators too."""
    return bp.save_state(net) if hasattr(bp, "save_state") else net.state_dict()


def load_state(net, tree):
    """Load as the release does; up to 2.6 the two results are swapped."""
    if hasattr(bp, "load_state"):
        result = bp.load_state(net, tree)
        return result.missing_keys, result.unexpected_keys
    return net.load_state_dict(tree, warn=False)


def fresh(make, training=True):
    clear_names = getattr(bm, "clear_name_cache", None) or bp.tools.clear_name_cache
    clear_names(ignore_warn=True)
    bm.random.seed(7)
    bm.set_dt(1.0)
    if not training:
        return make()
    with bm.training_environment():
        return make()


def arrays_of(tree):
    return {
        key: [np.asarray(value).dtype.name, np.asarray(value).tolist()]
        for node in tree.values()
        for key, value in node.items()
    }


def loads(path, make="training_network", training=True):
    """Load a file into a fresh network and tell what did not fit, and what it then holds."""
    net = fresh(globals()[make], training)
    tree = bp.checkpoints.load_pytree(path)
    missing, unexpected = load_state(net, tree.get("net", tree))
    return {
        "missing": list(missing),
        "unexpected": list(unexpected),
        "arrays": arrays_of(save_state(net)),
        "keys": list(tree),
    }


def saves_again(path, again):
    """Load a file and save what it holds under another name."""
    bp.checkpoints.save_pytree(again, bp.checkpoints.load_pytree(path), verbose=False)


def saves(path, make="training_network", training=True, wrapped=False):
    """Save a fresh network by BrainPy's own function."""
    state = save_state(fresh(globals()[make], training))
    tree = {"net": state, "epoch_i": 3, "train_loss": bm.asarray(0.5)} if wrapped else state
    bp.checkpoints.save_pytree(path, tree, verbose=False)
    return arrays_of(state)


def exports(path, make="training_network", training=True, connections=None):
    """Save a network by :func:`snnbridge.frameworks.brainpy.export`."""
    from snnbridge.frameworks.brainpy import export

    net = fresh(globals()[make], training)
    given = None if connections is None else [tuple(edge) for edge in connections]
    export(net, path, connections=given)
    return {name: type(node).__name__ for name, node in net.nodes().unique().items()}


def runs(path, make, shape, training=True, connections=None):
    """Export a network, then run it on random spikes; spikes and input go beside the file."""
    from snnbridge.frameworks.brainpy import export

    net = fresh(globals()[make], training)
    given = None if connections is None else [tuple(edge) for edge in connections]
    export(net, path, connections=given)
    batch = [2] if training else []
    inputs = np.random.default_rng(5).random((50, *batch, *shape)) < 0.4
    inputs = 8 * inputs.astype(np.float32)
    if training:
        bp.reset_state(net, 2)
    nodes = {n: x for n, x in net.nodes().unique().items() if hasattr(x, "spike")}

    def step(i, x):
        net.step_run(i, x)
        return {name: node.spike.value for name, node in nodes.items()}

    spikes = bm.for_loop(step, (bm.arange(len(inputs)), bm.asarray(inputs)))
    spikes = {name: np.asarray(value).astype(bool) for name, value in spikes.items()}
    np.savez(Path(path).with_suffix(".npz"), input=inputs, **spikes)
    return {name: int(value.sum()) for name, value in spikes.items()}


def goes_on(path, again=None):
    """Run a net over images, export it, and run on; or go on from the state of a file."""
    from snnbridge.frameworks.brainpy import export

    net = fresh(image_network)
    inputs = 8 * (np.random.default_rng(5).random((60, 2, 8, 8, 1)) < 0.4).astype(np.float32)
    bp.reset_state(net, 2)
    if again is not None:
        assert not any(load_state(net, bp.checkpoints.load_pytree(again)))
    else:
        bm.for_loop(net.step_run, (bm.arange(40), bm.asarray(inputs[:40])))
        export(net, path, input_shape=(8, 8, 1))
    lif = next(node for node in net.nodes().unique().values() if type(node).__name__ == "Lif")
    begins = np.asarray(lif.V.value)

    def step(i, x):
        net.step_run(i, x)
        return lif.spike.value

    spikes = np.asarray(bm.for_loop(step, (bm.arange(40, 60), bm.asarray(inputs[40:]))))
    if again is None:
        np.savez(Path(path).with_suffix(".npz"), input=inputs[40:], v=begins, spikes=spikes)
        return int(spikes.sum())
    held = np.load(Path(path).with_suffix(".npz"))
    return bool((held["v"] == begins).all() and (held["spikes"] == spikes).all())


def builds(path, again):
    """Build a net of a file, load the file into it, and export it again."""
    from snnbridge import read
    from snnbridge.frameworks import brainpy

    bm.clear_name_cache()
    bm.set_dt(0.3)
    before, net = (brainpy.build(read(path)) for _ in range(2))
    assert {"fc", "lif"} <= before.nodes().keys() & net.nodes().keys()
    told = [net.load_state_dict(bp.checkpoints.load_pytree(path), warn=False)]
    told.append(bp.load_state(net, bp.checkpoints.load_pytree(path)))
    brainpy.export(net, again)
    strange = [key for keys in told for key in [*keys.missing_keys, *keys.unexpected_keys]]
    return {"kind": type(net).__name__, "strange": strange, "dt": bm.get_dt()}


def leaves():
    """Make a tree with a leaf of each kind that BrainPy's users save."""
    import jax.numpy as jnp

    net = fresh(training_network)
    return {
        "net": bp.save_state(net),
        "vars": net.vars().unique(),
        "array": jnp.arange(3),
        "bfloat16": jnp.ones(2, jnp.bfloat16),
        "variable": bm.Variable(bm.zeros((2, 3))),
        "transposed": np.arange(6.0).reshape(2, 3).T,
        "list": [bm.TrainVar(bm.ones(1)), (1, 2.5, "three")],
        "numbers": [0, -1, 2**40, 1.5, None, True, 1 - 2j, np.float32(0.5), np.int64(3)],
    }


def same_bytes(folder):
    """Save the same trees by both functions, in the background too."""
    from snnbridge import pytree

    tree = leaves()
    ours, theirs, later = (str(Path(folder, f"{name}.bp")) for name in ("ours", "theirs", "later"))
    assert pytree.save_pytree(ours, tree, verbose=False) == ours
    assert bp.checkpoints.save_pytree(theirs, tree, verbose=False) == theirs
    with pytree.AsyncManager() as manager:
        pytree.save_pytree(later, tree, async_manager=manager, verbose=False)
    return len({Path(name).read_bytes() for name in (ours, theirs, later)})


def first_example(folder):
    """Run the tutorial's first example with the import changed."""
    from snnbridge import pytree

    net = fresh(state_network, training=False)
    path = str(Path(folder, "a.bp"))
    pytree.save_pytree(path, net.state_dict())
    states = pytree.load_pytree(path)
    return [bp.load_state(net, states), pytree.load_state(net, states), list(states)]


def second_example(folder):
    """Run the tutorial's training with the import changed, and load its best network."""
    from snnbridge import pytree

    steps, samples = 10, 8
    net = fresh(training_network)
    rng = np.random.default_rng(0)
    x_data = bm.asarray((rng.random((steps, samples, 6)) < 0.5).astype(np.float32))
    y_data = bm.asarray((rng.random(samples) < 0.5).astype(np.float32))
    indices = bm.arange(steps)

    class Trainer:
        def __init__(self, net, opt):
            self.net = net
            self.opt = opt
            opt.register_train_vars(net.train_vars().unique())
            self.f_grad = bm.grad(self.f_loss, grad_vars=self.opt.vars_to_train, return_value=True)

        @bm.cls_jit(inline=True)
        def f_loss(self):
            self.net.reset(samples)
            outs = bm.for_loop(self.net.step_run, (indices, x_data))
            return bp.losses.cross_entropy_loss(bm.max(outs, axis=0), y_data)

        @bm.cls_jit
        def f_train(self):
            grads, loss = self.f_grad()
            self.opt.update(grads)
            return loss

    trainer = Trainer(net=net, opt=bp.optim.Adam(lr=4e-3))
    path = str(Path(folder, "snn.bp"))
    best = np.inf
    for i in range(3):
        loss = trainer.f_train()
        if loss < best:
            best = loss
            states = {"net": bp.save_state(net), "epoch_i": i, "train_loss": best}
            pytree.save_pytree(path, states, verbose=False)
    state_dict = pytree.load_pytree(path)
    return [bp.load_state(net, state_dict["net"]), float(state_dict["train_loss"]) == float(best)]


def states_agree():
    """Compare both functions that save and load a running network."""
    from snnbridge import pytree

    net = fresh(training_network)
    ours, theirs = pytree.save_state(net), bp.save_state(net)
    same = arrays_of(ours) == arrays_of(theirs) and list(ours) == list(theirs)
    del ours["Dense0"]["Dense0.b"], ours["Lif0"]
    ours["Dense1"]["Dense1.x"] = np.zeros(1)
    ours["Dense1"]["Dense1.W"] = np.full((5, 2), 3, np.float32)
    told, loaded = bp.load_state(fresh(training_network), ours), pytree.load_state(net, ours)
    weight = np.asarray(net.r2o["comm"].W.value)
    return [same, [list(x) for x in told] == [list(x) for x in loaded], float(weight.min())]


if __name__ == "__main__":
    action, arguments = sys.argv[1], json.loads(sys.argv[2])
    print(json.dumps(globals()[action](**arguments)))
