"""Running a model in onnxruntime, with what every layer does in view."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from snnbridge import CheckpointError, FormatUnavailable, Options, ReadError
from snnbridge.document import from_inline
from snnbridge.model import Array
from snnbridge.storage import Source
from snnbridge_plugins.checking import ALWAYS, is_to_check
from snnbridge_plugins.onnx.file.opening import open_whole
from snnbridge_plugins.onnx.handing import HandedOver, handed_over


def run(
    path: FilePath, inputs: Mapping[str, Array], options: Options
) -> dict[tuple[str, str], Array]:
    """Execute a model that this package wrote.

    Parameters
    ----------
    path : Path
    inputs : mapping of str to numpy.ndarray
        Shape (steps, batch, *layer shape), by input layer. The run starts at rest, whatever the
        model starts from by default.
    options : mapping
        ``check``: ``"no"`` leaves the digests of arrays in other files alone.

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
    with Source(path) as source:
        opened = open_whole(source, check=is_to_check(options, source.size, ALWAYS))
        if opened.held is None:
            raise ReadError(
                f"{str(path)!r} does not say which values belong to which layers; only models "
                "that snnbridge wrote can be run"
            )
        described = opened.held["graph"]
        model = handed_over(opened, described)  # the session computes with its arrays in place
        session = _session(path, model)
        given = _given(session, described["stimuli"], inputs)
        rest = _at_rest(session, described)
        if described["stepwise"]:
            found = _step_by_step(session, given, rest, described)
        else:
            found = _all_at_once(session, {**given, **rest})
    return _by_layer(found, described)


def _session(path: FilePath, model: HandedOver) -> Any:
    """Open a session that opens no file: arrays of other files are handed over with the model."""
    try:
        import onnxruntime
    except ImportError as error:
        raise FormatUnavailable(
            "running a model needs the package 'onnxruntime'; install it with pip"
        ) from error
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    try:
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(x) for x in model.outside.values()]
        settings.add_external_initializers(list(model.outside), values)
        return onnxruntime.InferenceSession(
            model.encoded, settings, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # its own classes derive from Exception alone
        raise ReadError(f"{path}: onnxruntime does not take the model: {error}") from error


def _given(
    session: Any, stimuli: Mapping[str, str], inputs: Mapping[str, Array]
) -> dict[str, Array]:
    if set(inputs) != set(stimuli):
        raise CheckpointError(
            f"the model takes input at {', '.join(map(repr, stimuli))}, but was handed "
            f"{', '.join(map(repr, inputs)) or 'nothing'}"
        )
    types = {held.name: held for held in session.get_inputs()}
    found = {}
    for layer, name in stimuli.items():
        if 0 in np.shape(inputs[layer])[:2]:
            raise CheckpointError(
                f"the input of {layer!r} has shape {np.shape(inputs[layer])}; a run takes at least "
                "1 step and 1 sample"
            )
        held = types[name]
        dtype = np.float32 if held.type == "tensor(float)" else np.float64
        found[name] = np.ascontiguousarray(inputs[layer], dtype)
    return found


def _at_rest(session: Any, described: Mapping[str, Any]) -> dict[str, Array]:
    """Return states at rest for those whose default is another one.

    A simulation starts at rest, so that a run to be compared with it does so as well.
    """
    shapes: dict[str, Any] = {x.name: x.shape for x in session.get_overridable_initializers()}
    found: dict[str, Array] = {}
    for name, held in described.get("rest", {}).items():
        value = from_inline(held)
        given: Any = shapes.get(name, value.shape)
        whole = tuple(n if isinstance(n, int) else 1 for n in given)  # but for the batch
        whole = np.broadcast_shapes(value.shape, whole)
        found[name] = np.ascontiguousarray(np.broadcast_to(value, whole))
    return found


def _all_at_once(session: Any, given: Mapping[str, Array]) -> dict[str, Array]:
    names = [held.name for held in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(given)), strict=True))


def _step_by_step(
    session: Any,
    given: Mapping[str, Array],
    states: dict[str, Array],
    described: Mapping[str, Any],
) -> dict[str, Array]:
    names = [held.name for held in session.get_outputs()]
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
