"""Reading a set of files that one commit wrote, while another commit may be replacing it."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from snnbridge.errors import IntegrityError, ReadError
from snnbridge.storage.journal import Part, journal_path, lock_path, read_journal
from snnbridge.storage.source import Source
from snnbridge.storage.system import is_locked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_TRIES = 50
_FIRST_PAUSE = 0.002
_LONGEST_PAUSE = 0.02
_UNCHANGED = 3


def read_set(
    paths: Sequence[str | os.PathLike[str]],
    belongs: Callable[[Sequence[Source]], bool],
    *,
    follow: bool = True,
    staged: Mapping[str, str] | None = None,
    trusted: bool = False,
) -> list[Source]:
    """Open files that belong together: all of one generation.

    Needs no permission to write. While a commit is under way, or pending because its writer
    died, the committed files are taken from where they are. Files that do not belong together
    are opened again for as long as somebody is replacing them.

    Parameters
    ----------
    paths
        The files; the head last, as they were written.
    belongs
        Whether these sources, in the order of ``paths``, are of one generation: by a digest
        or something as good that the head holds of the others.
    follow
        Whether the files before the head may be symbolic links; say no where the head names
        them.
    staged, trusted
        As in :class:`Source`.

    Returns
    -------
    list of Source
        One for each path.

    Raises
    ------
    FileNotFoundError
        One of them does not exist.
    IntegrityError
        They do not belong together, and nobody is replacing them.

    Examples
    --------
    >>> def belongs(sources):  # doctest: +SKIP
    ...     data, head = sources
    ...     return parse_json(head.data)["sha256"] == data.digest()
    >>> data, head = read_set(["a.npz", "a.json"], belongs)  # doctest: +SKIP
    """
    names = [Path(path) for path in paths]
    head = Path(os.path.realpath(names[-1]))
    patience = _Patience(head)
    while True:
        try:
            sources = _open_all(names, head, staged or {}, follow=follow, trusted=trusted)
        except FileNotFoundError as error:
            if patience.is_over(str(error.filename)):
                raise
            continue
        if belongs(sources):
            return sources
        if patience.is_over([source.identity for source in sources]):
            raise IntegrityError(
                f"{', '.join(repr(str(name)) for name in names)} do not belong together: the last "
                "describes other contents; one of them was replaced or changed alone"
            )


class _Patience:
    """Waits while somebody replaces the files: until they stay as they are, and not for ever."""

    def __init__(self, head: Path) -> None:
        self._head = head
        self._tries = self._unchanged = 0
        self._seen: object = None

    def is_over(self, found: object) -> bool:
        """Say whether to stop after what was found; otherwise wait a little longer each time."""
        self._tries += 1
        self._unchanged = self._unchanged + 1 if found == self._seen else 0
        self._seen = found
        if self._tries == _TRIES or (self._unchanged >= _UNCHANGED and not _is_busy(self._head)):
            return True
        time.sleep(min(_FIRST_PAUSE * self._tries, _LONGEST_PAUSE))
        return False


def _open_all(
    names: list[Path], head: Path, staged: Mapping[str, str], *, follow: bool, trusted: bool
) -> list[Source]:
    parts = {} if staged else {part.final: part for part in read_journal(head) or []}
    sources = []
    for i, name in enumerate(names):
        through = follow or i == len(names) - 1
        real = Path(os.path.realpath(name))
        part = parts.get(real.name) if real.parent == head.parent else None
        source = _committed(name, real, part, trusted=trusted) if part is not None else None
        sources.append(source or Source(name, follow=through, staged=staged, trusted=trusted))
    return sources


def _committed(name: Path, real: Path, part: Part, *, trusted: bool) -> Source | None:
    """Open the staged file that a pending commit made valid; None where it is in place."""
    with suppress(FileNotFoundError, ReadError):
        staged = {str(real): str(real.with_name(part.staged))}
        source = Source(name, staged=staged, trusted=trusted)
        if source.size == part.size and part.sha256 in {None, source.digest()}:
            return source
    return None


def _is_busy(head: Path) -> bool:
    return os.path.lexists(journal_path(head)) or is_locked(lock_path(head))
