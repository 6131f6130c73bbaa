"""Writing: the graph, its tensors straight from the arrays, then the checkpoint's document."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from snnbridge import (
    Options,
    SNNCheckpoint,
    WriteError,
    __version__,
)
from snnbridge.document import inline, to_document
from snnbridge.simulator.engines import Network, prepared, width_of
from snnbridge.storage import BLANK, StagedFile, Target, dump_json
from snnbridge_plugins.onnx.file.digest import DIGEST_KEY, write_digested
from snnbridge_plugins.onnx.file.external import DataFile, data_file
from snnbridge_plugins.onnx.file.protobuf import encode, prefix
from snnbridge_plugins.onnx.file.schema import (
    DOMAIN,
    EXTERNAL,
    FIRST_WITH_ENTRIES,
    IR_OF_OPSET,
    KEY,
    Message,
)
from snnbridge_plugins.onnx.file.tensors import Stored
from snnbridge_plugins.onnx.graph.construction import Graph, Style
from snnbridge_plugins.onnx.graph.network import fill
from snnbridge_plugins.onnx.graph.states import Kept
from snnbridge_plugins.onnx.graph.telling import entries, ties
from snnbridge_plugins.onnx.placing import Placing

_OPSET = "21"
#: What a message of protocol buffers may hold, with room for the document.
_MOST = (1 << 31) - (64 << 20)


def style_of(checkpoint_width: str, options: Options) -> Style:
    """Return how the options ask for the graph to be written."""
    sums = "float64" if options.get("sums", "float64") == "float64" else checkpoint_width
    opset = int(options.get("opset", _OPSET))
    stepwise, shows_all = options.get("stepwise") == "yes", options.get("outputs") == "all"
    return Style(checkpoint_width, sums, opset, stepwise, shows_all)


def write(checkpoint: SNNCheckpoint, target: Target, options: Options) -> None:
    """Write a checkpoint as a model that runs.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
        Of which everything that a step needs is known.
    target : Target
    options : mapping
        ``sums``, ``stepwise``, ``outputs``, ``opset``, ``state`` and ``external``.

    Raises
    ------
    UnknownValue
        Listing what the checkpoint does not state and its rules need.
    WriteError
        For a layer that standard operators cannot compute.
    """
    network = prepared(checkpoint) if checkpoint.layers else Network({}, {}, {})
    style = style_of(width_of(network).name, options)
    kept = Kept.of(checkpoint) if options.get("state") == "kept" else Kept()
    graph = Graph(network, style, kept, ties(checkpoint))
    fill(graph)
    tensors = Placing(graph)
    document = to_document(checkpoint, tensors.place)
    where = _where(tensors, target.path, options)
    _Model(checkpoint, graph, tensors, where).write(document, target)


def _where(tensors: Placing, path: FilePath, options: Options) -> DataFile | None:
    """Choose where the bytes of large arrays go: None for the model itself."""
    choice = options.get("external", "auto")
    if choice == "auto":
        choice = "yes" if sum(x.nbytes for x in tensors.all) > _MOST else "no"
    found = None if choice == "no" else data_file(choice, path.name, tensors.all)
    return found if found is not None and found.held else None


@dataclass
class _Model:
    """A model that is being written.

    Attributes
    ----------
    checkpoint : SNNCheckpoint
    graph : Graph
    tensors : Placing
    data : DataFile or None
    derived : dict of str to str
        The digests of tensors in the data file that the document does not name.
    """

    checkpoint: SNNCheckpoint
    graph: Graph
    tensors: Placing
    data: DataFile | None
    derived: dict[str, str] = field(default_factory=dict)

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
            path = self.tensors.references[held.name]["path"]
            message["doc_string"] = "/".join(path)
            if self.graph.style.opset >= FIRST_WITH_ENTRIES:
                message["metadata_props"] = entries(self.checkpoint, tuple(path))
        elif held.name in self.graph.notes:
            message["doc_string"] = self.graph.notes[held.name]
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
            sha256.update(piece)
            yield piece
        if held.name in self.tensors.references:
            self.tensors.references[held.name]["sha256"] = sha256.hexdigest()
        elif self._is_outside(held):
            self.derived[held.name] = sha256.hexdigest()

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
        rest = {name: inline(np.ascontiguousarray(value)) for name, value in graph.rest.items()}
        described = {
            "stimuli": graph.stimuli,
            "results": graph.results,
            "traces": graph.traces,
            "states": [list(pair) for pair in graph.states],
            "stepwise": graph.style.stepwise,
            "sums": graph.style.sums,
            **({"rest": rest} if rest else {}),
            **({"digests": self.derived} if self.derived else {}),
        }
        held = {"document": document, "graph": described}
        digest = hashlib.sha256(dump_json(held)).hexdigest()
        return dump_json({**held, "sha256": digest}).decode()
