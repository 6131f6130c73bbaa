"""The ``onnx`` format: models that hold a checkpoint and run it in stock onnxruntime.

``docs/formats/onnx.md`` has the layout. The folders, from the bottom up: ``file`` (messages,
tensors, what may not be, the data beside a model), ``recipes`` (how each kind of layer computes, in
standard operators), ``graph`` (functions, loops, states, signals), ``foreign`` (graphs of other
tools). Above them ``planning``, ``placing``, ``writing``, ``renamed``, ``reading``, ``handing``
and ``running``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

from snnbridge import EVERYTHING, Feature, Format, Option, Probe, hookimpl
from snnbridge_plugins.checking import ALWAYS, check_option

if TYPE_CHECKING:
    from snnbridge import Entry, Options, SNNCheckpoint
    from snnbridge.model import Array
    from snnbridge.storage import Source, Target


def _sniff(probe: Probe) -> bool:
    from snnbridge_plugins.onnx.file.models import looks_like_a_model

    return looks_like_a_model(probe.head, probe.size)


def _read(source: Source, options: Options) -> SNNCheckpoint:
    from snnbridge_plugins.onnx.reading import read

    return read(source, options)


def _write(checkpoint: SNNCheckpoint, target: Target, options: Options) -> None:
    from snnbridge_plugins.onnx.writing import write

    write(checkpoint, target, options)


def _prepare(checkpoint: SNNCheckpoint, options: Options) -> tuple[SNNCheckpoint, Iterable[Entry]]:
    from snnbridge_plugins.onnx.planning import checked

    return checkpoint, checked(checkpoint, options)


def _run(
    path: FilePath, inputs: Mapping[str, Array], options: Options
) -> Mapping[tuple[str, str], Array]:
    from snnbridge_plugins.onnx.running import run

    return run(path, inputs, options)


FORMAT = Format(
    name="onnx",
    summary="ONNX that runs in onnxruntime with the simulator's spikes; other graphs' weights",
    suffixes=(".onnx",),
    sniff=_sniff,
    read=_read,
    write=_write,
    prepare=_prepare,
    run=_run,
    engine="onnxruntime",
    holds=EVERYTHING - {Feature.OPAQUE, Feature.PLUGIN_NEURON},
    options=(
        Option(
            "sums", "The precision of weighted sums.", ("float64", "float32"), direction="writing"
        ),
        Option(
            "stepwise",
            "Make a model that computes one step in each run, not all.",
            ("no", "yes"),
            direction="writing",
        ),
        Option(
            "outputs",
            "What a run returns: the last layers' outputs, or spikes and potentials of all.",
            ("last", "all"),
            direction="writing",
        ),
        Option(
            "opset",
            "The version of the operators; 17 runs in onnxruntime 1.15 and newer.",
            ("21", "17"),
            direction="writing",
        ),
        Option(
            "state",
            "Where a run starts: at rest, or from the state in the checkpoint.",
            ("rest", "kept"),
            direction="writing",
        ),
        Option(
            "external",
            "Whether to write large arrays into a file beside the model; auto: if they do not fit.",
            ("auto", "no", "yes", "safetensors"),
            direction="writing",
        ),
        check_option(ALWAYS),
    ),
)


@hookimpl
def snnbridge_formats() -> Iterable[Format]:
    """Return the format."""
    return [FORMAT]
