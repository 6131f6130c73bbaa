"""Writing: the graph, its tensors straight from the arrays, then the checkpoint's document."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from snnbridge import (
    CheckpointError,
    Entry,
    Options,
    SNNCheckpoint,
    Status,
    WriteError,
    __version__,
)
from snnbridge.document import inline, to_document
from snnbridge.model import (
    UNKNOWN,
    Array,
    Conv1d,
    Conv2d,
    Layer,
    Linear,
    Neuron,
    Opaque,
    Path,
    Subgraph,
)
from snnbridge.simulator.lower import width_of
from snnbridge.simulator.network import Network
from snnbridge.simulator.simulator import prepared
from snnbridge.simulator.unknowns import missing_values, refuse_unknown
from snnbridge.storage import BLANK, StagedFile, Target, dump_json
from snnbridge_plugins.onnx.digest import DIGEST_KEY, write_digested
from snnbridge_plugins.onnx.external import DataFile, data_file
from snnbridge_plugins.onnx.graph import Graph, Style
from snnbridge_plugins.onnx.network import fill
from snnbridge_plugins.onnx.protobuf import encode, prefix
from snnbridge_plugins.onnx.schema import DOMAIN, EXTERNAL, IR_OF_OPSET, KEY, Message
from snnbridge_plugins.onnx.tensors import Stored, stored

_OPSET = "21"
#: What a message of protocol buffers may hold, with room for the document.
_MOST = (1 << 31) - (64 << 20)
_SMALL = 512


def style_of(checkpoint_width: str, options: Options) -> Style:
    """Return how the options ask for the graph to be written."""
    sums = "float64" if options.get("sums", "float64") == "float64" else checkpoint_width
    opset = int(options.get("opset", _OPSET))
    return Style(checkpoint_width, sums, opset, options.get("step") == "yes")


def losses(checkpoint: SNNCheckpoint) -> Iterator[tuple[Path, str]]:
    """Name the layers that standard operators do not compute."""
    for layer in checkpoint.layers.values():
        if isinstance(layer, Neuron) and layer.model != "lif":
            reason = f"a neuron of the kind {layer.model!r} is not written in standard operators"
            yield ("layers", layer.name), reason


def _is_opaque(layers: Iterable[Layer]) -> bool:
    """Whether a layer is of an unknown kind, which is a loss, and not a value to be stated."""
    return any(
        isinstance(x, Opaque) or (isinstance(x, Subgraph) and _is_opaque(x.layers.values()))
        for x in layers
    )


def risks(checkpoint: SNNCheckpoint, options: Options) -> list[Entry]:
    """Name what a run computes otherwise than the simulator, by the user's choice.

    Raises
    ------
    UnknownValue
        Listing what the checkpoint does not state and its rules need.
    """
    if checkpoint.layers and not _is_opaque(checkpoint.layers.values()):
        refuse_unknown(missing_values(checkpoint))
    if options.get("sums", "float64") == "float64":
        return []
    reason = (
        "sums in float32 depend on their order, which each engine chooses: a spike may differ "
        "where a potential comes close to the threshold"
    )
    return [
        Entry(Status.ROUNDED, ("layers", layer.name), f"sums of {layer.name!r}", reason)
        for layer in checkpoint.layers.values()
        if isinstance(layer, Linear | Conv1d | Conv2d)
    ]


def write(checkpoint: SNNCheckpoint, target: Target, options: Options) -> None:
    """Write a checkpoint as a model that runs.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
        Of which everything that a step needs is known.
    target : Target
    options : mapping
        ``sums``, ``step``, ``opset``, ``state`` and ``external``.

    Raises
    ------
    UnknownValue
        Listing what the checkpoint does not state and its rules need.
    WriteError
        For a layer that standard operators cannot compute.
    """
    network = prepared(checkpoint) if checkpoint.layers else Network({}, {}, {})
    style = style_of(width_of(network).name, options)
    kept = options.get("state") == "kept"
    first = checkpoint.step if kept and isinstance(checkpoint.step, int) else 0
    graph = Graph(network, style, _initial(checkpoint) if kept else {}, first)
    fill(graph)
    tensors = _Tensors(graph)
    document = to_document(checkpoint, tensors.place)
    where = _where(tensors, target.path, options)
    _Model(graph, tensors, where).write(document, target)


def _initial(checkpoint: SNNCheckpoint) -> dict[tuple[str, str], Array]:
    """Return the checkpoint's state, the batch first; a past, the steps first."""
    found = {}
    for (layer, variable), held in checkpoint.state.items():
        if held.batch_axis is UNKNOWN:
            raise CheckpointError(
                f"the state ({layer}, {variable}) does not say where its batch is"
            )
        value = np.asarray(held.value)
        value = value[None] if held.batch_axis is None else np.moveaxis(value, held.batch_axis, 0)
        past = variable in ("past", "past input")
        found[layer, variable] = np.swapaxes(value, 0, 1) if past else value
    return found


class _Tensors:
    """The arrays of a model: those that its graph uses, and those that only the document names."""

    def __init__(self, graph: Graph) -> None:
        used = {**graph.defaults, **graph.initializers}
        self.held = {name: stored(name, array) for name, array in used.items()}
        self._names = graph.scope.names
        self._known = {id(array): name for name, array in graph.initializers.items()}
        self._alive = list(graph.initializers.values())
        self.references: dict[str, dict[str, Any]] = {}

    @property
    def all(self) -> list[Stored]:
        """Every tensor, those of the graph first."""
        return list(self.held.values())

    def place(self, path: Path, array: Array) -> dict[str, Any]:
        """Return a reference to an array: to its tensor, or the array itself if it is small."""
        name = self._known.get(id(array))
        if name is None and array.nbytes <= _SMALL:
            return inline(array)
        if name is None:
            name = self._names.unique(".".join(path[1:]) or path[0])
            self.held[name] = stored(name, array)
            self._known[id(array)] = name
            self._alive.append(array)
        if name not in self.references:
            more = self.held[name].reference
            self.references[name] = {"initializer": name, **more, "path": list(path)}
        return self.references[name]


def _where(tensors: _Tensors, path: FilePath, options: Options) -> DataFile | None:
    """Choose where the bytes of large arrays go: None for the model itself."""
    choice = options.get("external", "auto")
    if choice == "auto":
        choice = "yes" if sum(x.nbytes for x in tensors.all) > _MOST else "no"
    return None if choice == "no" else data_file(choice, path.name, tensors.all)


@dataclass
class _Model:
    """A model that is being written.

    Attributes
    ----------
    graph : Graph
    tensors : _Tensors
    data : DataFile or None
    digests : dict of str to str
        By tensor.
    """

    graph: Graph
    tensors: _Tensors
    data: DataFile | None
    digests: dict[str, str] = field(default_factory=dict)

    def write(self, document: Mapping[str, Any], target: Target) -> None:
        """Write the data file, if there is one, and the model."""
        if self.data is not None:
            with target.open(name=self.data.name) as file:
                self.data.write(file, self._digest)
        with target.open() as file:
            self._write_model(file, document)

    def _write_model(self, file: StagedFile, document: Mapping[str, Any]) -> None:
        opset = self.graph.style.opset
        head = {
            "ir_version": IR_OF_OPSET[opset],
            "producer_name": "snnbridge",
            "producer_version": __version__,
        }
        file.write(encode("Model", head))
        self._write_graph(file)
        functions = self.graph.library.functions
        imports = [{"domain": "", "version": opset}]
        imports += [{"domain": DOMAIN, "version": 1}] if functions else []
        tail = {
            "opset_import": imports,
            "metadata_props": [
                {"key": KEY, "value": self._text(document)},
                {"key": DIGEST_KEY, "value": BLANK},
            ],
            "functions": functions,
        }
        write_digested(file, encode("Model", tail))

    def _write_graph(self, file: StagedFile) -> None:
        graph = encode("Graph", self._graph_message())
        heads = [self._head(held) for held in self.tensors.all]
        sizes = [
            len(head) + (0 if self._is_outside(held) else held.nbytes)
            for head, held in zip(heads, self.tensors.all, strict=True)
        ]
        total = len(graph) + sum(len(prefix("Graph", "initializer", n)) + n for n in sizes)
        if total > (1 << 31) - 1:
            raise WriteError(
                f"the model takes {total} bytes, more than ONNX allows in one file; write it with "
                "the option external=yes"
            )
        file.write(prefix("Model", "graph", total))
        file.write(graph)
        for held, head, size in zip(self.tensors.all, heads, sizes, strict=True):
            file.write(prefix("Graph", "initializer", size))
            file.write(head)
            if not self._is_outside(held):
                self._write_data(file, held)

    def _is_outside(self, held: Stored) -> bool:
        return self.data is not None and held.name in self.data.places

    def _head(self, held: Stored) -> bytes:
        """Return a tensor's message, without its data if that follows."""
        message = dict(held.head)
        if held.name in self.tensors.references:
            message["doc_string"] = "/".join(self.tensors.references[held.name]["path"])
        if self.data is not None and held.name in self.data.places:
            offset, size = self.data.places[held.name]
            found = {"location": self.data.name, "offset": str(offset), "length": str(size)}
            message["external_data"] = [{"key": k, "value": v} for k, v in found.items()]
            message["data_location"] = EXTERNAL
            return encode("Tensor", message)
        return encode("Tensor", message) + prefix("Tensor", "raw_data", held.nbytes)

    def _write_data(self, file: StagedFile, held: Stored) -> None:
        for piece in self._digest(held):
            file.write(piece)

    def _digest(self, held: Stored) -> Iterable[bytes | memoryview]:
        """Give an array's bytes, and note their digest."""
        sha256 = hashlib.sha256()
        for piece in held.pieces():
            if held.name in self.tensors.references:
                sha256.update(piece)
            yield piece
        if held.name in self.tensors.references:
            self.tensors.references[held.name]["sha256"] = sha256.hexdigest()

    def _graph_message(self) -> Message:
        graph = self.graph
        return {
            "node": graph.scope.nodes,
            "name": "network",
            "doc_string": "one step" if graph.style.stepwise else "all steps at once",
            "input": graph.inputs,
            "output": graph.outputs,
            "value_info": graph.values,
        }

    def _text(self, document: Mapping[str, Any]) -> str:
        """Return the checkpoint's document; its references hold their digests by now."""
        graph = self.graph
        described = {
            "stimuli": graph.stimuli,
            "results": graph.results,
            "traces": graph.traces,
            "states": [list(pair) for pair in graph.states],
            "stepwise": graph.style.stepwise,
            "sums": graph.style.sums,
        }
        held = {"document": document, "graph": described}
        digest = hashlib.sha256(dump_json(held)).hexdigest()
        return dump_json({**held, "sha256": digest}).decode()
