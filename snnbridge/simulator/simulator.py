"""A network made ready once, and run as often as one likes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from snnbridge.errors import CheckpointError, UnknownValue
from snnbridge.model import Neuron, Path, SNNCheckpoint, StateVariable
from snnbridge.neurons import NeuronKind
from snnbridge.registry import default
from snnbridge.simulator.combinations import refuse_kinds, refuse_rules
from snnbridge.simulator.custom import CustomNetwork
from snnbridge.simulator.layout import network_of
from snnbridge.simulator.lower import Lowering
from snnbridge.simulator.network import Network
from snnbridge.simulator.recording import recordable
from snnbridge.simulator.result import Block, Simulation, State, counting, refuse_strangers
from snnbridge.simulator.run import Pool, Run
from snnbridge.simulator.stimulus import Stimulus
from snnbridge.simulator.unknowns import missing_values, refuse_unknown


class Simulator:
    """A network with its weights packed and its coefficients derived, ready to run.

    Runs are deterministic to the bit. Input currents are summed in ascending presynaptic index in
    float64, the bias last, and rounded once to the network's width; several inputs of a layer
    are added in the order of their connections in that width. The result does not depend on
    batch size, threads, sparsity or processor. Runs do not touch each other: one object serves
    several threads at once.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
        Its arrays must not be changed in place while the simulator is in use: some are copied
        here and some are read by every run, so that a change would show in part. Make a new
        simulator of changed weights.
    threads : int, optional
        All processors by default.
    neurons : mapping of str to NeuronKind, optional
        The kinds that plugins define; those that are installed by default.
    lanes : int
        The instruction set to use, for tests; -1 for the best.

    Raises
    ------
    UnknownValue
        Listing everything that the checkpoint does not state and its rules need.
    CheckpointError
        For layers that cannot be simulated, values that no step can be made of, cycles without
        delay, or a number of threads below 1.

    Examples
    --------
    >>> import numpy as np
    >>> from snnbridge import Connection, Linear, SNNCheckpoint, rules
    >>> lif = rules.snntorch.Leaky("lif", shape=(1,), beta=0.5, threshold=1.0)
    >>> net = SNNCheckpoint([Linear("fc", np.ones((1, 2), np.float32)), lif],
    ...                     connections=[Connection("fc", "lif")])
    >>> simulator = Simulator(net)
    >>> simulator.run(np.ones((3, 1, 2), np.float32)).spikes["lif"].ravel()
    array([1, 1, 1], dtype=uint8)
    >>> simulator.run(np.zeros((3, 1, 2), np.float32)).rates()
    {'lif': 0.0}
    """

    def __init__(
        self,
        checkpoint: SNNCheckpoint,
        threads: int | None = None,
        *,
        neurons: Mapping[str, NeuronKind] | None = None,
        lanes: int = -1,
    ) -> None:
        if threads is not None and (type(threads) is not int or threads < 1):
            raise CheckpointError(f"threads must be a whole number of at least 1, not {threads!r}")
        self._threads = threads
        self._custom: CustomNetwork | None = None
        self._state, self._step = dict(checkpoint.state), checkpoint.step
        kinds = _kinds(checkpoint, neurons)
        if kinds:
            _refuse(checkpoint, kinds)
            self._custom = CustomNetwork(checkpoint, kinds, threads, lanes)
            return
        self._lowering = Lowering(prepared(checkpoint), lanes)
        self._pool = Pool()

    @property
    def recordable(self) -> dict[str, tuple[str, ...]]:
        """What can be recorded, by layer; those of a subgraph are called ``outer/inner``."""
        return (
            recordable(self._lowering.network)
            if self._custom is None
            else (self._custom.recordable())
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what slows this network down."""
        neurons = {} if self._custom is None else self._custom.neurons
        return tuple(
            f"layer {name!r} is of a plugin's kind, {neuron.kind.name!r}: its step runs in Python, "
            "which is slower by far"
            for name, neuron in neurons.items()
        )

    def run(
        self,
        inputs: Stimulus | Mapping[str, Stimulus],
        *,
        steps: int | None = None,
        record: Any = None,
        initial: Mapping[Path, StateVariable] | None = None,
        on_block: Callable[[Block], object] | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> Simulation:
        """Run the network on some input, from rest or from a state.

        Parameters
        ----------
        inputs : array, spike list, or mapping of them by input layer
            An array has shape ``(steps, batch, *layer shape)``, spikes or currents of any numeric
            type, and is rounded to the network's width; a spike list is (times, indices) or
            (times, indices, samples), integers all, where an index counts the elements of the
            layer. A network without `Input` layers takes its input at the layers that nothing
            leads to.
        steps : int, optional
            Needed where only spike lists are handed in and the last step has no spike.
        record : iterable of str, or mapping of str to variables, optional
            Layers, or what of each: ``"spikes"``, ``"v"``, ``"i"``, ``"output"``. By default the
            output of the output layers and the spikes of the neurons there; without `Output`
            layers, those are the layers that nothing reads, and the neurons of cycles that nothing
            outside of them reads.
        initial : mapping of (layer, variable) to StateVariable, optional
            The state to start from: that of an earlier :class:`Simulation`, or the
            checkpoint's, which goes on at the checkpoint's step, each of shape
            ``(batch, *layer shape)``. Without it, membranes start at
            ``v_init`` (0 where it is not stated), all else at rest.
        on_block : function of Block, optional
            Gets what is recorded, some steps at a time; nothing is kept then.
        progress : function of (steps done, steps), optional

        Returns
        -------
        Simulation

        Raises
        ------
        CheckpointError
            For inputs, records or states that do not fit, a number that is not finite, or too
            little memory, before anything is recorded or handed out.

        Examples
        --------
        Fifty steps and fifty more are a hundred, bit for bit::

            first = simulator.run(spikes[:50])
            second = simulator.run(spikes[50:], initial=first.state)
        """
        initial = self._started(initial or {})
        if self._custom is not None:
            return self._custom.run(
                inputs, steps=steps, record=record, initial=initial, on_block=on_block,
                progress=progress,
            )  # fmt: skip
        refuse_strangers(initial, self._lowering.network.layers)
        run = Run(
            self._lowering, inputs, steps, record, initial, self._threads, self._pool,
            streamed=on_block is not None,
        )  # fmt: skip
        return run.go(on_block, progress)

    def _started(self, initial: Mapping[Path, StateVariable]) -> Mapping[Path, StateVariable]:
        """Return the checkpoint's own state with the index of its step; any other as it is."""
        if not isinstance(initial, Mapping) or isinstance(initial, State) or not initial:
            return initial
        if any(held is not self._state.get(path) for path, held in initial.items()):
            return initial
        if type(self._step) is int:
            return State(initial, self._step)
        layer = counting(initial)
        if layer:
            raise UnknownValue(
                f"the state of {layer!r} holds the time of its last spike, and the checkpoint does "
                "not state its step; state `step`, or start without `initial`",
                (("", "step"),),
            )
        return initial


def simulate(
    checkpoint: SNNCheckpoint,
    inputs: Stimulus | Mapping[str, Stimulus],
    *,
    steps: int | None = None,
    record: Any = None,
    initial: Mapping[Path, StateVariable] | None = None,
    threads: int | None = None,
    on_block: Callable[[Block], object] | None = None,
    progress: Callable[[int, int], object] | None = None,
    neurons: Mapping[str, NeuronKind] | None = None,
    lanes: int = -1,
) -> Simulation:
    """Run a network once; a :class:`Simulator` that runs more often is prepared only once.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    inputs, steps, record, initial, on_block, progress
        As :meth:`Simulator.run` takes them: an array of inputs has shape
        ``(steps, batch, *layer shape)``.
    threads, neurons, lanes
        As :class:`Simulator` takes them.

    Returns
    -------
    Simulation

    Raises
    ------
    UnknownValue
        Listing everything that the checkpoint does not state and its rules need.
    CheckpointError
        Before the first step: for layers that cannot be simulated, values that no step can be
        made of, inputs that do not fit, cycles without delay, too little memory.

    Examples
    --------
    >>> import numpy as np
    >>> from snnbridge import Connection, Linear, SNNCheckpoint, rules
    >>> from snnbridge import simulate
    >>> lif = rules.snntorch.Leaky("lif", shape=(1,), beta=0.5, threshold=1.0)
    >>> net = SNNCheckpoint([Linear("fc", np.ones((1, 2), np.float32)), lif],
    ...                     connections=[Connection("fc", "lif")])
    >>> simulate(net, np.ones((3, 1, 2), np.float32)).spikes["lif"].ravel()
    array([1, 1, 1], dtype=uint8)
    """
    return Simulator(checkpoint, threads, neurons=neurons, lanes=lanes).run(
        inputs, steps=steps, record=record, initial=initial, on_block=on_block, progress=progress
    )


def _kinds(
    checkpoint: SNNCheckpoint, neurons: Mapping[str, NeuronKind] | None
) -> dict[str, NeuronKind]:
    """Return the kinds of plugins that a network's neurons are of."""
    models = {x.model for x in checkpoint.layers.values() if isinstance(x, Neuron)} - {"lif"}
    if not models:
        return {}
    known = default().neurons if neurons is None else neurons
    return {model: known[model] for model in models if model in known}


def _refuse(checkpoint: SNNCheckpoint, kinds: Mapping[str, NeuronKind]) -> None:
    """Refuse what cannot be simulated."""
    checkpoint.validate()
    if not checkpoint.layers:
        raise CheckpointError("there is no layer to simulate")
    refuse_kinds(checkpoint.layers, kinds)
    refuse_unknown(missing_values(checkpoint))


def prepared(checkpoint: SNNCheckpoint) -> Network:
    """Refuse what cannot be simulated, then lay out what can."""
    _refuse(checkpoint, {})
    network = network_of(checkpoint)
    refuse_rules(network)
    return network
