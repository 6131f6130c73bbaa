"""One file that is being written under a hidden name, in the folder where it will stand."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from snnbridge.errors import WriteError
from snnbridge.storage.journal import Part, is_staged_for, names_staged, staged_name
from snnbridge.storage.output import BLOCK, Output
from snnbridge.storage.readback import ReadBack
from snnbridge.storage.system import (
    NO_FOLLOW,
    create,
    open_to_write,
    set_mode,
    sync_file,
    try_lock,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from _typeshed import ReadableBuffer
    from numpy.typing import NDArray


_TINY = 16 << 10


class StagedFile:
    """A file that is written once, from its start to its end.

    Small pieces are gathered into blocks of 4 MiB, large ones go to the kernel from where they
    are; a buffer may be reused as soon as :meth:`write` returns. Made by ``Target.open``.

    Parameters
    ----------
    final
        Real path of the file that this one will replace.
    sha256
        Whether to compute the digest beside the writing, by another thread. Without it
        :attr:`sha256` reads the file again when it is asked for.

    Raises
    ------
    WriteError
        ``final`` is a folder, a device or read-only; its folder is missing or read-only; its
        name is too long.
    """

    def __init__(self, final: Path, *, sha256: bool = False) -> None:
        self.path = final
        self._old = _status(final)
        self.closed = False
        self.watcher: Callable[[int], None] | None = None
        self.staged, self._descriptor = _stage(final, 0o666 if self._old is None else 0o600)
        self._output = Output(self._descriptor, self._progress)
        self._digest: str | None = None
        self._sha = hashlib.sha256()
        self._advancing = threading.Lock()
        self._hashed = self._taken = 0
        self._settled = sys.maxsize
        self._readers: list[ReadBack] = []
        self._behind = self.read_behind() if sha256 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()

    def read_behind(self) -> ReadBack:
        """Give a thread that reads what is written, for checksums."""
        self._readers.append(ReadBack(self.staged))
        return self._readers[-1]

    def tell(self) -> int:
        """Give the number of bytes written so far."""
        return self._output.position

    def write(self, buffer: ReadableBuffer) -> int:
        """Append the bytes of a C-contiguous buffer; give their number.

        Raises
        ------
        WriteError
            The disk is full, or another error of the system; the old file is unchanged.
        """
        if self.closed:
            raise ValueError(f"the file for {str(self.path)!r} is closed")
        try:
            return self._output.write(buffer)
        except OSError as error:
            raise refusal(self.path, error) from error

    def write_array(self, array: NDArray[Any]) -> int:
        """Append an array's elements in C order, little-endian; give the number of bytes.

        The array may have any strides, byte order and dtype but object; at most 4 MiB of it
        are copied at a time, nothing where it has that form already.
        """
        from snnbridge.storage.arrays import array_bytes, blocks

        if array.nbytes < _TINY:
            return self.write(array_bytes(array))
        return sum(self.write(block) for block in blocks(array))

    def align(self, boundary: int) -> None:
        """Append zeros up to a multiple of ``boundary``."""
        self.write(bytes(-self.tell() % boundary))

    def flush(self) -> None:
        """Hand the gathered pieces to the kernel."""
        try:
            self._output.flush()
        except OSError as error:
            raise refusal(self.path, error) from error

    def defer(self) -> None:
        """Have the digest wait for :meth:`settle`, for a part that will be patched."""
        self._settled = self.tell()

    def settle(self, stop: int) -> None:
        """Say that the bytes before ``stop`` have their final values."""
        self._settled = stop
        self._advance()

    def _progress(self, written: int) -> None:
        self._taken = written
        self._advance()
        if self.watcher is not None:
            self.watcher(written)

    def _advance(self, least: int = BLOCK) -> None:
        """Have what the kernel has taken and nobody will patch digested; by any thread."""
        if self._behind is None:
            return
        with self._advancing:
            stop = min(self._taken, self._settled)
            if stop - self._hashed >= least:
                self._behind.submit(self._hashed, stop, self._sha.update)
                self._hashed = stop

    def close(self) -> None:
        """End the writing: everything is on the disk when this returns.

        Raises
        ------
        WriteError
            The disk is full or failed; the old file is unchanged.
        """
        if self.closed:
            return
        self.flush()
        self._settled = self.tell()
        self._advance(least=1)
        try:
            if self._old is not None:
                set_mode(self._descriptor, self.staged, self._old)
            sync_file(self._descriptor)
        except OSError as error:
            raise refusal(self.path, error) from error
        if self._behind is not None:
            self._behind.finish()
            self._digest = self._sha.hexdigest()
        self.closed = True

    @property
    def sha256(self) -> str:
        """The SHA-256 of the closed file, hexadecimal."""
        if not self.closed:
            raise ValueError(f"close the file for {str(self.path)!r} before asking for its digest")
        if self._digest is None:
            with (self.path if self._descriptor < 0 else self.staged).open("rb") as file:
                self._digest = hashlib.file_digest(file, "sha256").hexdigest()
        return self._digest

    def inherit(self) -> None:
        """Take over the permissions of a file that was being replaced while we opened ours."""
        if self._old is None:
            with suppress(FileNotFoundError):
                set_mode(self._descriptor, self.staged, self.path.lstat())

    def part(self) -> Part:
        """Give the file's line in the journal; its digest where it is known."""
        return Part(self.path.name, self.staged.name, self.tell(), self._digest)

    def release(self) -> None:
        """Give up the descriptor and with it the lock."""
        for reader in self._readers:
            reader.cancel()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self.closed = True

    def discard(self) -> None:
        """Remove the staged file."""
        with suppress(OSError):
            self.staged.unlink()
        self.release()


def refusal(path: Path, error: OSError) -> WriteError:
    """Make the error that says why a file could not be written."""
    reason = error.strerror or str(error)
    return WriteError(f"cannot write {str(path)!r}: {reason}; what was there before is unchanged")


def _status(final: Path) -> os.stat_result | None:
    """Look at the file that will be replaced, and refuse what must not be."""
    try:
        status = final.lstat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise refusal(final, error) from error
    if stat.S_ISDIR(status.st_mode):
        raise WriteError(f"cannot write {str(final)!r}: it is a folder; name a file")
    if not stat.S_ISREG(status.st_mode):
        raise WriteError(f"cannot write {str(final)!r}: it is a pipe or a device, not a file")
    try:
        os.close(open_to_write(final))
    except FileNotFoundError:  # another writer is replacing it
        return None
    except PermissionError as error:
        raise WriteError(f"cannot write {str(final)!r}: the file is read-only") from error
    except OSError as error:
        raise refusal(final, error) from error
    return status


def _stage(final: Path, mode: int) -> tuple[Path, int]:
    """Create the staged file and lock it, so that nobody takes it for a leftover."""
    while True:
        path = final.with_name(staged_name(final.name))
        try:
            descriptor = create(path, mode)
        except FileExistsError:
            continue
        except FileNotFoundError as error:
            raise WriteError(
                f"cannot write {str(final)!r}: the folder {str(final.parent)!r} does not exist"
            ) from error
        except PermissionError as error:
            raise WriteError(
                f"cannot write {str(final)!r}: no file may be made in {str(final.parent)!r} "
                f"({error.strerror})"
            ) from error
        except OSError as error:
            raise refusal(final, error) from error
        if sys.platform == "win32":  # a file that is open cannot be removed there
            return path, descriptor
        if try_lock(descriptor) is not False and os.fstat(descriptor).st_nlink:
            return path, descriptor
        os.close(descriptor)  # a sweep was faster and is removing it


def sweep(final: Path) -> None:
    """Remove staged files of ``final`` that a killed writer left.

    A staged file whose lock is free has no living writer, and if no journal names it then it
    was not committed either.
    """
    with suppress(OSError), os.scandir(final.parent) as entries:
        for entry in entries:
            if is_staged_for(entry.name, final.name):
                with suppress(OSError):
                    _remove_if_abandoned(final.with_name(entry.name))


def _remove_if_abandoned(path: Path) -> None:
    if sys.platform == "win32":
        if not names_staged(path.parent, path.name):
            path.unlink()
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | NO_FOLLOW)
    try:
        if try_lock(descriptor) and not names_staged(path.parent, path.name):
            path.unlink()
    finally:
        os.close(descriptor)
