"""One file or folder, opened once, checked, and mapped as far as it is touched."""

from __future__ import annotations

import hashlib
import mmap
import os
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
    from collections.abc import Mapping

_DEFAULT = Limits()
_SMALL_READ = 1 << 20


class OpenFile:
    """What is open, and its bytes; :class:`Source` says what the arguments mean."""

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
        return f"{type(self).__name__}({str(self.path)!r})"

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


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)
