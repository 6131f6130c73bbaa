"""A form to fill in: everything that a checkpoint does not state, with a word of help."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cache

from snnbridge import rules
from snnbridge.model import (
    UNKNOWN,
    Conv1d,
    Conv2d,
    Layer,
    Neuron,
    Opaque,
    Parameter,
    SNNCheckpoint,
    SourceInfo,
    StateVariable,
    Subgraph,
    Synapse,
)
from snnbridge.model.rules import switches
from snnbridge.rules import Argument, FrameworkClass
from snnbridge.spec.joint import is_held
from snnbridge.spec.nesting import inner_edges, inner_layers
from snnbridge.spec.network import following
from snnbridge.spec.settling import without_assumed
from snnbridge.spec.words import by_model_name, vocabulary

#: A line of the form without its comment, and the comment.
_Line = tuple[str, str]
#: What one class or another needs of a neuron; the rest of the model's parameters are seldom.
_USUAL = ("tau", "decay", "resistance", "v_rest", "v_reset", "threshold", "tau_ref")
#: A form of more lines has no help but in the first of them.
_MOST_HELPED = 5000
#: So many edges are shown whose delay is open.
_MOST_EDGES = 20
#: Layers that have no arrays, as a net with convolutions needs them.
_WITHOUT_ARRAYS = """
# A file of arrays does not hold the layers that have none. Add those that stand in a chain, like
#   [layers.input]
#   kind = "Input"
#   shape = [1, 28, 28]         # channels, height, width
#   [layers.pool1]
#   kind = "MaxPool"            # or "AvgPool", "SumPool"
#   window = 2                  # one number for all axes, or one for each: [2, 2]
#   stride = 2
#   padding = 0                 # an AvgPool has count_padding, too: true or false
#   [layers.flatten]
#   kind = "Flatten"
#   order = "channels first"    # as in PyTorch; or "channels last"
# What the convolutions have alike may stand once, at the top: stride = 1"""
_HELP = {
    "spiking": "true, or false for a readout",
    "max_spikes": 'the most spikes in one step, or "none" for no limit',
    "output_delay": "steps from a spike to its delivery",
}


def skeleton(checkpoint: SNNCheckpoint) -> str:
    """Write a spec for a checkpoint, in which everything that it does not state is ``"?"``.

    Parameters
    ----------
    checkpoint : SNNCheckpoint

    Returns
    -------
    str
        TOML; a valid spec as it stands.

    Examples
    --------
    >>> from snnbridge import Neuron, Origin, SNNCheckpoint
    >>> leaky = Neuron("lif", (2,), origin=Origin("snntorch", "Leaky"))
    >>> form = skeleton(SNNCheckpoint([leaky], connections=()))
    >>> print(form.splitlines()[5])
    beta = "?"  # decay of the membrane potential; clamped to 0 to 1 (info says decay)
    """
    lines = ['# What the file does not say. Replace each "?"; what stays "?" stays unknown.']
    lines += [_written(("", note)) for note in (checkpoint.source or SourceInfo()).notes]
    lines += [_written(line) for line in _asked_of_network(checkpoint)]
    lines.append('# defaults = true  # take the framework\'s defaults for what stays "?"')
    states: dict[str, dict[str, StateVariable]] = {}
    for (name, variable), held in checkpoint.state.items():
        states.setdefault(name, {})[variable] = held
    assumed = (checkpoint.source or SourceInfo()).assumed
    told = following(checkpoint)
    for name, layer in inner_layers(checkpoint.layers):
        if isinstance(layer, Subgraph):
            continue
        open_ = without_assumed(layer, name, assumed)
        asked = [
            line
            for line in _asked_of_layer(open_, states.get(name, {}))
            if (name, line[0].partition(" ")[0]) not in told
        ]
        if asked:
            helped = len(lines) < _MOST_HELPED
            lines += [
                "",
                _head(name, layer),
                *(_written(x if helped else (x[0], "")) for x in asked),
            ]
    if checkpoint.connections is UNKNOWN and _has_windows(checkpoint):
        lines += _WITHOUT_ARRAYS.splitlines()
    return "\n".join(lines) + "\n"


def _has_windows(checkpoint: SNNCheckpoint) -> bool:
    return any(isinstance(layer, Conv1d | Conv2d) for layer in checkpoint.layers.values())


def _asked_of_network(checkpoint: SNNCheckpoint) -> Iterator[_Line]:
    if checkpoint.dt is UNKNOWN:
        yield 'dt = "?"', 'time step, like "0.1 ms", or "per step"'
    if frameworks := _without_version(x for _, x in inner_layers(checkpoint.layers)):
        yield 'version = "?"', f'of {" or ".join(frameworks)}, like "2.8.2"; rules differ by it'
    if checkpoint.step is UNKNOWN:
        yield 'step = "?"', "the index of the next time step, for what counts from the first"
    if checkpoint.connections is UNKNOWN:
        names = ", ".join(_toml(name) for name in checkpoint.layers)
        yield "", f"Each name of a chain feeds the next. The layers are: {names}"
        yield 'chains = [["?"]]', ""
        yield 'connections = [["?"]]', "further edges: [source, target, delay in steps]"
        return
    edges = inner_edges(checkpoint.layers, checkpoint.connections)
    if open_ := [c for c in edges if c.delay is UNKNOWN]:
        named = (f"[{_quoted(c.source)}, {_quoted(c.target)}, 1]" for c in open_[:_MOST_EDGES])
        yield 'connections = [["?"]]', f"the steps that edges take, like {', '.join(named)}"


def _without_version(layers: Iterable[Layer]) -> list[str]:
    """Return the frameworks whose release matters to a layer, or may, and is not known."""
    changed = {framework for framework, kind in rules.classes if _changed(framework, kind)}
    origins = [x.origin for x in layers if x.origin and x.origin.version is UNKNOWN]
    found = (
        o.framework
        for o in origins
        if _changed(o.framework, o.kind)
        or (o.framework in changed and (o.framework, o.kind) not in rules.classes)
    )
    return list(dict.fromkeys(found))


def _changed(framework: str, kind: str) -> bool:
    return len(rules.releases(framework, kind)) > 1


def _asked_of_layer(layer: Layer, state: dict[str, StateVariable]) -> Iterator[_Line]:
    found = rules.of(layer)
    if found is not None:
        lines = list(_of_class(layer, found, state))
        yield from lines
        if not lines and any(name.startswith("rule.") for name in layer.unknown()):
            yield 'class = "?"', f'"{found.kind}", to run it as {found.equation}'
    elif isinstance(layer, Opaque):
        yield 'class = "?"', f"the framework's class, if it is one of: {_classes(layer)}"
    else:
        yield from _of_model(layer)
    if getattr(layer, "shape", ()) is UNKNOWN:
        yield 'shape = "?"', "without the batch, like [10]; follows from the connections"
    if any(held.batch_axis is UNKNOWN for held in state.values()):
        yield 'batch_axis = "?"', 'of the state, 0 or "none"; follows from the shape'


def _of_class(
    layer: Layer, found: FrameworkClass, state: dict[str, StateVariable]
) -> Iterator[_Line]:
    told = found.evidence(state) if found.evidence else None
    open_ = set(layer.unknown()) - {"shape"}
    names = {key: name for name, key in by_model_name(found).items()}
    for key, argument in found.arguments.items():
        if _is_stated(layer, found, key, open_):
            continue
        if told is not None and told.argument == key:
            yield f"{key} = {json.dumps(told.value)}", f"by the file: {told.reason}"
            continue
        name = names.get(key, key) if argument.parameter else key
        yield f'{key} = "?"', _help_of(argument, found) + (f" (info says {name})" * (name != key))


def _is_stated(layer: Layer, found: FrameworkClass, key: str, open_: set[str]) -> bool:
    """Whether the layer holds what an argument states."""
    argument = found.arguments[key]
    if argument.choices:
        named = {switch for choice in argument.choices.values() for switch in choice}
        return not any(f"rule.{switch}" in open_ for switch in named)
    if argument.switches:
        return not any(f"rule.{switch}" in open_ for switch in argument.switches)
    if argument.joint or argument.takes_none:  # what it states may well be nothing
        return not open_ or (argument.joint and is_held(layer, found, key))
    held: object = layer.parameters.get(argument.parameter or "")
    if argument.setting is not None:
        held = getattr(layer, argument.setting)
    value = held.value if isinstance(held, Parameter) else held
    return value is not None and value is not UNKNOWN


def _help_of(argument: Argument, found: FrameworkClass) -> str:
    help = argument.help + (f", {argument.unit}" if argument.unit else "")
    if argument.choices:
        help += ": " + " or ".join(_shown(x) for x in argument.choices)
    if argument.default is rules.REQUIRED:
        return help + ('; "none" if there is none' if argument.optional else "")
    return f"{help}; {found.framework}'s default is {_shown(argument.default)}"


def _shown(value: object) -> str:
    return json.dumps("none" if value is None else value, default=str)


def _of_model(layer: Layer) -> Iterator[_Line]:
    """Ask by the model's own names where no class describes a layer."""
    unknown = [name for name in layer.unknown() if name != "shape"]
    if isinstance(layer, Neuron) and any(name.startswith("rule.") for name in unknown):
        yield 'class = "?"', f"instead of all below, and then its arguments: {_classes(layer)}"
        unknown = [n for n in _USUAL if n not in layer.parameters] + unknown
    for name in unknown:
        yield f'{_key(name)} = "?"', _help(layer, name)


def _key(name: str) -> str:
    return ".".join(_toml(part) for part in name.split(".", 1)) if "rule." in name else _toml(name)


def _classes(layer: Layer) -> str:
    """List the classes that a layer may be of, as far as its framework has any."""
    return _classes_of(layer.kind, layer.origin.framework if layer.origin else "")


@cache
def _classes_of(kind: str, framework: str) -> str:
    fits = [
        f"{name} ({', '.join(_arguments(found))})" if kind == "Neuron" else name
        for (own, name), found in rules.classes.items()
        if own == framework and "." not in name and kind in ("Opaque", found.layer.__name__)
    ]
    return "; ".join(fits) or "snntorch.Leaky, brainpy.Lif or another of the page on dynamics"


def _arguments(found: FrameworkClass) -> Iterator[str]:
    """Give the arguments of a class and those of the synapse that it holds."""
    yield from found.arguments
    if found.synapse is not None:
        yield from (key for key in found.synapse.arguments if key not in found.arguments)


def _help(layer: Layer, name: str) -> str:
    known = vocabulary(layer)
    if name in known:
        return known[name]
    if not name.startswith("rule.") or not isinstance(layer, Neuron | Synapse):
        return f"{name.replace('_', ' ')} of the {layer.kind}"
    switch = name.removeprefix("rule.")
    enumeration = switches(type(layer.rule))[switch]
    if enumeration is None:
        return _HELP[switch]
    return "one of " + ", ".join(json.dumps(x.value) for x in enumeration)


def _head(name: str, layer: Layer) -> str:
    origin = f"{layer.origin.framework} {layer.origin.kind}" if layer.origin else ""
    return _written((f"[layers.{_toml(name)}]", origin))


def _written(line: _Line) -> str:
    words, comment = line
    # A comment may quote the file, and what is not printable could end it.
    printable = "".join(c if c.isprintable() else "?" for c in comment)
    return "  ".join(x for x in (words, f"# {printable}" if printable else "") if x)


def _toml(name: str) -> str:
    """Write a key; letters of all scripts stay as they are."""
    if name and all(c.isascii() and (c.isalnum() or c in "_-") for c in name):
        return name
    return _quoted(name)


def _quoted(name: str) -> str:
    quoted = json.dumps(name, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in quoted)
