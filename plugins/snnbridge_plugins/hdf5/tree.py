"""Groups whose members have any names, as a checkpoint's layers and arrays do."""

from __future__ import annotations

from collections.abc import Mapping

from snnbridge.storage.hdf5 import AttributeValue, NewDataset, NewGroup
from snnbridge_plugins.hdf5.names import link_name
from snnbridge_plugins.hdf5.schema import ATTRIBUTE


class Group(NewGroup):
    """A group that will be written; each name that is added gets a link of its own.

    Parameters
    ----------
    path : str
        Absolute; empty for the root.
    attributes : dict of str to str, int or bool
    """

    def __init__(self, path: str, attributes: dict[str, AttributeValue]) -> None:
        super().__init__({}, attributes)
        self.path = path
        self._groups: dict[str, Group] = {}

    @property
    def depth(self) -> int:
        """The groups above it."""
        return self.path.count("/")

    def group(self, name: str, attributes: Mapping[str, AttributeValue]) -> Group:
        """Return the group that stands for `name`; made with the attributes if it is not there."""
        found = self._groups.get(name)
        if found is None:
            link = link_name(name, self.children)
            found = Group(f"{self.path}/{link}", _named(dict(attributes), name, link))
            self._groups[name] = self.children[link] = found
        return found

    def add(self, name: str, dataset: NewDataset) -> str:
        """Add a dataset; return its path."""
        link = link_name(name, self.children)
        dataset.attributes = _named(dataset.attributes, name, link)
        self.children[link] = dataset
        return f"{self.path}/{link}"


def _named(
    attributes: dict[str, AttributeValue], name: str, link: str
) -> dict[str, AttributeValue]:
    if link != name:
        attributes["name"] = cut(name)
    return attributes


def cut(text: str) -> str:
    """Cut text to what an attribute may have."""
    raw = text.encode()
    return text if len(raw) <= ATTRIBUTE else raw[:ATTRIBUTE].decode(errors="ignore")
