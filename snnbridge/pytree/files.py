"""Trees of arrays in files."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol

from snnbridge.errors import OptionError
from snnbridge.model import Tree
from snnbridge.node_trees import choose
from snnbridge.storage import Source, Target
from snnbridge.wire import pack_into, unpack


class _Manager(Protocol):
    def wait_previous_save(self) -> object: ...
    def save_async(self, task: Callable[[], Any]) -> object: ...


def save_pytree(
    filename: str | os.PathLike[str],
    target: Tree,
    overwrite: bool = True,
    async_manager: _Manager | None = None,
    verbose: bool = True,
) -> str:
    """Save a tree of arrays with the bytes that ``brainpy.checkpoints.save_pytree`` writes.

    Parameters
    ----------
    filename : str or path
        Taken as it is: no ``.bp`` is appended, as in BrainPy 2.7 and later. Its folder is made
        if it is not there.
    target : tree
        Dicts, lists, tuples, numbers, text, bytes, and arrays of numpy, JAX, BrainPy or
        brainstate, with or without units.
    overwrite : bool
        Whether a file that is there is replaced: whole, once the new one is on the disk.
    async_manager : AsyncManager, optional
        Writes in the background. The arrays are those of this moment: what can still change is
        copied; read-only arrays, those of JAX too, are not.
    verbose : bool
        Whether to say on the standard output where the file goes.

    Returns
    -------
    str
        The file's name.

    Raises
    ------
    FileExistsError
        If the file is there and `overwrite` is false.
    WriteError
        If a value has no form in the file, naming its path, or the disk refuses. In the
        background the disk's refusal is raised by the manager's next call.

    Examples
    --------
    >>> save_pytree("a.bp", {"epoch": 3}, verbose=False)
    'a.bp'
    """
    name = os.fspath(filename)
    if verbose:
        sys.stdout.write(f"Saving checkpoint into {name}\n")
    if async_manager is not None:
        async_manager.wait_previous_save()
    path = Path(name)
    if not overwrite and path.exists():
        raise FileExistsError(
            errno.EEXIST, "the checkpoint is there; say overwrite=True to replace it", name
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    if async_manager is None:
        _write(path, lambda write: pack_into(target, write))
        return name
    pieces = _snapshot(target)
    async_manager.save_async(lambda: _write(path, lambda write: [write(x) for x in pieces]))
    return name


def _write(path: Path, produce: Callable[[Callable[[Any], object]], object]) -> None:
    with Target(path) as target, target.open() as file:
        produce(file.write)


def _snapshot(target: Tree) -> list[bytes | memoryview]:
    """Encode a tree; only memory that can still change is copied."""
    pieces: list[bytes | memoryview] = []

    def keep(piece: bytes | memoryview) -> None:
        fixed = isinstance(piece, bytes) or piece.readonly
        pieces.append(piece if fixed else bytes(piece))

    pack_into(target, keep)
    return pieces


def load_pytree(
    filename: str | os.PathLike[str],
    parallel: bool = True,
    *,
    target: Tree = None,
    missing: Literal["raise", "return target"] = "raise",
) -> Tree:
    """Load what :func:`save_pytree`, or BrainPy's own, saved.

    Parameters
    ----------
    filename : str or path
        A file; the same with ``.bp``, which BrainPy up to 2.6 appends while it saves; or a
        folder of files ``checkpoint_<step>``, of which the newest is loaded.
    parallel : bool
        Without effect: the file is mapped, and read where and when an array is used.
    target : tree, optional
        What to return where there is no file, with ``missing="return target"``.
    missing : "raise" or "return target"
        What to do where there is no file. BrainPy's documentation says that the target comes
        back; its code raises.

    Returns
    -------
    tree
        Nested dicts with text keys; lists and tuples come back as dicts with the keys "0",
        "1", ... Its arrays are read-only views of the file, which may be replaced meanwhile.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ReadError
        If it is damaged, or a folder without checkpoints.
    OptionError
        If `parallel` is no truth value: a target in its place, as other libraries take it.

    Examples
    --------
    >>> save_pytree("a.bp", {"epoch": 3}, verbose=False)
    'a.bp'
    >>> load_pytree("a.bp")
    {'epoch': 3}
    """
    if not isinstance(parallel, bool):
        raise OptionError(
            f"parallel must be True or False, not {type(parallel).__name__!r}; as in BrainPy it is "
            "the second argument; say target=... for what to return where there is no file"
        )
    found = _found(Path(filename))
    if found is None:
        if missing == "return target":
            return target
        raise FileNotFoundError(errno.ENOENT, "there is no checkpoint", os.fspath(filename))
    with Source(found) as source:
        if source.is_dir:
            with source.child(choose(source.names())) as newest:
                return unpack(newest.data)
        return unpack(source.data)


def _found(path: Path) -> Path | None:
    candidates = (path, path.with_name(f"{path.name}.bp") if path.name else path)
    return next((candidate for candidate in candidates if candidate.exists()), None)
