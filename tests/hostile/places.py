"""What stands where a file is expected: pipes, devices, links, folders."""

import os
import socket
from pathlib import Path

from hostile import case

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
    "spec": ".toml",
}


def pipe(path):
    os.mkfifo(path)


def device(path):
    path.symlink_to("/dev/zero")


def endless_device(path):
    path.symlink_to("/dev/urandom")


def link_to_itself(path):
    path.symlink_to(path.name)


def folder(path):
    path.mkdir()


def door(path):
    """A socket; its name must be short."""
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path.name)
    finally:
        os.chdir(here)


def empty(path):
    path.touch()


for _format, _suffix in SUFFIXES.items():
    for _place in (pipe, device, endless_device, link_to_itself, folder, door, empty):

        def make(where, place=_place, suffix=_suffix):
            path = where / f"net{suffix}"
            place(path)
            return path

        make.__name__ = _place.__name__
        case(_format, harmless=_format == "spec" and _place is empty)(make)


@case("npz")
def json_half_that_is_a_pipe(where):
    from hostile.archives import GOOD

    (where / "net.npz").write_bytes(GOOD)
    os.mkfifo(where / "net.json")
    return where / "net.npz"
