"""What a simulation needs to know of a network, and what of it the source does not state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from snnbridge import rules
from snnbridge.errors import UnknownValue
from snnbridge.model import (
    UNKNOWN,
    Conv1d,
    Conv2d,
    Delay,
    Form,
    Input,
    InputGain,
    Layer,
    Neuron,
    NeuronRule,
    Refractory,
    Reset,
    Scheme,
    SNNCheckpoint,
    Subgraph,
    Synapse,
    SynapseKind,
    SynapseRule,
    TimeStep,
)
from snnbridge.model.layers import Pool

#: The parameters that a scheme starts from.
_SOURCES: Mapping[Scheme, tuple[str, ...]] = {
    Scheme.STATED: ("decay",),
    Scheme.CLAMPED: ("decay",),
    Scheme.EXACT: ("tau",),
    Scheme.EULER: ("tau",),
    Scheme.RUNGE_KUTTA_4: ("tau",),
    Scheme.EULER_INVERSE: ("tau_inv",),
    Scheme.EULER_LOGIT: ("logit",),
    Scheme.LOGIT: ("logit",),
    Scheme.BIT_SHIFT: ("dash",),
    Scheme.RC: ("resistance", "capacitance"),
    Scheme.INTEGRATE: (),
}
_TIMED = {Scheme.EXACT, Scheme.EULER, Scheme.RUNGE_KUTTA_4, Scheme.EULER_INVERSE, Scheme.RC}


def refuse_unknown(missing: Iterable[tuple[str, str]]) -> None:
    """Raise one error that lists everything a simulation lacks.

    Raises
    ------
    UnknownValue
        If there is anything; its ``missing`` holds the pairs (layer, name).
    """
    found = list(dict.fromkeys(missing))
    if not found:
        return
    raise UnknownValue(
        f"a simulation needs what the source does not state: {_grouped(found)}; state it in a "
        "spec file (--spec)",
        missing=tuple(found),
    )


def _grouped(found: Iterable[tuple[str, str]], most: int = 8) -> str:
    """Name what is missing, layer by layer; the switches of a rule are counted together."""
    by_layer: dict[str, list[str]] = {}
    for layer, name in found:
        by_layer.setdefault(layer, []).append(name)
    parts = []
    for layer, names in by_layer.items():
        plain = [name for name in names if not name.startswith("rule.")]
        switches = [name.removeprefix("rule.") for name in names if name.startswith("rule.")]
        plain += switches if len(switches) < 4 else ["its rule"]
        parts.append(f"{f'layer {layer!r}: ' if layer else ''}{', '.join(plain)}")
    more = f"; and {len(parts) - most} more layers" if len(parts) > most else ""
    return "; ".join(parts[:most]) + more


def missing_values(checkpoint: SNNCheckpoint) -> list[tuple[str, str]]:
    """Return all that a simulation of a checkpoint lacks, as (layer, name).

    Examples
    --------
    >>> from snnbridge import Linear, SNNCheckpoint
    >>> missing_values(SNNCheckpoint([Linear("fc")], connections=()))
    [('fc', 'weight')]
    """
    found = list(_missing(checkpoint.layers, checkpoint.connections, "", checkpoint.dt))
    return list(dict.fromkeys(found))


def _missing(
    layers: Mapping[str, Layer], connections: object, prefix: str, dt: TimeStep
) -> Iterator[tuple[str, str]]:
    if connections is UNKNOWN:
        yield prefix.rstrip("/"), "connections"
    else:
        for c in connections:  # type: ignore[attr-defined]
            if c.delay is UNKNOWN:
                yield prefix.rstrip("/"), f"the delay from {c.source!r} to {c.target!r}"
    for layer in layers.values():
        own = layer.dt if layer.dt is not None else dt
        if isinstance(layer, Subgraph):
            yield from _missing(layer.layers, layer.connections, f"{prefix}{layer.name}/", own)
            continue
        for name in unknown_of(layer, own):
            yield ("", "dt") if name == "dt" and layer.dt is None else (prefix + layer.name, name)


def unknown_of(layer: Layer, dt: TimeStep) -> Iterator[str]:
    """Yield what a simulation needs of one layer and the source does not state."""
    if isinstance(layer, Neuron):
        if layer.model == "lif":  # what another kind needs, its plugin says
            yield from _of_neuron(layer, dt)
    elif isinstance(layer, Synapse):
        yield from _of_synapse(layer, dt)
    elif isinstance(layer, Conv1d | Conv2d | Pool):
        yield from (name for name in layer.unknown() if name != "input_shape")
    elif isinstance(layer, Delay):
        yield from layer.unknown()
        if layer.parameters["delay"].unit not in (None, "step") and dt is UNKNOWN:
            yield "dt"
    elif not isinstance(layer, Input):
        yield from (name for name in layer.unknown() if name not in ("input_shape", "order"))


def _of_neuron(layer: Neuron, dt: TimeStep) -> Iterator[str]:
    rule = layer.rule
    yield from (
        f"rule.{name}"
        for name in _switches(rule, "v_min" in layer.parameters)
        if getattr(rule, name) is UNKNOWN
    )
    needed = [*_sources(rule, layer.parameters)]
    if rule.spiking is not False:
        needed.append("threshold")
        if rule.reset is Reset.SET:
            needed.append("v_reset")
        if rule.refractory not in (Refractory.NONE, UNKNOWN):
            needed.append("tau_ref")
    yield from _absent(layer, needed)
    if dt is UNKNOWN and _needs_dt(layer):
        yield "dt"


def _switches(rule: NeuronRule, bounded: bool) -> Iterator[str]:
    yield from ("scheme", "form", "input_gain", "spiking", "output_delay", "width")
    if bounded:
        yield "floor"
    if rule.spiking is False:
        return
    yield from ("reset", "max_spikes", "spike_from", "refractory")
    if rule.max_spikes == 1 or rule.max_spikes is UNKNOWN:
        yield "compare"
    if rule.reset is not Reset.NONE:
        yield "reset_timing"
    if rule.refractory is not Refractory.NONE:
        yield "clock"


def _of_synapse(layer: Synapse, dt: TimeStep) -> Iterator[str]:
    rule = layer.rule
    yield from (f"rule.{name}" for name in rule.unknown())
    needed = [*_sources(rule, layer.parameters)]
    if rule.kind in (SynapseKind.DUAL_EXPONENTIAL, SynapseKind.EXPONENTIAL_DIFFERENCE):
        needed.append("tau_rise")
    yield from _absent(layer, needed)
    if dt is UNKNOWN and _needs_dt(layer):
        yield "dt"


def _sources(rule: NeuronRule | SynapseRule, stated: Mapping[str, object]) -> Iterator[str]:
    if rule.scheme is UNKNOWN:
        return
    for name in _SOURCES[rule.scheme]:
        yield "tau_inv" if name == "tau" and "tau_inv" in stated and "tau" not in stated else name
    if rule.input_gain is InputGain.STATED:
        yield "gain" if isinstance(rule, NeuronRule) else "input_gain"


def _absent(layer: Neuron | Synapse, needed: Iterable[str]) -> Iterator[str]:
    """Yield what is needed and not held, and what the source's class has and does not state."""
    known = rules.of(layer)
    arguments = known.arguments.values() if known else ()
    of_class = [a.parameter for a in arguments if a.parameter and not a.takes_none]
    wanted = [*needed, *(name for name in of_class if name is not None)]
    wanted += [name for name, held in layer.parameters.items() if held.value is UNKNOWN]
    for name in dict.fromkeys(wanted):
        held = layer.parameters.get(name)
        if held is None or held.value is UNKNOWN:
            yield name


def _needs_dt(layer: Neuron | Synapse) -> bool:
    rule = layer.rule
    per_step = {"step", "1/step"}
    timed = [p for name, p in layer.parameters.items() if name.startswith("tau")]
    if rule.form in (Form.DERIVATIVE, Form.EXPONENTIAL_EULER) or rule.scheme is Scheme.RC:
        return True
    if rule.input_gain is InputGain.TIME_STEP:
        return True
    if rule.scheme is Scheme.INTEGRATE and rule.input_gain is UNKNOWN:
        return True
    refractory = getattr(rule, "refractory", Refractory.NONE) not in (Refractory.NONE, UNKNOWN)
    if not refractory:
        timed = [
            p for name, p in layer.parameters.items() if name in ("tau", "tau_inv", "tau_rise")
        ]
    # What makes an equation of times discrete is not known yet: it will need the step too.
    needed = rule.scheme in _TIMED or rule.scheme is UNKNOWN or refractory
    return needed and any(p.unit not in per_step for p in timed)
