"""The keys under which each framework keeps a module in a state dict.

A module's keys are those below its name: ``lif1.beta`` is ``beta`` of ``lif1``. A place is a
parameter of the neuron (``decay``), of the synapse that the framework's class holds
(``synapse.decay``), or a state (``v``, ``synapse.i``); the framework's own argument of the same
name, in :mod:`snnbridge.rules`, says the unit and the scheme.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from snnbridge.model import Array, Reset


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleKeys:
    """The keys of one class.

    Parameters
    ----------
    framework, kind : str
        As in :mod:`snnbridge.rules`.
    needs : set of str
        Keys by which the class is known.
    parameters : mapping of str to str
        Keys and the parameters that they hold.
    states : mapping of str to str
        Keys of buffers that hold a state; empty tensors before the first run.
    spare : tuple of str
        Keys that say nothing which is not said elsewhere.
    below : str
        The name of a module inside, where the class has one.
    others : set of str, optional
        Keys that it may have beside those; any, if there is no such set.
    """

    framework: str
    kind: str
    needs: frozenset[str]
    parameters: Mapping[str, str] = field(default_factory=dict)
    states: Mapping[str, str] = field(default_factory=dict)
    spare: tuple[str, ...] = ()
    below: str = ""
    others: frozenset[str] | None = None

    @property
    def keys(self) -> frozenset[str]:
        """All of them."""
        return frozenset({*self.parameters, *self.states, *self.spare})


#: snnTorch's own key of a neuron's reset, and what its values 0, 1 and 2 stand for.
RESET_KEY = "reset_mechanism_val"
RESETS = {"subtract": Reset.SUBTRACT, "zero": Reset.SET, "none": Reset.NONE}


def _snntorch(kind: str, below: str = "", **more: str) -> ModuleKeys:
    parameters = {"threshold": "threshold", "graded_spikes_factor": "output_gain", **more}
    return ModuleKeys(
        framework="snntorch",
        kind=kind,
        needs=frozenset({"threshold", *more}),
        parameters=parameters,
        states={"mem": "v", "syn": "synapse.i", "spk": "spike"},
        spare=(RESET_KEY,) + (("beta",) if "beta" not in more else ()),
        below=below,
    )


_BETA, _ALPHA = {"beta": "decay"}, {"alpha": "synapse.decay"}
_RC = {"time_step": "dt", "R": "resistance", "C": "capacitance"}
_SINABS_SYNAPSE = {"tau_syn": "synapse.tau", "alpha_syn": "synapse.decay"}
_SINABS_STATES = {"v_mem": "v", "i_syn": "synapse.i"}
_SINABS_LEAK = {"tau_mem": "tau", "alpha_mem": "decay"}
_SINABS_FIRE = {"spike_threshold": "threshold", "min_v_mem": "v_min"}


def _sinabs(kind: str, needs: str, below: str = "", **parameters: str) -> ModuleKeys:
    return ModuleKeys(
        framework="sinabs",
        kind=kind,
        needs=frozenset(needs.split()),
        parameters=parameters,
        states=_SINABS_STATES,
        below=below,
    )


_ROCKPOOL_LEAK = {"tau_mem": "tau", "alpha": "decay", "dash_mem": "dash"}
_ROCKPOOL_SYNAPSE = {
    "tau_syn": "synapse.tau",
    "beta": "synapse.decay",
    "dash_syn": "synapse.dash",
}
_ROCKPOOL_STATES = {"vmem": "v", "isyn": "synapse.i", "spikes": "spike"}
_ROCKPOOL_FIRE = {"bias": "bias", "threshold": "threshold"}


def _rockpool(
    kind: str, needs: str, states: Mapping[str, str], others: str = "", **parameters: str
) -> ModuleKeys:
    return ModuleKeys(
        framework="rockpool",
        kind=kind,
        needs=frozenset(needs.split()),
        parameters=parameters,
        states=states,
        others=frozenset(others.split()),
    )


#: From the most particular to the least; the first whose keys are there is taken.
MODULES = (
    *(
        _rockpool(
            "LIFTorch", f"threshold vmem isyn spikes {leak}", _ROCKPOOL_STATES, "w_rec",
            **_ROCKPOOL_LEAK, **_ROCKPOOL_SYNAPSE, **_ROCKPOOL_FIRE,
        )
        for leak in _ROCKPOOL_LEAK
    ),
    *(
        _rockpool(
            "LIFNeuronTorch", f"threshold vmem {leak}", {"vmem": "v"},
            **_ROCKPOOL_LEAK, **_ROCKPOOL_FIRE,
        )
        for leak in _ROCKPOOL_LEAK
    ),
    _rockpool("ExpSynTorch", "tau isyn", {"isyn": "i"}, tau="tau"),
    _snntorch("Lapicque", **_RC),
    _snntorch("RSynaptic", "recurrent", **_BETA, **_ALPHA),
    _snntorch("Synaptic", **_BETA, **_ALPHA),
    _snntorch("RLeaky", "recurrent", **_BETA),
    _snntorch("Leaky", **_BETA),
    *(
        _sinabs(
            f"LIF{name}", f"spike_threshold {leak}", below,
            **_SINABS_LEAK, **_SINABS_SYNAPSE, **_SINABS_FIRE,
        )
        for name, below in (("Recurrent", "rec_connect"), ("", ""))
        for leak in _SINABS_LEAK
    ),
    _sinabs("IAFRecurrent", "spike_threshold", "rec_connect", **_SINABS_SYNAPSE, **_SINABS_FIRE),
    _sinabs("IAF", "spike_threshold", **_SINABS_SYNAPSE, **_SINABS_FIRE),
    *(
        _sinabs("ExpLeak", f"v_mem {leak}", **_SINABS_LEAK, min_v_mem="v_min")
        for leak in _SINABS_LEAK
    ),
    ModuleKeys(
        framework="norse",
        kind="LIFRecurrentCell",
        needs=frozenset({"input_weights", "recurrent_weights"}),
    ),
    ModuleKeys(
        framework="spikingjelly",
        kind="ParametricLIFNode",
        needs=frozenset({"w"}),
        parameters={"w": "logit"},
    ),
)  # fmt: skip
#: Keys of classes outside the family, which share keys with those inside.
FOREIGN = frozenset({"tau_adapt", "lstm_cell", "weight_ih_l0"})
_ROCKPOOL_NAME = re.compile(r"(?:[0-9]+_)?([A-Za-z]\w*Torch)")


def reset_word(value: Array) -> str:
    """Return snnTorch's word for the value under its key; empty if it is none.

    Examples
    --------
    >>> import numpy as np
    >>> reset_word(np.array(1))
    'zero'
    """
    code = value.item() if value.shape == () else None
    return next((word for n, word in enumerate(RESETS) if n == code), "")


def reset_code(reset: Reset) -> int:
    """Return the number that snnTorch has for a reset."""
    return list(RESETS.values()).index(reset)


def key_of(name: str, own: str) -> str:
    """Return the key of a module's array."""
    return f"{name}.{own}" if name else own


def class_in_name(name: str) -> str:
    """Return the class that Rockpool writes into a module's name; empty if there is none.

    Examples
    --------
    >>> class_in_name("1_LIFTorch")
    'LIFTorch'
    """
    found = _ROCKPOOL_NAME.fullmatch(name.rpartition(".")[2])
    return found[1] if found else ""


def module_of(name: str, keys: frozenset[str], below: frozenset[str]) -> ModuleKeys | None:
    """Return the class that a module is of, as far as its name and keys tell.

    Parameters
    ----------
    name : str
    keys : set of str
        What stands directly below the name.
    below : set of str
        The modules directly below it.
    """
    kind = class_in_name(name)
    if kind:
        return next((row for row in MODULES if row.kind == kind), None)
    if keys & FOREIGN:
        return None
    return next((row for row in MODULES if _fits(row, keys, below)), None)


def _fits(row: ModuleKeys, keys: frozenset[str], below: frozenset[str]) -> bool:
    if not row.needs <= keys or (row.below and row.below not in below):
        return False
    return row.others is None or keys <= row.keys | row.others


def keys_of(framework: str, kind: str) -> ModuleKeys | None:
    """Return the keys of a class."""
    return next((r for r in MODULES if (r.framework, r.kind) == (framework, kind)), None)
