"""A state dict as layers: modules told by their keys, everything else by its arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from snnbridge import (
    UNKNOWN,
    Layer,
    Linear,
    Origin,
    Parameter,
    Scale,
    StateVariable,
    Synapse,
    rules,
)
from snnbridge.document import AS_IT_IS, TRANSPOSED, WITH_TAIL, ArrayForm
from snnbridge.model import Array
from snnbridge_plugins.module_keys import (
    RESET_KEY,
    ModuleKeys,
    class_in_name,
    key_of,
    module_of,
    reset_word,
)
from snnbridge_plugins.torch import orientation
from snnbridge_plugins.torch.found import Found
from snnbridge_plugins.torch.stateless import add_plain

#: Rockpool saves the state of one sample, sinabs that of a batch.
_BATCH_AXES = {"rockpool": None, "sinabs": 0}


def layers_of(entries: Mapping[str, Array]) -> Found:
    """Tell the layers of a state dict by its keys and shapes.

    Parameters
    ----------
    entries : mapping of str to array
        In the order of the state dict.

    Raises
    ------
    CheckpointError
        If the arrays do not fit each other.
    """
    modules: dict[str, dict[str, Array]] = {}
    for key, array in entries.items():
        name, _, own = key.rpartition(".")
        modules.setdefault(name, {})[own] = array
    children = _children(modules)
    rows = {
        name: row
        for name, arrays in modules.items()
        if (row := module_of(name, frozenset(arrays), frozenset(children.get(name, ()))))
        and _fits(row, arrays)
    }
    turned = orientation.turned(modules, {row.framework for row in rows.values()})
    found = Found(notes=list(orientation.notes(turned, modules)))
    for name, arrays in modules.items():
        if name in rows:
            _add_dynamic(found, rows[name], name, arrays)
        else:
            add_plain(found, name, arrays, set(modules), turned.get(name, False))
    return found


def _children(names: Iterable[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name in names:
        parent, _, own = name.rpartition(".")
        found.setdefault(parent, set()).add(own)
    return found


def _fits(row: ModuleKeys, arrays: Mapping[str, Array]) -> bool:
    """Whether the arrays are what the class keeps; ``w`` alone is a name that others use too."""
    return row.kind != "ParametricLIFNode" or (len(arrays) == 1 and arrays["w"].ndim == 0)


def _add_dynamic(found: Found, row: ModuleKeys, name: str, arrays: Mapping[str, Array]) -> None:
    known = rules.get(row.framework, row.kind)
    arguments = _arguments(row, arrays)
    synapse = _synapse(row, known.synapse, name, arguments)
    layers = [x for x in (synapse, _dynamic(known, name, arguments)) if x is not None]
    for layer in layers:
        found.layers[layer.name] = _with_unknown(layer, row)
    _place_parameters(found, row, name, arrays)
    _place_states(found, row, name, arrays)
    _add_inner(found, name, arrays)
    for own, array in arrays.items():
        if key_of(name, own) not in found.places:
            found.others[key_of(name, own)] = array
    _note(found, row, name, arrays)


def _arguments(row: ModuleKeys, arrays: Mapping[str, Array]) -> dict[str, Any]:
    """Return what the keys state, by the framework's own arguments."""
    found: dict[str, Any] = {
        key: _form(row, key, arrays[key]).held(arrays[key])
        for key in row.parameters
        if key in arrays
    }
    if row.framework == "rockpool" and row.kind != "ExpSynTorch":
        modes = {"taus": "tau_mem", "decays": "alpha", "bitshifts": "dash_mem"}
        found["leak_mode"] = next((mode for mode, key in modes.items() if key in arrays), None)
    how = _reset(arrays)
    return found | ({"reset_mechanism": how} if how else {})


def _form(row: ModuleKeys, key: str, array: Array) -> ArrayForm:
    """Return the form of a parameter: Rockpool keeps an axis for several synapses per neuron."""
    one = row.parameters[key].startswith("synapse.") and array.ndim == 2 and array.shape[1] == 1
    return WITH_TAIL if row.framework == "rockpool" and one else AS_IT_IS


def _shown(value: Array) -> str:
    return repr(value.item()) if value.size == 1 else f"an array of shape {value.shape}"


def _reset(arrays: Mapping[str, Array]) -> str:
    value = arrays.get(RESET_KEY)
    return "" if value is None else reset_word(value)


def _synapse(
    row: ModuleKeys, known: Any, name: str, arguments: Mapping[str, Any]
) -> Synapse | None:
    """Return the synapse inside, where the keys say that there is one."""
    keys = [key for key, place in row.parameters.items() if place.startswith("synapse.")]
    if known is None or (keys and not any(key in arguments for key in keys)):
        return None
    made: Any = _dynamic(known, f"{name}.synapse", arguments)
    several = [x.value.shape[-1] for x in made.parameters.values() if x.value.ndim == 2]
    return replace(made, receptors=several[0]) if several else made  # type: ignore[no-any-return]


def _dynamic(known: Any, name: str, arguments: Mapping[str, Any]) -> Layer:
    layer: Layer = known.layer(name, origin=Origin(known.framework, known.kind))
    own = {key: value for key, value in arguments.items() if key in known.arguments}
    stated: Layer = known.state(layer, own)
    return stated


def _with_unknown(layer: Layer, row: ModuleKeys) -> Layer:
    """Return a layer with UNKNOWN for each parameter that its class has and no key ever holds."""
    known: Any = rules.of(layer)
    absent = {
        argument.parameter: Parameter(UNKNOWN, argument.unit)
        for key, argument in known.arguments.items()
        if argument.parameter and key not in row.parameters and not argument.takes_none
    }
    return replace(layer, parameters={**absent, **layer.parameters}) if absent else layer  # type: ignore[call-arg]


def _place_parameters(
    found: Found, row: ModuleKeys, name: str, arrays: Mapping[str, Array]
) -> None:
    for own, place in row.parameters.items():
        path = _layer_path(name, place)
        layer = found.layers.get(path[0])
        if own in arrays and layer is not None and path[1] in layer.parameters:
            form = _form(row, own, arrays[own])
            found.places[key_of(name, own)] = (("layers", *path), form)


def _layer_path(name: str, place: str) -> tuple[str, str]:
    inner, _, own = place.rpartition(".")
    return (f"{name}.{inner}" if inner else name), own


def _place_states(found: Found, row: ModuleKeys, name: str, arrays: Mapping[str, Array]) -> None:
    for own, place in row.states.items():
        array, path = arrays.get(own), _layer_path(name, place)
        if array is None or array.size == 0 or path[0] not in found.layers:
            continue  # empty before the first run
        batch = _BATCH_AXES.get(row.framework, UNKNOWN)
        layer: Any = found.layers[path[0]]
        form = state_form(layer) if array.ndim == 2 else AS_IT_IS
        found.state[path] = StateVariable(form.held(array), batch_axis=batch)
        found.places[key_of(name, own)] = (("state", *path), form)


def state_form(layer: Any) -> ArrayForm:
    """Return the form of a state: Rockpool's synapses have an axis for several per neuron."""
    single = isinstance(layer, Synapse) and layer.receptors == 1
    known = layer.origin is not None and layer.origin.framework == "rockpool"
    return WITH_TAIL if single and known else AS_IT_IS


def _add_inner(found: Found, name: str, arrays: Mapping[str, Array]) -> None:
    """Add the weights that a recurrent class holds itself."""
    if "input_weights" in arrays:
        found.add(
            Linear(f"{name}.input", arrays["input_weights"]),
            {key_of(name, "input_weights"): "weight"},
        )
        found.add(
            Linear(f"{name}.recurrent", arrays["recurrent_weights"]),
            {key_of(name, "recurrent_weights"): "weight"},
        )
    if "w_rec" in arrays:
        found.add(
            Linear(f"{name}.recurrent", arrays["w_rec"].T),
            {key_of(name, "w_rec"): "weight"},
            TRANSPOSED,
        )
    if "V" in arrays:
        found.add(Scale(f"{name}.V", arrays["V"]), {key_of(name, "V"): "factor"})


def _note(found: Found, row: ModuleKeys, name: str, arrays: Mapping[str, Array]) -> None:
    if row.kind in ("Synaptic", "RSynaptic"):
        found.notes.append(
            f"{name}: snn.{row.kind} and snn.Alpha keep the same keys; read as {row.kind}"
        )
    if row.kind == "LIFTorch" and "tau_mem" in arrays and not class_in_name(name):
        found.notes.append(
            f"{name}: Rockpool's LIFTorch and LIFBitshiftTorch keep the same keys; read as LIFTorch"
        )
    if RESET_KEY in arrays and not _reset(arrays):
        found.notes.append(
            f"{name}: the file's {RESET_KEY} is {_shown(arrays[RESET_KEY])}, none of snnTorch's "
            "0 to 2, so that its reset is not known"
        )
    elif RESET_KEY in arrays:
        found.notes.append(
            f"{name}: the file says reset_mechanism={_reset(arrays)!r}; a net that was built with "
            "another one and then loaded this value goes on with its own"
        )
