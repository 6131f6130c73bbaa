"""A checkpoint as a tree of groups and datasets: what goes where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from snnbridge import WriteError
from snnbridge.document import dtype_name, to_document
from snnbridge.model import Array, Layer, Parameter, Path, SNNCheckpoint, Subgraph
from snnbridge.storage import dump_json
from snnbridge.storage.hdf5 import AttributeValue, NewDataset
from snnbridge_plugins.hdf5.datatypes import LONGEST_TEXT, encoding_of
from snnbridge_plugins.hdf5.schema import (
    ATTRIBUTE,
    CHECKPOINT,
    DEPTH,
    FEW,
    LAYOUT,
    MANY,
    RANK,
    SECTIONS,
    SMALL,
    TYPE,
)
from snnbridge_plugins.hdf5.tree import Group, cut


class _Held(NamedTuple):
    """An array of the document, and the reference to it, to be filled in.

    The reference is a list of up to four: the dataset, the first element and the shape of an
    array that is a part of it, the dtype as which it is seen.
    """

    path: Path
    array: Array
    reference: list[Any]


def elements(checkpoint: SNNCheckpoint) -> Group:
    """Lay a checkpoint out as a tree.

    Few arrays become a dataset each, at the path that they have in the checkpoint; of many, the
    small ones share a dataset for each dtype.

    Parameters
    ----------
    checkpoint : SNNCheckpoint

    Returns
    -------
    Group
        The root.

    Raises
    ------
    WriteError
        For an array of objects or records.
    """
    arrays: list[_Held] = []

    def place(path: Path, array: Array) -> list[Any]:
        reference: list[Any] = []
        arrays.append(_Held(path, array, reference))
        return reference

    document = to_document(checkpoint, place)
    root = Group("", {"type": TYPE, "version": LAYOUT})
    texts = _reserve_texts(root)
    few = len(arrays) + len(checkpoint.layers) <= FEW
    if few:
        _add_layers(root.group("layers", {}), checkpoint.layers)
    own, packed = _divide(arrays, few=few)
    for held in own:
        _add_array(root, held, _attributes(checkpoint, held))
    _add_packed(root, packed)
    if few:
        _add_records(root.group("layers", {}), document["layers"])
    _fill_texts(texts, document)
    return root


def _typed(kind: str) -> dict[str, AttributeValue]:
    return {"type": kind, "version": LAYOUT}


def _divide(arrays: list[_Held], *, few: bool) -> tuple[list[_Held], list[_Held]]:
    """Decide which arrays have a dataset of their own."""
    own: list[_Held] = []
    packed: list[_Held] = []
    for held in arrays:
        if held.array.dtype.itemsize == 0:
            held.reference.extend((None, 0, list(held.array.shape), dtype_name(held.array.dtype)))
            continue
        fits = len(held.path) <= DEPTH - 2 and (few or held.array.nbytes >= SMALL)
        (own if fits and len(own) < MANY else packed).append(held)
    return own, packed


def _add_layers(parent: Group, layers: Mapping[str, Layer]) -> None:
    """Add a group for each layer, in order."""
    for index, layer in enumerate(layers.values()):
        attributes = {**_typed(layer.kind), "name": cut(layer.name), "index": index}
        found = parent.group(layer.name, attributes)
        if isinstance(layer, Subgraph) and found.depth < DEPTH - 4:
            _add_layers(found.group("layers", _typed("layers")), layer.layers)


def _add_records(parent: Group, records: list[Any]) -> None:
    """Give each layer's group its record as an attribute, if it is short."""
    for record in records:
        found = parent.group(record["name"], {})
        text = dump_json(record)
        if len(text) <= ATTRIBUTE:
            found.attributes["record"] = text.decode()
        if record["kind"] == "Subgraph" and found.depth < DEPTH - 4:
            _add_records(found.group("layers", {}), record["layers"])


def _add_array(root: Group, held: _Held, attributes: dict[str, AttributeValue]) -> None:
    """Give an array its own dataset, and say in its reference where."""
    array, (dtype, tail, name) = held.array, encoding_of(held.array.dtype)
    shape = (*array.shape, *tail)
    part: tuple[int, list[int]] | None = None
    if len(shape) > RANK:
        part = 0, list(array.shape)
        shape = (array.size, *tail)
    if name is not None:
        attributes["dtype"] = name
    group = root
    for step in held.path[:-1]:
        group = group.group(step, _typed("tree"))
    path = group.add(held.path[-1], NewDataset([array], attributes, dtype, shape))
    held.reference.extend(_reference(path, part, name))


def _reference(path: str, part: tuple[int, list[int]] | None, name: str | None) -> list[Any]:
    if name is not None:
        return [path, *(part or (None, None)), name]
    return [path, *(part or ())]


def _attributes(checkpoint: SNNCheckpoint, held: _Held) -> dict[str, AttributeValue]:
    section, *steps = held.path
    if section == "layers":
        return _parameter_attributes(_parameter(checkpoint.layers, steps))
    attributes = _typed("state" if section == "state" else "array")
    if section == "state":
        axis = checkpoint.state[steps[0], steps[1]].batch_axis
        if isinstance(axis, int):
            attributes["batch_axis"] = axis
    return attributes


def _parameter(layers: Mapping[str, Layer], steps: list[str]) -> Parameter | None:
    layer = layers[steps[0]]
    if isinstance(layer, Subgraph):
        return _parameter(layer.layers, steps[2:])
    return layer.parameters.get(steps[1]) if len(steps) == 2 else None


def _parameter_attributes(held: Parameter | None) -> dict[str, AttributeValue]:
    if held is None:
        return _typed("array")
    attributes = _typed("parameter")
    if held.unit is not None:
        attributes["unit"] = cut(held.unit)
    if isinstance(held.trainable, bool):
        attributes["trainable"] = held.trainable
    return attributes


def _add_packed(root: Group, packed: list[_Held]) -> None:
    """Put arrays of one dtype behind each other in one dataset."""
    by_dtype: dict[np.dtype[Any], list[_Held]] = {}
    for held in packed:
        by_dtype.setdefault(held.array.dtype, []).append(held)
    if packed:
        root = root.group("packed", _typed("packed"))
    for group in _by_form(by_dtype).values():
        dtype, tail, name = encoding_of(group[0].array.dtype)
        count = sum(held.array.size for held in group)
        dataset = NewDataset([x.array for x in group], _typed("packed"), dtype, (count, *tail))
        if name is not None:
            dataset.attributes["dtype"] = name
        path = root.add(dtype_name(group[0].array.dtype), dataset)
        _refer(group, path, name)


def _by_form(by_dtype: dict[np.dtype[Any], list[_Held]]) -> dict[str, list[_Held]]:
    """Join the arrays whose dtypes differ in byte order only."""
    found: dict[str, list[_Held]] = {}
    for dtype, group in by_dtype.items():
        found.setdefault(dtype_name(dtype), []).extend(group)
    return found


def _refer(group: list[_Held], path: str, name: str | None) -> None:
    start = 0
    for held in group:
        array = held.array
        held.reference.extend(_reference(path, (start, list(array.shape)), name))
        start += array.size


def _reserve_texts(root: Group) -> dict[str, NewDataset]:
    """Add the documents, still empty, before any name of the checkpoint can take their place."""
    found = {}
    for path in (CHECKPOINT, *SECTIONS.values()):
        group = root
        *groups, name = path[1:].split("/")
        for step in groups:
            group = group.group(step, _typed(step))
        found[path] = NewDataset(b"", _typed("json"))
        group.add(name, found[path])
    return found


def _fill_texts(texts: dict[str, NewDataset], document: dict[str, Any]) -> None:
    rest = {name: value for name, value in document.items() if name not in SECTIONS}
    values = {CHECKPOINT: {"layout": LAYOUT, **rest}}
    values.update((path, document[name]) for name, path in SECTIONS.items())
    for path, value in values.items():
        texts[path].value = text = dump_json(value)
        if len(text) > LONGEST_TEXT:
            raise WriteError(
                f"document {path!r} would have {len(text)} bytes, more than HDF5 text can have; "
                "keep large pieces of bytes as arrays"
            )
