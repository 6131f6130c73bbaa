"""Finding formats: entry points, hooks, and which of them a file belongs to."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pluggy

from snnbridge import hookspecs
from snnbridge.errors import (
    AmbiguousFormat,
    FormatUnavailable,
    PluginError,
    ReadError,
    UnknownFormat,
)
from snnbridge.formats import Format, Probe
from snnbridge.neurons import NeuronKind


class Registry:
    """The formats of some plugins.

    Parameters
    ----------
    plugins : iterable of modules or objects with hooks
        What the registry knows; nothing else, so that tests stay apart from what is installed.
        :meth:`installed` makes one of every entry point.

    Raises
    ------
    PluginError
        For a misspelt hook, a wrong record, or two formats of one name.

    Examples
    --------
    >>> from snnbridge import Registry
    >>> sorted(f.name for f in Registry.installed())[:2]
    ['brainpy', 'hdf5']
    """

    def __init__(self, plugins: Iterable[Any] = ()) -> None:
        self._formats: dict[str, Format] = {}
        self._neurons: dict[str, NeuronKind] = {}
        self._distributions: dict[tuple[str, str], str] = {}
        for plugin in plugins:
            self._add(plugin, getattr(plugin, "__name__", repr(plugin)))

    @classmethod
    def installed(cls) -> Registry:
        """Return a registry of every entry point of the group ``snnbridge``.

        A plugin that cannot be used becomes a warning that names its distribution.
        """
        registry = cls()
        points = importlib.metadata.entry_points(group=hookspecs.PROJECT)
        for point in sorted(points, key=lambda p: (p.name, p.value)):
            origin = _distribution(point)
            try:
                registry._add(point.load(), origin)
            except (Exception, SystemExit) as error:  # noqa: BLE001  # a stranger's; the host goes on
                warnings.warn(
                    f"plugin {point.name!r} of {origin} cannot be used: "
                    f"{type(error).__name__}: {error}",
                    RuntimeWarning,
                    stacklevel=2,
                )
        return registry

    def _add(self, plugin: Any, origin: str) -> None:
        # One manager per plugin: a plugin that fails leaves nothing behind in the others'.
        manager = pluggy.PluginManager(hookspecs.PROJECT)
        manager.add_hookspecs(hookspecs)
        try:
            manager.register(plugin)
            manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise PluginError(f"{origin}: {error}") from error
        formats = _records(manager.hook.snnbridge_formats, Format, origin)
        neurons = _records(manager.hook.snnbridge_neurons, NeuronKind, origin)
        told = {("format", f.name) for f in formats} | {("neuron kind", n.name) for n in neurons}
        if len(told) < len(formats) + len(neurons):
            raise PluginError(f"{origin}: two of its formats or neuron kinds have the same name")
        for what, name in sorted(told & self._distributions.keys()):
            there = self._distributions[what, name]
            raise PluginError(f"{origin}: {what} {name!r} is there already, from {there}")
        # Only now: of a plugin that cannot be used, nothing is.
        self._formats |= {f.name: f for f in formats}
        self._neurons |= {n.name: n for n in neurons}
        self._distributions |= dict.fromkeys(told, origin)

    def __iter__(self) -> Iterator[Format]:
        return iter([self._formats[name] for name in sorted(self._formats)])

    @property
    def distributions(self) -> MappingProxyType[str, str]:
        """Which distribution each format comes from, by the format's name."""
        return MappingProxyType({f.name: self._distributions["format", f.name] for f in self})

    @property
    def neurons(self) -> MappingProxyType[str, NeuronKind]:
        """The neuron kinds that plugins bring, by name."""
        return MappingProxyType(self._neurons)

    def get(self, name: str) -> Format:
        """Return the format of a name.

        Raises
        ------
        UnknownFormat
            With the names that there are.
        """
        if name not in self._formats:
            raise UnknownFormat(f"no format {name!r}; expected one of {self._names()}")
        return self._formats[name]

    def detect(self, path: str | Path) -> Format:
        """Return the format of a file by its content; the suffix settles a tie.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        UnknownFormat
            If no format knows the content.
        AmbiguousFormat
            If several do.
        ReadError
            For a pipe, a device or a socket.
        """
        path = Path(path)
        probe = Probe(path)
        if not probe.exists:
            raise FileNotFoundError(f"{path}: no such file or folder")
        if probe.refusal:
            raise ReadError(probe.refusal)
        claims = [f for f in self if f.read is not None and _claims(f, probe)]
        if len(claims) > 1:
            claims = [f for f in claims if _has_suffix(path, f)] or claims
        if not claims:
            raise UnknownFormat(self._unclaimed(probe))
        if len(claims) > 1:
            names = ", ".join(f.name for f in claims)
            raise AmbiguousFormat(f"{path}: {names} all claim it; name one with format= or --from")
        return claims[0]

    def claims(self, format: Format, path: str | Path) -> bool:
        """Whether there is a file, and its content is of a format.

        Parameters
        ----------
        format : Format
        path : str or Path
        """
        probe = Probe(path)
        return probe.exists and not probe.refusal and _claims(format, probe)

    def _unclaimed(self, probe: Probe) -> str:
        if probe.is_folder:
            return f"{probe.path}: a folder, and no format knows what is in it; name a file"
        if not probe.size:
            return f"{probe.path}: the file is empty"
        unknown = f"{probe.path}: no format knows this content (it starts with {probe.head[:8]!r})"
        alike = next((f.name for f in self if f.read and _has_suffix(probe.path, f)), "")
        if alike:
            return (
                f"{unknown}; if it should be {alike}, format= or --from {alike} says what is wrong"
            )
        return f"{unknown}; formats that are read: {self._names()}"

    def for_target(self, path: str | Path) -> Format:
        """Return the format that writes files of this suffix, the longest that fits.

        Raises
        ------
        UnknownFormat
            If none does.
        AmbiguousFormat
            If several do.
        """
        found = [f for f in self if f.write is not None and _has_suffix(Path(path), f)]
        longest = max((_suffix(Path(path), f) for f in found), default=0)
        found = [f for f in found if _suffix(Path(path), f) == longest]
        if not found:
            known = ", ".join(f"{f.suffixes[0]} ({f.name})" for f in self if f.write and f.suffixes)
            raise UnknownFormat(
                f"{path}: no format writes files of this suffix; use one of {known}, or name the "
                "format with format= or --to"
            )
        if len(found) > 1:
            suffix = Path(path).name[-longest:]
            choices = "; ".join(f"--to {f.name}: {f.summary}" for f in found)
            raise AmbiguousFormat(
                f"{path}: {len(found)} formats write {suffix} files; add one of these (in Python "
                f"to= or format=): {choices}"
            )
        return found[0]

    def require(self, format: Format) -> None:
        """Refuse a format whose packages are not installed.

        Raises
        ------
        FormatUnavailable
            With the command that installs them.
        """
        absent = [name for name in format.needs if importlib.util.find_spec(name) is None]
        if absent:
            raise FormatUnavailable(
                f"format {format.name!r} needs {', '.join(absent)}; "
                f"run: python -m pip install {' '.join(absent)}"
            )

    def _names(self) -> str:
        return ", ".join(sorted(self._formats)) or "none"


def _distribution(point: importlib.metadata.EntryPoint) -> str:
    if point.dist is None:
        return point.value
    return f"{point.dist.name} {point.dist.version}"


def _has_suffix(path: Path, format: Format) -> bool:
    return _suffix(path, format) > 0


def _suffix(path: Path, format: Format) -> int:
    """Return the length of a format's longest suffix that a path has; 0 if it has none."""
    name = path.name.lower()
    return max((len(s) for s in format.suffixes if name.endswith(s)), default=0)


def _records(hook: Any, kind: type[Any], origin: str) -> list[Any]:
    """Return what a hook of a plugin returns, if it is what it should be."""
    found = [record for group in hook() for record in group]
    for record in found:
        if not isinstance(record, kind):
            raise PluginError(
                f"{origin}: {hook.name} must return {kind.__name__} records, found {record!r}"
            )
    return found


def _claims(format: Format, probe: Probe) -> bool:
    try:
        return bool(format.sniff(probe))
    except (Exception, SystemExit) as error:  # noqa: BLE001  # must not hide other formats
        warnings.warn(
            f"format {format.name!r} failed to look at {probe.path}: "
            f"{type(error).__name__}: {error}",
            RuntimeWarning,
            stacklevel=3,
        )
        return False


@functools.cache
def default() -> Registry:
    """Return the registry of everything that is installed, made at the first call."""
    return Registry.installed()
