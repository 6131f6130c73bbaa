"""Running a model in onnxruntime, with what every layer does in view."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from snnbridge import CheckpointError, FormatUnavailable, Options, ReadError
from snnbridge.model import Array
from snnbridge.storage import Source
from snnbridge_plugins.onnx.models import Model, open_model
from snnbridge_plugins.onnx.protobuf import encode
from snnbridge_plugins.onnx.schema import Message


def run(
    path: FilePath, inputs: Mapping[str, Array], options: Options
) -> dict[tuple[str, str], Array]:
    """Execute a model that this package wrote.

    Parameters
    ----------
    path : Path
    inputs : mapping of str to numpy.ndarray
        Shape (steps, batch, *layer shape), by input layer.
    options : mapping
        None apply.

    Returns
    -------
    dict of (layer, variable) to numpy.ndarray
        Shape (steps, batch, *layer shape): ``"spikes"`` (integers), ``"v"``, ``"i"`` and, of the
        output layers, ``"output"``.

    Raises
    ------
    ReadError
        For a model of somebody else, or one that onnxruntime does not take.
    FormatUnavailable
        Without onnxruntime.
    CheckpointError
        For inputs that do not fit.

    Examples
    --------
    >>> run(Path("net.onnx"), {"input": spikes}, {})[("lif", "v")].shape  # doctest: +SKIP
    (50, 4, 10)
    """
    model = open_model(Source(path))
    described = model.described()
    session = _session(path, _showing(model, described))
    given = _given(session, described["stimuli"], inputs)
    if described["stepwise"]:
        found = _step_by_step(session, given, described)
    else:
        found = _all_at_once(session, given)
    return _by_layer(found, described)


def _showing(model: Model, described: Mapping[str, Any]) -> bytes:
    """Return the model with every trace among its outputs."""
    graph = model.message["graph"]
    types = {value["name"]: value for value in graph.get("value_info", [])}
    shown = {value["name"] for value in graph["output"]}
    outputs = list(graph["output"])
    for name in (name for held in described["traces"].values() for name in held.values()):
        if name in types and name not in shown:
            outputs.append(types[name])
            shown.add(name)
    changed: Message = {**model.message, "graph": {**graph, "output": outputs}}
    return encode("Model", {k: v for k, v in changed.items() if k != "metadata_props"})


def _session(path: FilePath, model: bytes) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise FormatUnavailable(
            "running a model needs the package 'onnxruntime'; install it with pip"
        ) from error
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    settings.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", str(path.resolve().parent)
    )
    try:
        return onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own classes derive from Exception alone
        raise ReadError(f"{path}: onnxruntime does not take the model: {error}") from error


def _given(
    session: Any, stimuli: Mapping[str, str], inputs: Mapping[str, Array]
) -> dict[str, Array]:
    if set(inputs) != set(stimuli):
        raise CheckpointError(
            f"the model takes input at {', '.join(map(repr, stimuli))}, but was handed "
            f"{', '.join(map(repr, inputs))}"
        )
    types = {held.name: held for held in session.get_inputs()}
    found = {}
    for layer, name in stimuli.items():
        held = types[name]
        dtype = np.float32 if held.type == "tensor(float)" else np.float64
        found[name] = np.ascontiguousarray(inputs[layer], dtype)
    return found


def _all_at_once(session: Any, given: Mapping[str, Array]) -> dict[str, Array]:
    names = [held.name for held in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(given)), strict=True))


def _step_by_step(
    session: Any, given: Mapping[str, Array], described: Mapping[str, Any]
) -> dict[str, Array]:
    names = [held.name for held in session.get_outputs()]
    states: dict[str, Array] = {}
    traces: dict[str, list[Array]] = {name: [] for name in names}
    for t in range(len(next(iter(given.values())))):
        now = {name: value[t] for name, value in given.items()}
        found = dict(zip(names, session.run(names, {**now, **states}), strict=True))
        states = {start: found[end] for start, end in described["states"]}
        for name in names:
            traces[name].append(found[name])
    return {name: np.stack(values) for name, values in traces.items()}


def _by_layer(
    found: Mapping[str, Array], described: Mapping[str, Any]
) -> dict[tuple[str, str], Array]:
    made = {(layer, "output"): found[name] for layer, name in described["results"].items()}
    for layer, variables in described["traces"].items():
        for variable, name in variables.items():
            if name in found:
                value = found[name]
                made[layer, variable] = value.astype(np.int32) if variable == "spikes" else value
    return made
