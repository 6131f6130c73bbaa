"""Running a file in the engine that it is made for."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path

from snnbridge import registry as registries
from snnbridge.bridge.boundary import check_options, errors_of
from snnbridge.bridge.finding import find
from snnbridge.errors import FormatUnavailable, OptionError, ReadError
from snnbridge.formats import Options
from snnbridge.model import Array
from snnbridge.registry import Registry

Engine = Callable[[Mapping[str, Array]], Mapping[tuple[str, str], Array]]


def engine(
    path: str | Path,
    name: str | None = None,
    *,
    format: str | None = None,
    options: Options | None = None,
    registry: Registry | None = None,
) -> Engine:
    """Return a function that runs a file in an engine of its own, for :func:`snnbridge.verify`.

    Parameters
    ----------
    path : str or Path
    name : str, optional
        The engine, ``"onnxruntime"``; that of the file's format if it is not given.
    format, options, registry
        As for :func:`snnbridge.read`.

    Returns
    -------
    function
        From arrays (steps, batch, ...) by input layer to arrays (steps, batch, ...) by (layer,
        variable); the variables are ``"spikes"`` and ``"v"``.

    Raises
    ------
    OptionError
        If the format's files are not run by that engine.
    FormatUnavailable
        If the engine is not installed.

    Examples
    --------
    ::

        from snnbridge import engine, read, verify

        verify(read("trained.bp"), engine("model.onnx")).verdict
    """
    registry = registry or registries.default()
    path, chosen = find(path, format=format, registry=registry)
    run = chosen.run
    if run is None or name not in (None, chosen.engine):
        able = ", ".join(sorted({f.engine for f in registry if f.engine})) or "none"
        own = f"its engine is {chosen.engine}" if run else "no engine runs them"
        raise OptionError(
            f"{path}: files of format {chosen.name!r} are not run by {name or 'an engine'}: {own} "
            f"(engines of the formats that are installed: {able})"
        )
    registry.require(chosen)
    if importlib.util.find_spec(chosen.engine) is None:
        raise FormatUnavailable(
            f"{path}: the engine {chosen.engine} is not installed; run: python -m pip install "
            f"{chosen.engine}"
        )
    given = check_options(chosen, options or {}, "reading")

    def execute(inputs: Mapping[str, Array]) -> Mapping[tuple[str, str], Array]:
        with errors_of(chosen, path, ReadError, f"run by {chosen.engine}"):
            return run(path, inputs, given)

    return execute
