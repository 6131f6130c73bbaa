"""Which release of a framework runs which rule."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any, TypeAlias

from snnbridge.errors import SpecError
from snnbridge.model import UNKNOWN, Layer, NeuronRule, SynapseRule
from snnbridge.rules.arguments import REQUIRED, Argument
from snnbridge.rules.table import FrameworkClass

_NUMBERS = re.compile(r"v?(\d{1,9}(?:\.\d{1,9})*)[.-]?(a|b|rc|dev|post)?(\d{0,9})")
_Key: TypeAlias = tuple[tuple[int, ...], int]
_NOTHING: Mapping[str, Any] = MappingProxyType({})


def release(version: object) -> _Key | None:
    """Return a version as something that sorts, or None where it is none.

    Examples
    --------
    >>> release("2.4.6") < release("2.4.6.post5") < release("2.5.0") == release("2.5")
    True
    >>> release("unknown") is None
    True
    """
    found = _NUMBERS.match(version) if isinstance(version, str) else None
    if found is None:
        return None
    numbers = [int(n) for n in found[1].split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    stage = {None: 0, "post": int(found[3] or 0)}.get(found[2], -1)
    return tuple(numbers), stage


class RuleTable:
    """The classes of every framework, by framework and class, with all that they once were."""

    def __init__(self, classes: Iterable[FrameworkClass]) -> None:
        self._releases: dict[tuple[str, str], list[FrameworkClass]] = {}
        for found in classes:
            self._releases.setdefault((found.framework, found.kind), []).append(found)
        self._newest = {key: held[-1] for key, held in self._releases.items()}
        self._common: dict[tuple[int, ...], FrameworkClass] = {}

    @property
    def classes(self) -> Mapping[tuple[str, str], FrameworkClass]:
        """The newest of each, read-only."""
        return MappingProxyType(self._newest)

    def releases(self, framework: str, kind: str) -> tuple[FrameworkClass, ...]:
        """Return what a class has been, oldest first; nothing where it is not here."""
        return tuple(self._releases.get((framework, kind), ()))

    def get(self, framework: str, kind: str, version: Any = UNKNOWN) -> FrameworkClass:
        """Return one class: that of a release, or the newest.

        Raises
        ------
        SpecError
            With the classes that the framework has here, or the releases of this one.

        Examples
        --------
        >>> from snnbridge import rules
        >>> rules.get("brainpy", "Lif", "2.4.2").rule.reset
        <Reset.SET: 'set'>
        """
        releases = self.releases(framework, kind)
        if not releases:
            known = ", ".join(k for f, k in self._releases if f == framework) or "none"
            raise SpecError(f"no rule for {framework} {kind!r}; known are {known}")
        if version is UNKNOWN:
            return releases[-1]
        key = release(version)
        if key is None:
            raise SpecError(f'a version is like "2.8.2", not {version!r}')
        for found in releases:
            if _covers(found, key):
                return found
        known = ", ".join(found.release for found in releases)
        raise SpecError(f"no rule for {kind} of {framework} {version}; known are {known}")

    def of(self, layer: Layer, stated: Mapping[str, Any] = _NOTHING) -> FrameworkClass | None:
        """Return the class that a layer's origin names, if it is here.

        Where the origin has no version, it is what all releases agree on that have the arguments
        in `stated`: a switch in which they differ is UNKNOWN, and an argument that not all of
        them have, or not with one default, has none.
        """
        origin = layer.origin
        if origin is None:
            return None
        releases = self.releases(origin.framework, origin.kind)
        key = release(origin.version)
        if key is not None:
            return next((found for found in releases if _covers(found, key)), None)
        if len(releases) < 2:
            return releases[0] if releases else None
        fitting = [found for found in releases if _takes(found, releases, stated)]
        return self._agreed(fitting or list(releases))

    def _agreed(self, releases: list[FrameworkClass]) -> FrameworkClass:
        key = tuple(id(found) for found in releases)
        if key not in self._common:
            self._common[key] = _common(releases)
        return self._common[key]


def _covers(found: FrameworkClass, key: _Key) -> bool:
    since, until = release(found.since), release(found.until)
    return (since is None or since <= key) and (until is None or key < until)


def _takes(
    found: FrameworkClass, releases: Iterable[FrameworkClass], stated: Mapping[str, Any]
) -> bool:
    anywhere = {key for other in releases for key in other.arguments}
    for key, value in stated.items():
        argument = found.arguments.get(key)
        if argument is None and key in anywhere:
            return False
        if argument is not None and argument.choices and not argument.offers(value):
            return False
    return True


def _common(releases: list[FrameworkClass]) -> FrameworkClass:
    """Return what releases agree on."""
    newest = releases[-1]
    arguments: dict[str, Argument] = {}
    for found in reversed(releases):
        for key, argument in found.arguments.items():
            arguments.setdefault(key, argument)
    for key, argument in arguments.items():
        versions = [x.arguments[key] for x in releases if key in x.arguments]
        if len(versions) < len(releases) or not _same(x.default for x in versions):
            optional = any(x.takes_none for x in versions)
            arguments[key] = replace(argument, default=REQUIRED, optional=optional)
    return replace(
        newest,
        arguments=arguments,
        rule=_common_rule([x.rule for x in releases]),
        derive=newest.derive if _same(x.derive for x in releases) else None,
        since=releases[0].since,
    )


def _common_rule(rules: list[Any]) -> NeuronRule | SynapseRule | None:
    if rules[-1] is None:
        return None
    open_ = [f.name for f in fields(rules[-1]) if not _same(getattr(x, f.name) for x in rules)]
    agreed: NeuronRule | SynapseRule = replace(rules[-1], **dict.fromkeys(open_, UNKNOWN))
    return agreed


def _same(values: Iterable[Any]) -> bool:
    first, *others = values
    return all(other is first or other == first for other in others)


#: What a framework's module answers to the names of its classes.
Named: TypeAlias = Callable[[str], FrameworkClass]


def named(classes: Iterable[FrameworkClass]) -> Named:
    """Return a module's ``__getattr__``, by which ``rules.snntorch.Leaky`` is a class."""
    newest = {found.kind: found for found in classes}

    def attribute(name: str) -> FrameworkClass:
        if name in newest:
            return newest[name]
        raise AttributeError(f"no rule is named {name!r}; there are {', '.join(newest)}")

    return attribute
