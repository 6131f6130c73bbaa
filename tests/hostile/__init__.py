"""Files that somebody made to harm their reader: a function makes each of them.

A module stands for a family of formats. What is known of such files, and what other readers do
with them, is told in docs/safety.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

#: One module for each family of formats.
FAMILIES = ("archives", "messages", "hdf5_files", "onnx_models", "pickles", "tensor_files",
            "nets_beside", "specs", "places")  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A hostile file.

    Attributes
    ----------
    name : str
    format : str
        By which it is read; ``"spec"`` for a side file.
    make : function
        Makes it in an empty folder, and returns its path.
    harmless : bool
        Whether it may be read: its form is valid, and what it holds does no harm.
    """

    name: str
    format: str
    make: Callable[[Path], Path]
    harmless: bool


CASES: dict[str, Case] = {}


def case(format, *, harmless=False):
    """Add a function that makes a hostile file."""

    def add(make):
        name = f"{format}-{make.__name__}"
        assert name not in CASES
        CASES[name] = Case(name, format, make, harmless)
        return make

    return add


def content(format, suffix, cases, *, harmless=()):
    """Add files by their bytes, or by functions that give them."""
    for name, data in cases.items():

        def make(folder, data=data):
            path = folder / f"net{suffix}"
            path.write_bytes(data() if callable(data) else data)
            return path

        make.__name__ = name.replace(" ", "_")
        case(format, harmless=name in harmless)(make)


def every_case():
    """Load all families, and return their cases."""
    for family in FAMILIES:
        import_module(f"hostile.{family}")
    return CASES
