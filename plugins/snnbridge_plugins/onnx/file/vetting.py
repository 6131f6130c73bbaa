"""What a model may not be, found before anything is made of it.

Nothing is executed, inferred or allocated: only the messages that were read are looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from snnbridge import ReadError
from snnbridge.storage import Limits
from snnbridge_plugins.onnx.file.schema import EXTERNAL, Message
from snnbridge_plugins.onnx.file.tensors import NUMBERS, size_of

#: How many nodes a graph may come to when its functions are put in.
_NODES = 1_000_000
_RANK = Limits().rank


def vet(model: Message) -> None:
    """Refuse a model that no honest tool writes.

    Raises
    ------
    ReadError
        For tensors of one name, shapes below zero or without data, sparse tensors, data of another
        file inside of subgraphs, metadata that states a key twice, and functions that call each
        other in a circle or grow beyond a million nodes.
    """
    _vet_entries(model)
    graph = model["graph"]
    _vet_graph(graph)
    for graph in _subgraphs(_bodies(model)):
        _vet_graph(graph, outer=False)
    _vet_functions(model)


def _vet_entries(model: Message) -> None:
    seen = set()
    for entry in model.get("metadata_props", []):
        key = entry.get("key", "")
        if key in seen:
            raise ReadError(f"the model's metadata holds {key!r} twice; which is meant?")
        seen.add(key)


def _vet_graph(graph: Message, *, outer: bool = True) -> None:
    if graph.get("sparse_initializer"):
        raise ReadError("the graph holds sparse tensors, which are not read")
    seen = set()
    for tensor in graph.get("initializer", []):
        name = tensor.get("name", "")
        if name in seen:
            raise ReadError(f"two tensors are called {name!r}; which is meant?")
        seen.add(name)
        _vet_tensor(tensor, outer=outer)


def _vet_tensor(tensor: Message, *, outer: bool) -> None:
    name, dims = tensor.get("name", ""), tensor.get("dims", [])
    if any(n < 0 for n in dims):
        raise ReadError(f"tensor {name!r} has the shape {dims}; expected lengths of at least 0")
    if len(dims) > _RANK:
        raise ReadError(f"tensor {name!r} has {len(dims)} axes, more than the {_RANK} allowed")
    outside = tensor.get("data_location", 0) == EXTERNAL
    if outside and not outer:
        raise ReadError(f"tensor {name!r} of an inner graph lies in another file; it is refused")
    if outside or any(tensor.get(field) for field in NUMBERS):
        return
    if (size := len(tensor.get("raw_data", b""))) != size_of(tensor):
        raise ReadError(
            f"tensor {name!r} of shape {dims} needs {size_of(tensor)} bytes, but {size} are there"
        )


def _bodies(model: Message) -> Iterator[list[Message]]:
    yield model["graph"].get("node", [])
    for function in model.get("functions", []):
        yield function.get("node", [])


def _subgraphs(bodies: Iterable[list[Message]]) -> Iterator[Message]:
    pending = [node for nodes in bodies for node in nodes]
    while pending:
        for held in pending.pop().get("attribute", []):
            if "sparse_tensor" in held or "sparse_tensors" in held:
                raise ReadError("a node holds sparse tensors, which are not read")
            for tensor in (*([held["t"]] if "t" in held else []), *held.get("tensors", [])):
                _vet_tensor(tensor, outer=False)
            for graph in (*([held["g"]] if "g" in held else []), *held.get("graphs", [])):
                yield graph
                pending += graph.get("node", [])


def _vet_functions(model: Message) -> None:
    """Count the nodes of the graph with every function put in, without putting them in."""
    functions: dict[tuple[str, str, str], list[Message]] = {}
    for function in model.get("functions", []):
        name = function.get("name", "")
        key = (function.get("domain", ""), name, function.get("overload", ""))
        if key in functions:
            raise ReadError(f"two functions are called {name!r}")
        functions[key] = list(_all_nodes(function.get("node", [])))
    sizes: dict[tuple[str, str, str], int | None] = {}
    for nodes in (list(_all_nodes(model["graph"].get("node", []))), *functions.values()):
        _size(nodes, functions, sizes, 0)


def _all_nodes(nodes: list[Message]) -> Iterator[Message]:
    yield from nodes
    for graph in _subgraphs([nodes]):
        yield from graph.get("node", [])


def _size(
    nodes: list[Message],
    functions: dict[tuple[str, str, str], list[Message]],
    sizes: dict[tuple[str, str, str], int | None],
    depth: int,
) -> int:
    if depth > 100:
        raise ReadError("functions call each other more than 100 deep")
    total = 0
    for node in nodes:
        key = (node.get("domain", ""), node.get("op_type", ""), node.get("overload", ""))
        if key not in functions:
            total += 1
            continue
        if key not in sizes:
            sizes[key] = None
            sizes[key] = _size(functions[key], functions, sizes, depth + 1)
        size = sizes[key]
        if size is None:
            raise ReadError(f"the function {key[1]!r} calls itself")
        total += size
        if total > _NODES:
            raise ReadError(f"functions grow the graph beyond {_NODES} nodes; it is refused")
    return total
