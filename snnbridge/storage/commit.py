"""Putting staged files in the place of the old ones, whatever happens meanwhile.

One file is replaced by one rename. A set is replaced through a journal, rolled forward:

1. take the lock of the head; finish a commit that a dead writer left pending;
2. write the journal under a staged name, on the disk; rename it: *the set is committed*;
3. unlink the old head, so that a reader who knows nothing of journals finds no mixed set;
4. rename the parts, then the head; unlink the journal; each step on the disk before the next.

A reader of this package takes the staged files from 2 on, so it always finds the old set or
the new one. A crash after 2 leaves work that the next writer, or :func:`recover`, finishes.
"""

from __future__ import annotations

import os
from pathlib import Path

from snnbridge.errors import NotDurable, ReadError, WriteError
from snnbridge.storage.journal import (
    Part,
    journal_path,
    journal_text,
    lock_path,
    read_journal,
)
from snnbridge.storage.staged import StagedFile, refusal, sweep
from snnbridge.storage.system import HOLDS_OPEN, locked, sync_folder


def commit(files: list[StagedFile]) -> None:
    """Replace the files, the last of which is the head, by their staged versions.

    Raises
    ------
    NotDurable
        They are in place, or will be for every reader of this package, but the disk reported
        an error afterwards.
    OSError
        Nothing was replaced.
    """
    if not HOLDS_OPEN:
        for file in files:
            file.release()
    head = files[-1].path
    if len(files) == 1:
        recover(head)
        files[0].inherit()
        _replace_one(files[0])
        return
    with locked(lock_path(head)):
        _finish_pending(head)
        sweep(journal_path(head))
        for file in files:
            file.inherit()
        _replace_set(head, [file.part() for file in files])


def _replace_one(file: StagedFile) -> None:
    file.staged.replace(file.path)
    try:
        sync_folder(file.path.parent)
    except OSError as error:
        raise _not_durable(file.path, error) from error


def _replace_set(head: Path, parts: list[Part]) -> None:
    journal = StagedFile(journal_path(head))
    try:
        journal.write(journal_text(parts))
        journal.close()
        sync_folder(head.parent)
        if not HOLDS_OPEN:
            journal.release()
        journal.staged.replace(journal.path)
    except BaseException:
        journal.discard()
        raise
    journal.release()
    try:
        sync_folder(head.parent)
        _roll_forward(head, parts)
    except OSError as error:
        raise _not_durable(head, error) from error


def _roll_forward(head: Path, parts: list[Part]) -> None:
    """Do what is left of a committed replacement; safe to be repeated from any point."""
    folder = head.parent
    if (folder / parts[-1].staged).exists():
        head.unlink(missing_ok=True)
        sync_folder(folder)
        for part in parts:
            if (folder / part.staged).exists():
                (folder / part.staged).replace(folder / part.final)
    sync_folder(folder)
    journal_path(head).unlink()
    sync_folder(folder)


def _finish_pending(head: Path) -> bool:
    parts = read_journal(head)
    if parts is None:
        return False
    _roll_forward(head, parts)
    return True


def recover(path: str | os.PathLike[str]) -> bool:
    """Finish the replacement of a set of files whose writer died.

    Readers of this package do not need it; other programs do, because they find the head of
    the set missing until then.

    Parameters
    ----------
    path
        The head of the set: the file that was opened last when it was written.

    Returns
    -------
    bool
        Whether there was something to finish.

    Raises
    ------
    WriteError
        The folder may not be written, or what stands there is no journal.

    Examples
    --------
    >>> recover("trained.json")  # doctest: +SKIP
    False
    """
    head = Path(os.path.realpath(path))
    try:
        if not os.path.lexists(journal_path(head)):
            return False
        with locked(lock_path(head)):
            return _finish_pending(head)
    except OSError as error:
        raise refusal(head, error) from error
    except ReadError as error:
        raise WriteError(f"cannot finish the writing of {str(head)!r}: {error}") from error


def is_committed(head: Path, staged: Path) -> bool:
    """Whether a journal of ``head`` names a staged file, which then must not be removed."""
    parts = read_journal(head)
    return parts is not None and any(part.staged == staged.name for part in parts)


def _not_durable(path: Path, error: OSError) -> NotDurable:
    return NotDurable(
        f"{str(path)!r} was replaced, but the disk has not confirmed it "
        f"({error.strerror or error}); write it again when the disk is well"
    )


def check_one_folder(files: list[StagedFile]) -> None:
    """Refuse a set whose files lie in several folders: one journal could not name them."""
    folders = sorted({str(file.path.parent) for file in files})
    if len(folders) > 1:
        raise WriteError(
            f"{files[0].path.name!r} and {files[-1].path.name!r} belong together but symbolic "
            f"links lead to different folders ({', '.join(folders)}); write to the real path"
        )
