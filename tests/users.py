"""Nets as users of each framework write and save them, converted for every other framework."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

import beside
import pairs
from snnbridge import read

#: What the page of pairs shows: of an `image` each neuron has a time constant of its own, and
#: `analog` is what sinabs makes of a net of ReLU. A `cube` has as many channels as rows.
SHOWN = ("mlp", "conv", "recurrent", "image", "analog")
KINDS = (*SHOWN, "cube")
SUFFIXES = (".bp", ".pt", ".msgpack")


def save(framework: str, folder: Path) -> None:
    """Have a framework make, run and save its nets."""
    environment, _ = pairs.JUDGES.get(framework, ("torch", ""))
    assert beside.ask(environment, "judge_users.py", framework, str(folder))


def cases(framework: str, folder: Path) -> Iterator[pairs.Case]:
    """Read what a framework saved."""
    for kind in KINDS:
        file = next((f for f in folder.glob(f"{kind}.*") if f.suffix in SUFFIXES), None)
        if file is None:
            continue
        with np.load(folder / f"{kind}.npz") as run:
            yield pairs.Case(framework, kind, kind, read(file), run["input"], run["output"], file)
