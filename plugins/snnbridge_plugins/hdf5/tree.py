"""Groups and datasets that will be written, before anything has a place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snnbridge.model import Array
from snnbridge_plugins.hdf5.encode import Label
from snnbridge_plugins.hdf5.names import link_name
from snnbridge_plugins.hdf5.schema import LABEL


@dataclass(slots=True, eq=False)
class Dataset:
    """A dataset that will be written.

    Parameters
    ----------
    dtype : numpy.dtype
        Of its elements in the file.
    shape : tuple of int
    labels : dict of str to str, int or bool
    parts : list of numpy.ndarray
        The arrays whose elements it holds one after the other.
    text : bytes, optional
        What it holds instead: UTF-8 text, one string.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    labels: dict[str, Label]
    parts: list[Array] = field(default_factory=list)
    text: bytes | None = None

    @property
    def nbytes(self) -> int:
        """The bytes of its elements."""
        return math.prod(self.shape) * self.dtype.itemsize


class Group:
    """A group that will be written; its children have unique links.

    Parameters
    ----------
    path : str
        Absolute; empty for the root.
    labels : dict of str to str, int or bool
    """

    def __init__(self, path: str, labels: dict[str, Label]) -> None:
        self.path = path
        self.labels = labels
        self.children: dict[str, Group | Dataset] = {}
        self._groups: dict[str, Group] = {}

    @property
    def depth(self) -> int:
        """The groups above it."""
        return self.path.count("/")

    def group(self, name: str, labels: Mapping[str, Label]) -> Group:
        """Return the group that stands for `name`; made with the labels if it is not there."""
        found = self._groups.get(name)
        if found is None:
            link = link_name(name, self.children)
            found = Group(f"{self.path}/{link}", _named(dict(labels), name, link))
            self._groups[name] = self.children[link] = found
        return found

    def add(self, name: str, dataset: Dataset) -> str:
        """Add a dataset; return its path."""
        link = link_name(name, self.children)
        dataset.labels = _named(dataset.labels, name, link)
        self.children[link] = dataset
        return f"{self.path}/{link}"


def _named(labels: dict[str, Label], name: str, link: str) -> dict[str, Label]:
    if link != name:
        labels["name"] = cut(name)
    return labels


def cut(text: str) -> str:
    """Cut text to what a label may have."""
    raw = text.encode()
    return text if len(raw) <= LABEL else raw[:LABEL].decode(errors="ignore")
