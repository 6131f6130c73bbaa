"""Reading a file: by its own description where it holds, by its nodes alone otherwise."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from snnbridge import (
    UNKNOWN,
    CheckpointError,
    OptionError,
    Quantity,
    ReadError,
    SNNCheckpoint,
    SourceInfo,
)
from snnbridge.model import SECONDS, Path, Unknown
from snnbridge.storage import Source
from snnbridge_plugins.checking import SMALL, is_to_check
from snnbridge_plugins.nir import seal
from snnbridge_plugins.nir.carry import description, restore
from snnbridge_plugins.nir.from_graph import ROOT, Reading, to_checkpoint, with_importer
from snnbridge_plugins.nir.graph import Graph, Node, is_same, without_added
from snnbridge_plugins.nir.importers import IMPORTERS
from snnbridge_plugins.nir.layers import FIELDS, METHODS
from snnbridge_plugins.nir.releases import is_soft
from snnbridge_plugins.nir.to_graph import to_graph
from snnbridge_plugins.nir.tree import read_file

_TIME = re.compile(r"\s*([-+0-9.eE]+)\s*([a-z]*)\s*")


def read(source: Source, options: Mapping[str, Any]) -> SNNCheckpoint:
    """Read one file.

    Parameters
    ----------
    source : Source
    options : mapping
        ``dt``, ``scheme``, ``reset`` and ``check``; the format's declaration has their meaning.

    Raises
    ------
    ReadError
        If the file is damaged, or an importer that is asked for would not take it.
    OptionError
        For a time step that is none.
    """
    wanted = is_to_check(options, source.size, SMALL)
    integrity = seal.check(source.data, wanted=wanted)
    version, root = read_file(source)
    notes: list[str] = []
    checkpoint = None if options.get("scheme") else _described(root, source.path.name, notes)
    dialect, assumed = "snnbridge", frozenset[Path]()
    if checkpoint is not None and not integrity:
        integrity = "changed"
        notes.append(
            "another program saved this file since snnbridge wrote it: its description of rules "
            "and time step still fits the nodes, whose values are read as they are now"
        )
    if checkpoint is None:
        dialect = "nir"
        reading = _reading(root, version, options, notes)
        checkpoint = to_checkpoint(root, reading)
        notes += list(_unsaid(reading))
        assumed = frozenset(_assumed(reading))
    else:
        _refuse_reset(options, "snnbridge's description in the file states what a spike does")
        if "dt" in options:
            checkpoint = replace(checkpoint, dt=time_of(options["dt"]))
    checkpoint.source = SourceInfo(
        format="nir",
        dialect=dialect,
        framework="nir",
        framework_version=UNKNOWN if version is None else version,
        notes=tuple(notes),
        integrity=integrity,
        assumed=assumed,
    )
    return checkpoint


def _refuse_reset(options: Mapping[str, Any], reason: str) -> None:
    if options.get("reset"):
        raise OptionError(
            f"reset={options['reset']} would change nothing, for {reason}; leave it out"
        )


def _described(root: Node | Graph, name: str, notes: list[str]) -> SNNCheckpoint | None:
    """Return the checkpoint of the file's description, if the nodes are still those of it."""
    held = description(root)
    if held is None:
        return None
    importer = IMPORTERS.get(str(held.get("for")))
    try:
        found = restore(held, root)
        again = to_graph(found, importer)
    except (ReadError, CheckpointError) as error:
        notes.append(f"the description in the metadata is not used: {error}")
        return None
    if is_same(_normal(again), _normal(without_added(root, again))):
        if importer is not None:
            notes.append(f"written for {importer.name}: {importer.called(found.dt, name)}")
        return found
    notes.append(
        "the nodes were changed after snnbridge wrote them: its description of rules, time step "
        "and state is not used"
    )
    return None


def _normal(node: Node | Graph) -> Node | Graph:
    """Leave out what NIR's package fills in when it writes a graph again."""
    if isinstance(node, Graph):
        return Graph({name: _normal(n) for name, n in node.nodes.items()}, node.edges)
    kept = {k: v for k, v in node.fields.items() if k != "v_reset" or np.any(v)}
    return Node(node.kind, kept)


def _reading(
    root: Node | Graph, version: str | None, options: Mapping[str, Any], notes: list[str]
) -> Reading:
    stated = UNKNOWN if version is None else version
    if version is not None and not re.match(r"v?[0-9]", version):
        notes.append(f"{version!r} is no version of NIR; the file is read as one that states none")
        stated = UNKNOWN
    notes += _alike(root, ())
    reading = Reading(stated, notes=notes, dt=UNKNOWN)
    if "dt" in options:
        reading.dt = time_of(options["dt"])
    scheme = options.get("scheme")
    if scheme in METHODS:
        reading.method = scheme
    elif scheme is not None:
        _refuse_reset(options, f"the importer of {scheme} decides what a spike does")
        return with_importer(reading, IMPORTERS[scheme])
    silent = [name for name in _spiking(root) if not _states_reset(root, name)]
    if silent:
        reading.soft = _is_soft(stated, options.get("reset"), silent, notes)
        reading.assumed = [] if options.get("reset") else silent
    else:
        _refuse_reset(options, "no neuron in the file leaves v_reset open")
    return reading


def _assumed(reading: Reading) -> Iterator[Path]:
    """Give the paths of what a spike does where no file and no option says it."""
    for names in reading.assumed:
        name = "/".join(names) or ROOT
        yield "layers", name, "rule", "reset"
        if not reading.soft:
            yield "layers", name, "v_reset"


def _alike(node: Node | Graph, path: tuple[str, ...]) -> Iterator[str]:
    """Note types that NIR does not have, and would have but for their capitals."""
    if isinstance(node, Graph):
        for name, inner in node.nodes.items():
            yield from _alike(inner, (*path, name))
        return
    meant = next((kind for kind in FIELDS if kind.lower() == node.kind.lower()), node.kind)
    if meant != node.kind:
        where = "/".join(path) or ROOT
        yield (
            f"node {where!r} is of the type {node.kind!r}, which NIR does not have; was {meant!r} "
            "meant?"
        )


def _spiking(root: Node | Graph) -> Iterator[tuple[str, ...]]:
    if isinstance(root, Graph):
        for name, node in root.nodes.items():
            for inner in _spiking(node):
                yield name, *inner
    elif root.kind in ("IF", "LIF", "CubaLIF"):
        yield ()


def _states_reset(root: Any, path: tuple[str, ...]) -> bool:
    for name in path:
        root = root.nodes[name]
    return "v_reset" in root.fields


def _is_soft(
    version: str | Unknown, chosen: str | None, silent: list[tuple[str, ...]], notes: list[str]
) -> bool:
    """Say what a spike does where no v_reset is stated, and note why."""
    first = "/".join(silent[0]) or ROOT
    many = f"{len(silent)} neuron{'s' if len(silent) > 1 else ''} (first {first!r})"
    if chosen is not None:
        notes.append(f"{many} without v_reset: reset={chosen} by option")
        return chosen == "subtract"
    of = "NIR of no version" if isinstance(version, Unknown) else f"NIR {version}"
    soft = is_soft(version)
    told = (
        "subtracts the threshold, as the documentation said up to 1.0.5; the option reset=zero "
        "takes it as a reset to zero"
        if soft
        else "sets the potential to 0, which NIR's package fills in since 1.0.6; the option "
        "reset=subtract takes it as a loss of the threshold"
    )
    notes.append(f"{many} without v_reset, in a file of {of}: a spike {told}")
    return soft


def _unsaid(reading: Reading) -> Iterator[str]:
    """Say what no NIR file states."""
    if reading.dt is UNKNOWN:
        yield "NIR files state no time step; give it with --dt"
    if not reading.is_discrete:
        yield (
            "NIR files state equations in continuous time, not the rule that runs them; choose "
            "one with --scheme"
        )


def time_of(text: object) -> Quantity:
    """Read a time step: ``1e-4``, ``0.1 ms``.

    Raises
    ------
    OptionError
        If it is none.
    """
    match = _TIME.fullmatch(str(text))
    unit = (match[2] or "s") if match else ""
    try:
        value = float(match[1]) if match else 0.0
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf") or unit not in SECONDS:
        raise OptionError(f"dt must be a time above 0 such as 1e-4 or '0.1 ms', not {text!r}")
    return Quantity(value, unit)
