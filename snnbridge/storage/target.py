"""Writing: all files of a checkpoint or none, old or new, never a mix."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from snnbridge.errors import NotDurable, ReadError, WriteError
from snnbridge.storage.commit import check_one_folder, commit, is_committed
from snnbridge.storage.source import Source
from snnbridge.storage.staged import StagedFile, refusal, sweep

if TYPE_CHECKING:
    from types import TracebackType


class Target:
    """The place of one file, or of several that belong together.

    Use it as a context manager. What is opened in the block is written beside the final files
    under hidden names. When the block ends without an exception, everything is on the disk and
    replaces the old files; when it ends with one, the old files are as they were.

    Of several files the one opened last is the head: it should hold what tells a reader that
    the others belong to it (their digests). It is missing while the others are replaced.

    Symbolic links are written through; the permissions of old files are kept; hard links end.

    Parameters
    ----------
    path
        The file, or what the names of the files begin with.

    Raises
    ------
    WriteError
        Nothing was replaced; the message says why.
    NotDurable
        Everything was replaced but the disk has not confirmed it.

    Examples
    --------
    >>> with Target("trained") as target:  # doctest: +SKIP
    ...     with target.open(".npz") as data:
    ...         data.write(b"...")
    ...     with target.open(".json") as head:
    ...         head.write(b"{}")
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._files: list[StagedFile] = []
        self._names: list[Path] = []

    def __repr__(self) -> str:
        return f"Target({str(self.path)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._abort()
            return
        try:
            self._commit()
        except NotDurable:
            self._release()
            raise
        except OSError as failure:
            self._abort()
            raise refusal(self.path, failure) from failure
        except ReadError as failure:  # a damaged journal stands in the way
            self._abort()
            raise WriteError(f"cannot write {str(self.path)!r}: {failure}") from failure
        except BaseException:
            self._abort()
            raise

    def open(
        self, suffix: str = "", *, name: str | None = None, sha256: bool = False
    ) -> StagedFile:
        """Begin one file.

        Parameters
        ----------
        suffix
            Appended to the target's name.
        name
            Another name in the same folder, instead.
        sha256
            Whether the digest is wanted, so that it is computed beside the writing.

        Returns
        -------
        StagedFile
            To be closed, best by ``with``, before the next one is opened.

        Raises
        ------
        WriteError
            If the path holds a NUL, the file was begun before, or the folder cannot be written.
        """
        if "\0" in f"{self.path}{suffix}{name}":
            raise WriteError(f"cannot write {str(self.path)!r}: the path holds a NUL character")
        given = self.path.with_name(name if name is not None else self.path.name + suffix)
        final = Path(os.path.realpath(given))
        if any(file.path == final for file in self._files):
            raise WriteError(f"{str(given)!r} was already written in this block")
        sweep(final)
        file = StagedFile(final, sha256=sha256)
        self._files.append(file)
        self._names.append(given)
        return file

    @property
    def written(self) -> int:
        """The bytes written so far, for a progress bar in another thread."""
        return sum(file.tell() for file in self._files)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files of the set as they will be named, in the order in which they were opened."""
        return tuple(self._names)

    def preview(self) -> Source:
        """Open the head as it will be, to read everything back before it replaces anything.

        ``sibling`` and ``together`` of the source find the other staged files.

        Returns
        -------
        Source
            To be closed before the block ends.

        Raises
        ------
        WriteError
            If nothing was written.
        """
        for file in self._files:
            file.close()
        if not self._files:
            raise WriteError(f"nothing was written to {str(self.path)!r}")
        staged = {str(file.path): str(file.staged) for file in self._files}
        return Source(self._names[-1], staged=staged)

    def _commit(self) -> None:
        if not self._files:
            raise WriteError(f"nothing was written to {str(self.path)!r}")
        check_one_folder(self._files)
        for file in self._files:
            file.close()
        commit(self._files)
        self._release()

    def _release(self) -> None:
        for file in self._files:
            file.release()

    def _abort(self) -> None:
        """Remove the staged files, unless a journal names them: then they are committed."""
        for file in self._files:
            with suppress(OSError, ReadError):
                if is_committed(self._files[-1].path, file.staged):
                    self._release()
                    return
            file.discard()
