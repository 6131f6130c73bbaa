"""Between the bytes of an HDF5 file and a graph, for every layout that NIR had."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from snnbridge import ReadError
from snnbridge.storage import Source, Target, hdf5
from snnbridge_plugins.nir import seal
from snnbridge_plugins.nir.graph import Graph, Node, Value

#: Names that fields had in NIR 0.0.
_RENAMED = {"weights": "weight", "theta": "v_threshold"}
_METADATA = "metadata"


def read_file(source: Source) -> tuple[str | None, Node | Graph]:
    """Read a file: the version of NIR that it states, if any, and its root.

    Raises
    ------
    ReadError
        If it is no HDF5 file, no NIR file, or if an edge names no node.
    """
    root = hdf5.open_file(source.data, limits=source.limits)
    version = root.get("version")
    stated = version.text() if isinstance(version, hdf5.Dataset) else None
    node = root.get("node")
    if isinstance(node, hdf5.Group):
        return stated, _node(node)
    if is_data(root):
        raise ReadError(
            "it holds recorded data (nir.write_data), not a graph; name the file of nir.write"
        )
    if isinstance(root.get("nodes"), hdf5.Group) and "edges" in root:  # NIR 0.0.1
        return stated, _graph(root)
    raise ReadError("it holds no group 'node'; every NIR file has one")


def is_data(root: hdf5.Group) -> bool:
    """Whether a file holds what ``nir.write_data`` records of a graph."""
    return re.fullmatch("NIR[A-Za-z]*Data", str(root.attributes.get("__type__"))) is not None


def _node(group: hdf5.Group) -> Node | Graph:
    kind = group.get("type")
    if not isinstance(kind, hdf5.Dataset):
        raise ReadError(
            f"the node {group.path!r} states no type; NIR's package leaves such a file where it "
            "cannot write a graph to its end"
        )
    name = kind.text()
    if name == Graph.kind:
        return _graph(group)
    fields: dict[str, Value] = {}
    metadata: dict[str, Any] = {}
    for key, item in group.items():
        if key == "type":
            continue
        if key == _METADATA and isinstance(item, hdf5.Group):
            metadata = _tree(item)
        elif isinstance(item, hdf5.Group):
            raise ReadError(
                f"the node {group.path!r} ({name}) has a group {key!r} among its fields"
            )
        else:
            fields[_RENAMED.get(key, key)] = _value(item)
    return Node(name, fields, metadata)


def _graph(group: hdf5.Group) -> Graph:
    inside, edges = group.get("nodes"), group.get("edges")
    if not isinstance(inside, hdf5.Group) or not isinstance(edges, hdf5.Dataset):
        raise ReadError(f"the graph {group.path!r} must have a group 'nodes' and a list 'edges'")
    nodes = {}
    for name, item in inside.items():
        if not isinstance(item, hdf5.Group):
            raise ReadError(f"{item.path!r} must be a group: a node")
        nodes[name] = _node(item)
    metadata = group.get(_METADATA)
    about = _tree(metadata) if isinstance(metadata, hdf5.Group) else {}
    return Graph(nodes, _edges(edges, nodes), about)


def _edges(stored: hdf5.Dataset, nodes: Mapping[str, object]) -> list[tuple[str, str]]:
    pairs = stored.read()
    if pairs.size == 0:
        return []
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "OSiu":
        raise ReadError(f"{stored.path!r} must be pairs of names, found shape {pairs.shape}")
    found = [(_text(a), _text(b)) for a, b in pairs.tolist()]
    for edge in found:
        for name in edge:
            # "graph.port" stands for the port of a graph inside the graph.
            if name not in nodes and name.partition(".")[0] not in nodes:
                raise ReadError(
                    f"the edge {edge[0]!r} to {edge[1]!r} names {name!r}, which is no node"
                )
    if len(set(found)) != len(found):
        twice = next(edge for edge in found if found.count(edge) > 1)
        raise ReadError(f"the edge {twice[0]!r} to {twice[1]!r} stands twice")
    return found


def _text(name: object) -> str:
    if isinstance(name, bytes):
        try:
            return name.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ReadError(f"the name {name!r} is no UTF-8 text") from error
    return str(name)


def _tree(group: hdf5.Group) -> dict[str, Any]:
    return {
        name: _tree(item) if isinstance(item, hdf5.Group) else _value(item)
        for name, item in group.items()
    }


def _value(item: hdf5.Dataset) -> Value:
    if item.shape == () and item.dtype.kind in "OS":
        return item.text()
    return item.read()


def write_file(target: Target, version: str | None, root: Node | Graph, *, sealed: bool) -> None:
    """Write a file that every NIR from 0.2 on reads, with or without a digest behind it."""
    stated = {} if version is None else {"version": hdf5.NewDataset(version)}
    top = hdf5.NewGroup({**stated, "node": _stored(root)})
    with target.open() as file:
        hdf5.write_file(file, top)
        if sealed:
            seal.add(file)


def _stored(node: Node | Graph) -> hdf5.NewGroup:
    children: dict[str, Any] = {"type": hdf5.NewDataset(node.kind)}
    if isinstance(node, Graph):
        edges = np.empty((len(node.edges), 2), object)
        edges[:] = node.edges or edges
        children["edges"] = hdf5.NewDataset(edges)
        children["nodes"] = hdf5.NewGroup({k: _stored(v) for k, v in node.nodes.items()})
    else:
        children |= {k: hdf5.NewDataset(v) for k, v in node.fields.items()}
    if node.metadata:
        children[_METADATA] = _stored_tree(node.metadata)
    return hdf5.NewGroup(children)


def _stored_tree(tree: Mapping[str, Any]) -> hdf5.NewGroup:
    return hdf5.NewGroup(
        {
            k: _stored_tree(v) if isinstance(v, Mapping) else hdf5.NewDataset(v)
            for k, v in tree.items()
        }
    )
