"""BrainPy's own way of saving and loading, without BrainPy.

The functions have the names, the signatures and the bytes of ``brainpy.checkpoints`` and of
``brainpy.save_state``, ``brainpy.load_state``, so that a script needs another import only. They
work on a running network of BrainPy and on a :class:`snnbridge.SNNCheckpoint` alike, and import
neither BrainPy nor JAX. Files are replaced whole or not at all.

>>> import numpy as np
>>> from snnbridge import Linear, SNNCheckpoint
>>> from snnbridge.pytree import load_state, save_state
>>> checkpoint = SNNCheckpoint([Linear("fc", np.zeros((2, 3), np.float32))])
>>> states = save_state(checkpoint)
>>> states["fc"]["fc.W"].shape
(3, 2)
>>> load_state(checkpoint, {"fc": {"fc.W": np.ones((3, 2), np.float32)}})
StateLoadResult(missing_keys=[], unexpected_keys=[])
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, Self

from snnbridge.errors import OptionError
from snnbridge.model import SNNCheckpoint, Tree
from snnbridge.statedict import (
    RESERVED,
    choose,
    is_net,
    nodes_in,
    nodes_of,
    put_nodes,
    put_state,
    state_of,
)
from snnbridge.storage import Source, Target
from snnbridge.wire import pack_into, unpack

__all__ = [
    "AsyncManager",
    "StateLoadResult",
    "load_pytree",
    "load_state",
    "save_pytree",
    "save_state",
]


class StateLoadResult(NamedTuple):
    """What did not fit while a state was loaded.

    Attributes
    ----------
    missing_keys : list of str
        What the target has and the state dict has not: ``Dense0``, or ``Dense0.Dense0.b``.
    unexpected_keys : list of str
        What the state dict has and the target has not.
    """

    missing_keys: list[str]
    unexpected_keys: list[str]


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


def save_state(target: Any) -> dict[str, dict[str, Any]]:
    """Return the whole state of a network, node by node.

    Parameters
    ----------
    target : SNNCheckpoint or a network of BrainPy

    Returns
    -------
    dict of str to dict of str to array
        Of BrainPy what ``brainpy.save_state`` returns. Of a checkpoint ``{"fc": {"fc.W": ...,
        "fc.b": ...}, "lif": {"lif.V": ...}}`` with the weights as (in, out) views.

    Raises
    ------
    TypeError
        If it is neither.

    Examples
    --------
    >>> import numpy as np
    >>> from snnbridge import Linear
    >>> save_state(SNNCheckpoint([Linear("fc", np.zeros((1, 2)))]))
    {'fc': {'fc.W': array([[0.],
           [0.]])}}
    """
    if isinstance(target, SNNCheckpoint):
        return nodes_in(target)
    if not is_net(target):
        raise TypeError(
            f"expected a network of BrainPy or an SNNCheckpoint, found {type(target).__name__!r}"
        )
    return {name: state_of(node) for name, node in nodes_of(target).items()}


def load_state(target: Any, state_dict: Mapping[str, Mapping[str, Any]]) -> StateLoadResult:
    """Put a state into a network, in place.

    Parameters
    ----------
    target : SNNCheckpoint or a network of BrainPy
    state_dict : mapping
        As :func:`save_state` returns it, or :func:`load_pytree` loads it.

    Returns
    -------
    StateLoadResult
        Nodes of the state dict that the target does not have are unexpected, unless they are
        empty, as integrators are.

    Raises
    ------
    CheckpointError
        If an array has another shape than the checkpoint's, or a dtype of another kind; nothing
        is changed then.
    TypeError
        If `target` is neither a network nor a checkpoint.

    Warns
    -----
    UserWarning
        If values are rounded to the dtype that the checkpoint holds, which stays.

    Examples
    --------
    >>> import numpy as np
    >>> from snnbridge import Linear
    >>> checkpoint = SNNCheckpoint([Linear("fc", np.zeros((1, 2), np.float32))])
    >>> load_state(checkpoint, {"fc": {"fc.W": np.ones((2, 1))}})
    StateLoadResult(missing_keys=[], unexpected_keys=[])
    >>> checkpoint.weights[0]
    array([[1., 1.]], dtype=float32)
    """
    result = _compared(save_state(target), state_dict)
    if isinstance(target, SNNCheckpoint):
        put_nodes(target, state_dict)
        return result
    for name, node in nodes_of(target).items():
        if name in state_dict:
            put_state(node, dict(state_dict[name]))
    return result


def _compared(
    own: Mapping[str, Mapping[str, Any]], given: Mapping[str, Mapping[str, Any]]
) -> StateLoadResult:
    missing: list[str] = []
    unexpected: list[str] = []
    for name, entries in own.items():
        if name not in given:
            missing.append(name)
            continue
        missing += [f"{name}.{key}" for key in entries if key not in given[name]]
        unexpected += [f"{name}.{key}" for key in given[name] if key not in entries]
    unexpected += [name for name, x in given.items() if name not in own and _counts(name, x)]
    return StateLoadResult(missing, unexpected)


def _counts(name: str, entries: object) -> bool:
    return name != RESERVED and not (isinstance(entries, Mapping) and not entries)


class AsyncManager:
    """Saves in the background, one file at a time.

    A failure is raised by the next :meth:`wait_previous_save`, :meth:`save_async` or
    :meth:`close`. As a context manager it closes itself.

    Parameters
    ----------
    max_workers : int
        For likeness with BrainPy's; one save is in flight at most.

    Examples
    --------
    >>> with AsyncManager() as manager:
    ...     _ = save_pytree("a.bp", {"epoch": 3}, async_manager=manager, verbose=False)
    >>> load_pytree("a.bp")
    {'epoch': 3}
    """

    def __init__(self, max_workers: int = 1) -> None:
        self.executor = ThreadPoolExecutor(max_workers, thread_name_prefix="snnbridge-save")
        self.save_future: Future[Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wait_previous_save(self) -> None:
        """Wait until the file that is being saved is on the disk; raise what went wrong."""
        future, self.save_future = self.save_future, None
        if future is not None:
            future.result()

    def save_async(self, task: Callable[[], Any]) -> None:
        """Wait for the save in flight, then begin another.

        Raises
        ------
        RuntimeError
            If the manager is closed.
        """
        self.wait_previous_save()
        self.save_future = self.executor.submit(task)

    def close(self) -> None:
        """Wait for the save in flight and end the thread."""
        try:
            self.wait_previous_save()
        finally:
            self.executor.shutdown()
