"""What is written, and how to tell what is there afterwards."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from onnx_nets import chain, leaky
from snnbridge import SNNBridgeError, convert, differences, read, write
from snnbridge.model import Input, Linear

OLD, NEW = (
    chain(Input("in", (4,)), Linear("fc", np.full((3, 4), x, np.float32)), leaky("lif", (3,)))
    for x in (0.5, 0.25)
)
SUFFIXES = {
    "npz": ".npz",
    "brainpy": ".bp",
    "hdf5": ".h5",
    "nir": ".nir",
    "onnx": ".onnx",
    "torch": ".pt",
    "safetensors": ".safetensors",
    "spyx": ".msgpack",
    "rockpool": ".json",
}


@dataclass
class Scenario:
    """A checkpoint that replaces another one.

    Attributes
    ----------
    format : str
    folder : Path
        Its files are here, and nothing else is.
    in_place : bool
        Whether a file is converted to its own place, and not written.
    """

    format: str
    folder: Path
    in_place: bool = False

    @property
    def path(self):
        return self.folder / f"net{SUFFIXES[self.format]}"

    @property
    def always(self):
        """What is found whatever happens: in its own place, a checkpoint becomes itself."""
        return "new" if self.in_place else None

    def begin(self):
        """Put the old checkpoint in its place, and nothing else."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        write(NEW if self.in_place else OLD, self.path, format=self.format)

    def act(self):
        """Replace it."""
        if self.in_place:
            convert(self.path, self.path, from_=self.format, to=self.format)
        else:
            write(NEW, self.path, format=self.format)

    def hidden(self):
        """Return the names of what a writer has left."""
        return [path.name for path in self.folder.iterdir() if path.name.startswith(".")]

    def found(self, folder=None):
        """Say which checkpoint a reader finds."""
        try:
            back = read((folder or self.folder) / self.path.name, format=self.format)
        except FileNotFoundError:
            return "missing"
        except SNNBridgeError as error:
            return f"unreadable: {error}"
        for name, checkpoint in (("old", OLD), ("new", NEW)):
            if not differences(checkpoint, back):
                return name
        return "mixed"
