"""What is fuzzed: functions that take any bytes, and may refuse them in words only.

They call the readers of the formats themselves: the core would put a name to any exception, and
so hide a defect.
"""

import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from snnbridge import CheckpointError, OptionError, ReadError, Registry, SpecError
from snnbridge.formats import Probe
from snnbridge.spec.loading import load
from snnbridge.storage import Source, read_set, sets

HERE = Path(__file__).parent
FIXTURES = HERE.parents[1] / "fixtures"
#: What a reader may say.
REFUSALS = (ReadError, CheckpointError, OptionError, SpecError, FileNotFoundError)
#: Where the files of one process lie: in memory, if there is such a place.
PLACE = Path(tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))

FORMATS = Registry.installed()
sets._FIRST_PAUSE = 0.0  # nobody is writing


def reader(format: str, suffix: str) -> Callable[[bytes], object]:
    """Return a function that reads bytes as a file of a format."""
    found = FORMATS.get(format)
    path = PLACE / f"{format}{suffix}"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        found.sniff(Probe(path))
        with Source(path) as source:
            found.read(source, {})

    return read


def record(data: bytes) -> None:
    """Read the JSON half of a pair whose archive is good."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive, archive.open("layer_0.npy", "w") as member:
        np.save(member, np.ones((2, 3)))
    (PLACE / "pair.npz").write_bytes(held.getvalue())
    (PLACE / "pair.json").write_bytes(data)
    with Source(PLACE / "pair.npz") as source:
        FORMATS.get("npz").read(source, {})


def journal(data: bytes) -> None:
    """Open a set of files beside a journal."""
    for name in ("set.npz", "set.json"):
        (PLACE / name).write_bytes(b"{}")
    (PLACE / ".set.json.snnb-commit").write_bytes(data)
    read_set([PLACE / "set.npz", PLACE / "set.json"], lambda sources: True)


def side_file(suffix: str) -> Callable[[bytes], object]:
    """Return a function that reads bytes as a spec."""

    def read(data: bytes) -> None:
        path = PLACE / f"net{suffix}"
        path.write_bytes(data)
        load(path)

    return read


TARGETS: dict[str, Callable[[bytes], object]] = {
    "npz": reader("npz", ".npz"),
    "npz-record": record,
    "brainpy": reader("brainpy", ".bp"),
    "hdf5": reader("hdf5", ".h5"),
    "nir": reader("nir", ".nir"),
    "onnx": reader("onnx", ".onnx"),
    "torch": reader("torch", ".pt"),
    "safetensors": reader("safetensors", ".safetensors"),
    "spyx": reader("spyx", ".msgpack"),
    "rockpool": reader("rockpool", ".json"),
    "safetensors-index": reader("safetensors", ".index.json"),
    "journal": journal,
    "spec-toml": side_file(".toml"),
    "spec-json": side_file(".json"),
}


def attempt(target: str, data: bytes) -> bool:
    """Give bytes to a target; say whether it took them. Anything but a refusal is raised."""
    try:
        TARGETS[target](data)
    except REFUSALS:
        return False
    return True


def corpus(target: str) -> Iterator[Path]:
    """Return the files that are kept for a target: seeds, and what once was a defect."""
    yield from sorted((HERE / "corpus" / target).iterdir())


def clean_up() -> None:
    """Remove this process's files."""
    shutil.rmtree(PLACE, ignore_errors=True)
