"""Reading: one descriptor that is checked and read, mapped as far as it is touched."""

from __future__ import annotations

import hashlib
import mmap
import ntpath
import os
import re
import stat
import sys
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Self

from snnbridge.errors import ReadError
from snnbridge.storage.journal import pending_file
from snnbridge.storage.limits import Limits
from snnbridge.storage.system import open_to_read

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_DEFAULT = Limits()
_SMALL_READ = 1 << 20


class Source:
    """A file or a folder that is open for reading.

    The file is opened once, found to be a regular one and from then on read through that one
    descriptor: what is checked is what is read, also when somebody replaces the file meanwhile.
    (A writer that changes the file in place is seen; every writer of this package replaces.)

    Parameters
    ----------
    path
        The file or folder. Where a set of files was being replaced and the writer died, the
        file that its last commit made valid.
    follow
        Whether ``path`` itself may be a symbolic link.
    staged
        For reading files back before they are committed: where the file of a real path is.
    trusted
        Whether the file's origin is known, so that what only costs time and memory is allowed.
        Files that are opened from this one are trusted as it is.

    Attributes
    ----------
    path : Path
        The path as it was given.
    size : int
        Bytes; 0 for a folder.
    is_dir : bool
        Whether it is a folder.
    links : int
        How many names it has: a hard link in a downloaded folder can be any file of its reader.
    trusted : bool
    limits : Limits
        What a codec may take from this file.

    Raises
    ------
    FileNotFoundError
        There is nothing of that name.
    PermissionError
        It may not be read.
    ReadError
        A pipe, a device, a socket, a link that must not be followed.

    Examples
    --------
    >>> with Source("trained.npz") as source:  # doctest: +SKIP
    ...     head = source.read(0, 4)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        follow: bool = True,
        staged: Mapping[str, str] | None = None,
        trusted: bool = False,
    ) -> None:
        self.path = Path(path)
        self.trusted = trusted
        self.limits = _DEFAULT.trusted() if trusted else _DEFAULT
        self._staged = staged or {}
        self._data: memoryview | None = None
        self._others: list[Source] = []
        actual: str | Path = self.path
        if self._staged:
            actual = self._staged.get(os.path.realpath(self.path), self.path)
        self._descriptor = self._open(actual, follow=follow)
        status = Path(actual).stat() if self._descriptor < 0 else os.fstat(self._descriptor)
        self.is_dir = stat.S_ISDIR(status.st_mode)
        self.size = 0 if self.is_dir else status.st_size
        self.links = status.st_nlink
        self.identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        self._close = weakref.finalize(self, _close, self._descriptor)

    def _open(self, actual: str | Path, *, follow: bool) -> int:
        if sys.platform == "win32" and Path(actual).is_dir():  # has no descriptor there
            return -1
        try:
            return open_to_read(actual, follow=follow)
        except FileNotFoundError:
            if (pending := pending_file(Path(os.path.realpath(self.path)))) is None:
                raise
            return open_to_read(pending, follow=False)

    def __repr__(self) -> str:
        return f"Source({str(self.path)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the descriptor; views of the file's data stay valid. Closing twice is allowed."""
        self._close()

    @property
    def data(self) -> memoryview:
        """The whole file as read-only bytes, mapped: what is not touched is not read.

        The mapping lives as long as a view of it does, longer than this object if need be.

        Raises
        ------
        ReadError
            If it is a folder, or became shorter since it was opened.
        ValueError
            If it is closed.
        """
        if self._data is None:
            self._data = self._map()
        return self._data

    def _map(self) -> memoryview:
        self._expect_file()
        if self.size == 0:
            return memoryview(b"")
        try:
            mapping = mmap.mmap(self._descriptor, self.size, access=mmap.ACCESS_READ)
        except ValueError as error:
            raise ReadError(f"{str(self.path)!r} became shorter while it was opened") from error
        except OSError:  # a file system that cannot map
            with os.fdopen(os.dup(self._descriptor), "rb") as file:
                file.seek(0)
                return memoryview(file.read(self.size))
        return memoryview(mapping)

    def _expect_file(self) -> None:
        if not self._close.alive:
            raise ValueError(f"{self!r} is closed")
        if self.is_dir:
            raise ReadError(f"{str(self.path)!r} is a folder, expected a file")

    def read(self, offset: int, count: int) -> bytes:
        """Read ``count`` bytes at ``offset``; fewer where the file ends before.

        A small piece is read without mapping the file: for a look at its head.

        Parameters
        ----------
        offset, count : int
            In bytes, not negative.

        Raises
        ------
        ReadError
            If it is a folder.
        ValueError
            If a number is negative, or it is closed.
        """
        if offset < 0 or count < 0:
            raise ValueError(f"offset and count must not be negative, got {offset}, {count}")
        if self._data is None:
            self._expect_file()
        if self._data is not None or count > _SMALL_READ or sys.platform == "win32":
            return bytes(self.data[offset : offset + count])
        return os.pread(self._descriptor, max(0, min(count, self.size - offset)), offset)

    def digest(self) -> str:
        """Compute the SHA-256 of the whole file in hexadecimal, in bounded memory.

        Raises
        ------
        ReadError
            If it is a folder, or becomes shorter meanwhile.
        """
        if self.is_dir:
            self._expect_file()
        result = hashlib.sha256()
        for start in range(0, self.size, _SMALL_READ):
            piece = self.read(start, _SMALL_READ)
            if len(piece) != min(_SMALL_READ, self.size - start):
                raise ReadError(f"{str(self.path)!r} became shorter while it was read")
            result.update(piece)
        return result.hexdigest()

    def opened(self) -> list[Source]:
        """Give every file that was opened from this one, and this one if it is a file.

        Each path stands once, as it was opened last. Of one that was closed since, the data can
        still be read if it was before.
        """
        found = {} if self.is_dir else {self.path: self}
        for other in self._others:
            found |= {source.path: source for source in other.opened()}
        return list(found.values())

    def names(self, *, limits: Limits | None = None) -> list[str]:
        """List the names in the folder, sorted.

        Parameters
        ----------
        limits
            ``folder_entries`` applies.

        Raises
        ------
        ReadError
            If it is a file, or has more entries than allowed.
        """
        limits = limits or self.limits
        if not self.is_dir:
            raise ReadError(f"{str(self.path)!r} is a file, expected a folder")
        names: list[str] = []
        with os.scandir(self.path if self._descriptor < 0 else self._descriptor) as entries:
            for entry in entries:
                names.append(entry.name)
                if len(names) > limits.folder_entries:
                    raise ReadError(
                        f"the folder {str(self.path)!r} has more than {limits.folder_entries} "
                        "entries"
                    )
        return sorted(names)

    def child(self, name: str, *, follow: bool = True) -> Source:
        """Open something in this folder.

        Parameters
        ----------
        name
            A name, or several joined by ``/``; never absolute, never upwards.
        follow
            Whether symbolic links are followed. Say no where ``name`` was found in a file:
            a link in a downloaded folder can lead to any file of its reader.

        Returns
        -------
        Source
            To be closed, best by ``with``.

        Raises
        ------
        FileNotFoundError
            If there is nothing of that name.
        ReadError
            If this is a file, or the name is none within the folder.
        """
        if not self.is_dir:
            raise ReadError(f"{str(self.path)!r} is a file, expected a folder")
        return self._below(self.path, name, follow=follow)

    def sibling(self, name: str, *, follow: bool = True) -> Source:
        """Open something beside this file.

        Parameters
        ----------
        name
            A suffix such as ``.json``, which replaces this file's own, or a name as in
            :meth:`child`.
        follow
            As in :meth:`child`.

        Returns
        -------
        Source
            To be closed, best by ``with``.

        Raises
        ------
        FileNotFoundError
            If there is nothing of that name.
        ReadError
            If the name is none within the folder.

        Examples
        --------
        >>> with source.sibling(".json") as record:  # doctest: +SKIP
        ...     text = record.data
        """
        if re.fullmatch(r"\.[^./\0]+", name):
            name = self.path.with_suffix(name).name
        return self._below(self.path.parent, name, follow=follow)

    def _below(self, folder: Path, name: str, *, follow: bool) -> Source:
        parts = name.split("/")
        foreign = sys.platform == "win32" and (ntpath.splitdrive(name)[0] or "\\" in name)
        if foreign or "\0" in name or any(part in {"", ".", ".."} for part in parts):
            raise ReadError(
                f"{name!r} is no name of a file in {str(folder)!r}; "
                "expected a relative path without '..'"
            )
        if not follow:
            for count in range(1, len(parts)):
                if (step := folder.joinpath(*parts[:count])).is_symlink():
                    raise ReadError(f"{str(step)!r} is a symbolic link that must not be followed")
        other = Source(
            folder.joinpath(*parts), follow=follow, staged=self._staged, trusted=self.trusted
        )
        self._others.append(other)
        return other

    def together(
        self, names: Sequence[str], belongs: Callable[[Sequence[Source]], bool]
    ) -> list[Source]:
        """Open files beside this one that belong together.

        Parameters
        ----------
        names
            Names in this file's folder.
        belongs
            Whether the files that were opened are of one set; see :func:`read_set`.

        Returns
        -------
        list of Source
            One for each name.

        Raises
        ------
        FileNotFoundError
            If one is missing.
        ReadError
            If they do not belong together.
        """
        from snnbridge.storage.sets import read_set

        paths = [self.path.with_name(name) for name in names]
        found = read_set(paths, belongs, staged=self._staged, trusted=self.trusted)
        self._others += found
        return found


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)
