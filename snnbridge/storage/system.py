"""The calls that differ between operating systems, and how a file is opened with care."""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from snnbridge.errors import ReadError, WriteError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOLDS_OPEN = sys.platform != "win32"
"""Whether a file that is open can be renamed and unlinked."""

NO_FOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
_COMMON: int = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_READ: int = os.O_RDONLY | _COMMON | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_PATIENCE = 60.0
_NO_LOCKS = frozenset({errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOLCK, errno.EBADF})
_NO_DIRECTORY_SYNC = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF})


def open_to_read(path: str | Path, *, follow: bool = True) -> int:
    """Open a regular file or a folder; nothing that could block or act when it is opened.

    Parameters
    ----------
    path
        The file or folder.
    follow
        Whether the last component may be a symbolic link.

    Returns
    -------
    int
        The descriptor: what the caller checks with it is what the caller reads.
    """
    shown = str(path)
    if "\0" in shown:
        raise ReadError(f"the path {shown!r} holds a NUL character")
    flags = _READ if follow else _READ | NO_FOLLOW
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ReadError(f"{shown!r} is a symbolic link that must not be followed") from error
        if error.errno == errno.ENXIO:
            raise ReadError(f"{shown!r} is a socket, not a file") from error
        if error.errno == errno.ENAMETOOLONG:
            raise FileNotFoundError(error.errno, error.strerror, shown) from error
        if isinstance(error, FileNotFoundError | NotADirectoryError | PermissionError):
            raise
        raise ReadError(f"{shown!r} cannot be opened: {error.strerror}") from error
    mode = os.fstat(descriptor).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        os.close(descriptor)
        raise ReadError(f"{shown!r} is a pipe or a device, not a file")
    return descriptor


def read_small(path: Path, most: int) -> bytes:
    """Read a small regular file, symbolic links refused.

    Raises
    ------
    ReadError
        The file is not a regular one or holds more than ``most`` bytes.
    FileNotFoundError
        There is no such file.
    """
    descriptor = open_to_read(path, follow=False)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ReadError(f"{str(path)!r} is a folder, expected a file")
        data = bytearray()
        while len(data) <= most and (piece := os.read(descriptor, most + 1 - len(data))):
            data += piece
    finally:
        os.close(descriptor)
    if len(data) > most:
        raise ReadError(f"{str(path)!r} holds more than {most} bytes")
    return bytes(data)


def open_to_write(path: Path) -> int:
    """Open a file that exists, for writing; nothing is written or cut."""
    return os.open(path, os.O_WRONLY | NO_FOLLOW | _COMMON | getattr(os, "O_NONBLOCK", 0))


def create(path: Path, mode: int) -> int:
    """Create a file that must not exist, for reading and writing; give its descriptor."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | NO_FOLLOW | _COMMON, mode)


def sync_file(descriptor: int) -> None:
    """Wait until the disk holds the file's bytes."""
    if sys.platform == "darwin":
        with suppress(OSError):  # fsync alone leaves the bytes in the drive's own cache there
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Wait until the disk holds the folder's entries; nothing where that cannot be asked for."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY | _COMMON)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_DIRECTORY_SYNC:
            raise
    finally:
        os.close(descriptor)


def start_writeback(descriptor: int, start: int, length: int) -> None:
    """Ask the kernel to begin writing a range out, so that the disk works while we do.

    Linux starts the writing of dirty pages when it is told that they are not needed; the pages
    stay in memory because they are not clean yet.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.posix_fadvise(descriptor, start, length, os.POSIX_FADV_DONTNEED)


def set_mode(descriptor: int, path: Path, like: os.stat_result) -> None:
    """Give a new file the permissions, and where we may the owner, of the one it replaces."""
    if sys.platform == "win32":
        path.chmod(stat.S_IMODE(like.st_mode))
        return
    mine = os.fstat(descriptor)
    if (mine.st_uid, mine.st_gid) != (like.st_uid, like.st_gid):
        with suppress(OSError):
            os.fchown(descriptor, like.st_uid, like.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(like.st_mode))


def try_lock(descriptor: int) -> bool | None:
    """Take the lock of an open file: True taken, False held by another, None unsupported.

    The lock is the descriptor's: it ends when the process does, however it ends.
    """
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return None if error.errno in _NO_LOCKS else False
    return True


def is_locked(path: Path) -> bool:
    """Whether a living process holds the lock file; needs no permission to write."""
    try:
        descriptor = os.open(path, _READ | NO_FOLLOW)
    except OSError:
        return False
    held = True
    try:
        if sys.platform != "win32":
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            held = False
    except BlockingIOError:
        pass
    except OSError:  # no locks here
        held = False
    finally:
        os.close(descriptor)
    return held


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file ``path``; it exists while somebody holds it.

    Raises
    ------
    WriteError
        Another process has held it for a minute.
    """
    descriptor = _acquire(path, time.monotonic() + _PATIENCE)
    try:
        yield
    finally:
        with suppress(OSError):  # Windows: another process waits for it with the file open
            path.unlink()
        if sys.platform != "win32":
            with suppress(OSError):  # a forked child may hold the descriptor as well
                fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _acquire(path: Path, deadline: float) -> int:
    pause = 0.001
    while True:
        descriptor = _open_lock(path)
        if try_lock(descriptor) is not False and _is_still(descriptor, path):
            return descriptor
        os.close(descriptor)
        if time.monotonic() > deadline:
            raise WriteError(
                f"another process is writing the same files and holds {str(path)!r}; "
                "wait for it to end, or end it"
            )
        time.sleep(pause)
        pause = min(2 * pause, 0.05)


def _open_lock(path: Path) -> int:
    flags = os.O_CREAT | NO_FOLLOW | _COMMON
    try:
        return os.open(path, os.O_RDWR | flags, 0o666)
    except PermissionError:  # another user's; reading is enough to lock it
        return os.open(path, os.O_RDONLY | flags, 0o666)


def _is_still(descriptor: int, path: Path) -> bool:
    """Whether the file that we locked is the one of that name, not one unlinked meanwhile."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False
