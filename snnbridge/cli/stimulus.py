"""Inputs that a user hands to `simulate` and `verify`, and what the two share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from snnbridge.cli.options import Finite, together
from snnbridge.errors import ReadError

#: The options that describe a stimulus.
options = together(
    click.option("--steps", type=click.IntRange(min=1), default=100, show_default=True,
                 help="Number of steps of the random stimulus."),
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True,
                 help="Seed of the random stimulus."),
    click.option("--rate", type=Finite(0, 1), default=0.1, show_default=True,
                 help="Spikes per input and step of the random stimulus."),
    click.option("--input", "inputs", metavar="FILE",
                 type=click.Path(exists=True, dir_okay=False),
                 help="Your own stimulus, of shape (steps, batch, ...): .npy, or .npz with one "
                      "array for each input layer."),
)  # fmt: skip


def load(path: str | None) -> Any:
    """Read a stimulus: an array, or arrays by input layer.

    Raises
    ------
    ReadError
        If the file is neither .npy nor .npz, or holds objects.
    """
    if path is None:
        return None
    try:
        return _arrays(path)
    except ReadError as error:
        raise ReadError(f"{Path(path)}: {error}; expected .npy, or .npz by input layer") from error


def _arrays(path: str) -> Any:
    from snnbridge.storage import Source, ZipReader, npy_array

    data = Source(path).data
    if bytes(data[:4]) != b"PK\x03\x04":
        return npy_array(data)
    reader = ZipReader(data)
    names = [name for name in reader.names if name.endswith(".npy")]
    if not names:
        raise ReadError("holds no array")
    return {name.removesuffix(".npy"): reader.array(name) for name in names}
