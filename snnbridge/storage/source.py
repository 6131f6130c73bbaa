"""Reading: what a reader may open, from one file to those in its folder."""

from __future__ import annotations

import ntpath
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from snnbridge.errors import ReadError
from snnbridge.storage.limits import Limits
from snnbridge.storage.openfile import OpenFile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Source(OpenFile):
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
        super().__init__(path, follow=follow, staged=staged, trusted=trusted)
        self._others: list[Source] = []

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
        self,
        names: Sequence[str],
        belongs: Callable[[Sequence[Source]], bool],
        *,
        follow: bool = True,
    ) -> list[Source]:
        """Open files beside this one that belong together.

        Parameters
        ----------
        names
            Names in this file's folder.
        belongs
            Whether the files that were opened are of one set; see :func:`read_set`.
        follow
            Whether the files before the last may be symbolic links.

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
        found = read_set(paths, belongs, follow=follow, staged=self._staged, trusted=self.trusted)
        self._others += found
        return found
