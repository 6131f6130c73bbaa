"""What a format is: a record of functions, and what it can hold."""

from __future__ import annotations

import enum
import reprlib
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Literal

from snnbridge.errors import PluginError, ReadError

if TYPE_CHECKING:
    from snnbridge.ledger import Entry
    from snnbridge.model import Array, Path, SNNCheckpoint
    from snnbridge.storage import Source, Target

#: Options of one reading or writing: by name, as a format declares them.
Options = Mapping[str, Any]

#: What executes a file: (path, inputs by layer, options) to arrays by (layer, variable).
Run = Callable[[FilePath, Mapping[str, "Array"], Options], Mapping[tuple[str, str], "Array"]]


class Feature(enum.Enum):
    """Something that a checkpoint may use and a format may be able to hold.

    A format that holds a feature gives it back bit for bit after a round trip.
    """

    LINEAR = "linear layers"
    BIAS = "biases"
    CONV = "convolutions"
    POOL = "pools"
    FLATTEN = "flatten layers"
    SCALE = "scale layers"
    BATCH_NORM = "batch normalisation"
    DELAY = "delay layers"
    SYNAPSE = "synapse layers"
    NEURON = "neuron layers"
    PLUGIN_NEURON = "neuron kinds of plugins"
    PORTS = "input and output layers"
    SUBGRAPH = "subgraphs"
    OPAQUE = "layers of unknown kinds"
    PARAMETERS = "parameters of neurons, synapses and windows"
    RULES = "the discrete rules of neurons and synapses"
    UNITS = "units"
    TRAINABLE = "which parameters are trained"
    ORIGIN = "the source's own class names"
    LAYER_DT = "time steps of single layers"
    CONNECTIONS = "connections"
    DT = "the time step"
    STATE = "state"
    TRAINING = "training state"
    METADATA = "metadata"
    FROZEN = "frozen layers"
    TIES = "shared arrays"
    EXTRAS = "what another format's file held beside the model"
    NAMES = "names of any text"
    FLOATS = "float16, float32 and float64 arrays"
    EXTENDED_FLOATS = "float arrays of more than 64 bits"
    SMALL_FLOATS = "bfloat16 and floats of 8 bits and less"
    INTEGERS = "integer and boolean arrays"
    SMALL_INTEGERS = "integer arrays of less than 8 bits"
    COMPLEX = "complex arrays"
    TEXT_ARRAYS = "arrays of text, bytes and dates"


EVERYTHING = frozenset(Feature)


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a format.

    Parameters
    ----------
    name : str
        As in ``--option name=value``; the command line takes ``--name value`` as well.
    help : str
        One sentence.
    choices : tuple of str
        The values it takes; any, if empty.
    direction : {"both", "reading", "writing"}
        When it applies; at another time it is refused, not ignored.
    """

    name: str
    help: str
    choices: tuple[str, ...] = ()
    direction: Literal["both", "reading", "writing"] = "both"

    def applies(self, direction: Literal["reading", "writing"]) -> bool:
        """Whether it can be given in a direction."""
        return self.direction in ("both", direction)


#: The comment, at the end of the file, of an archive of traces.
TRACES = b"snnbridge simulate"


class Probe:
    """What a format may look at to recognise a file; the core reads it once for all.

    Parameters
    ----------
    path : pathlib.Path
        A file, a folder, or nothing.

    Attributes
    ----------
    head : bytes
        The first 4096 bytes of a regular file; empty for anything else.
    size : int
        Its size in bytes.
    is_folder : bool
    exists : bool
    refusal : str
        Why nobody may open it: a pipe, a device, a socket, results of ``snnbridge simulate``;
        empty for anything else.
    """

    def __init__(self, path: str | FilePath) -> None:
        self.path = FilePath(path)
        self.exists, self.is_folder = True, False
        self.head, self.size, self.refusal = b"", 0, ""
        try:
            self._look()
        except FileNotFoundError:
            self.exists = False
        except ReadError as error:
            self.refusal = str(error)

    def _look(self) -> None:
        from snnbridge.storage import Source  # numpy is loaded with it

        with Source(self.path) as source:  # finds a file also while it is being replaced
            self.is_folder, self.size = source.is_dir, source.size
            if source.is_dir:
                return
            self.head = source.read(0, 4096)
            if source.read(max(0, source.size - len(TRACES)), len(TRACES)) == TRACES:
                self.refusal = f"{self.path} holds results of `snnbridge simulate`, no network"

    def beside(self, suffix: str) -> bool:
        """Whether a file of the same name with another suffix stands beside this one."""
        return self.path.with_name(self.path.name.removesuffix(self.path.suffix) + suffix).is_file()

    def names(self, most: int = 1000) -> list[str]:
        """Names in the folder, sorted; empty if it is no folder."""
        if not self.is_folder:
            return []
        found = []
        for entry in self.path.iterdir():
            found.append(entry.name)
            if len(found) == most:
                break
        return sorted(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A format: how to recognise, read and write it, and what it holds.

    The core does the rest: it maps what the functions raise to :class:`SNNBridgeError`, stages
    and replaces files atomically, and refuses what the format does not hold.

    Parameters
    ----------
    name : str
        Lower case; what ``--from`` and ``--to`` take.
    summary : str
        One line.
    suffixes : tuple of str
        Of its files, the usual one first; used for new files, and to settle a tie.
    sniff : function of a Probe, returning bool
        Whether the content is of this format.
    read : function of (Source, options), returning SNNCheckpoint
    write : function of (SNNCheckpoint, Target, options)
    run : function of (path, inputs, options), returning arrays
        For a format whose files another engine executes: from arrays by input layer to arrays by
        (layer, variable), all of shape (steps, batch, ...); the variable is ``"spikes"`` or
        ``"v"``, and means what :func:`snnbridge.simulate` records under that name.
    engine : str
        The package that `run` executes files with; what ``verify --engine`` takes.
    holds : set of Feature
        What a file of this format can carry; nothing by default.
    holds_bare : set of Feature
        What it carries when written with ``bare``: only what the framework itself would write.
    losses : function of (SNNCheckpoint, options), returning pairs of path and reason
        What a file would lose although the format holds the feature; each path is one of
        :func:`snnbridge.differences`, and stands for everything below it.
    prepare : function of (SNNCheckpoint, options), returning (SNNCheckpoint, entries)
        Puts a checkpoint into a form that the format can hold, with the functions of
        :mod:`snnbridge.rewrites`; what it returns is planned, compared with the source in the
        simulator, and written. An entry whose path begins with ``"engine"`` is about what the
        engine computes otherwise than the simulator: `convert` runs the file in it for its verdict.
    options : tuple of Option
        What `read` and `write` take beside the options that every format has.
    needs : tuple of str
        Packages that it imports.

    Raises
    ------
    PluginError
        For a name that is not lower case, a format that can neither read nor write, or one that
        runs files and does not say by which engine.
    """

    name: str
    summary: str
    suffixes: tuple[str, ...]
    sniff: Callable[[Probe], bool]
    read: Callable[[Source, Options], SNNCheckpoint] | None = None
    write: Callable[[SNNCheckpoint, Target, Options], None] | None = None
    run: Run | None = None
    engine: str = ""
    holds: frozenset[Feature] = frozenset()
    holds_bare: frozenset[Feature] = frozenset()
    losses: Callable[[SNNCheckpoint, Options], Iterable[tuple[Path, str]]] | None = None
    prepare: Callable[[SNNCheckpoint, Options], tuple[SNNCheckpoint, Iterable[Entry]]] | None = None
    options: tuple[Option, ...] = ()
    needs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name or self.name != self.name.lower() or not self.name.isprintable():
            raise PluginError(f"a format's name must be lower case text, not {self.name!r}")
        if self.read is None and self.write is None:
            raise PluginError(f"format {self.name!r} can neither read nor write")
        if (self.run is None) != (not self.engine):
            raise PluginError(f"format {self.name!r}: run and engine are stated together or not")
        self._check_types()
        wrong = [s for s in self.suffixes if not s.startswith(".")]
        if wrong:
            raise PluginError(f"format {self.name!r}: suffix {wrong[0]!r} must start with a dot")

    def _check_types(self) -> None:
        expected = {
            "suffixes": (tuple, str), "options": (tuple, Option),
            "holds": (Set, Feature), "holds_bare": (Set, Feature),
        }  # fmt: skip
        for field, (container, kind) in expected.items():
            value = getattr(self, field)
            if not isinstance(value, container) or any(not isinstance(x, kind) for x in value):
                raise PluginError(
                    f"format {self.name!r}: {field} must be a {container.__name__.lower()} of "
                    f"{kind.__name__}, not {reprlib.repr(value)}"
                )
        for field in ("sniff", "read", "write", "run", "losses", "prepare"):
            value = getattr(self, field)
            if not callable(value) and (value is not None or field == "sniff"):
                raise PluginError(f"format {self.name!r}: {field} must be a function")
