"""The files around a pickle: the zip archive of PyTorch 1.6 and later, and the older stream.

An archive holds, under one root folder, ``data.pkl``, a record ``data/<key>`` for each storage and
``byteorder``. The older stream is five pickles in a row (a magic number, the protocol, the sizes
of C types, the tree, the keys of the storages), then for each key the count of elements and the
elements themselves.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from snnbridge import ReadError
from snnbridge.storage import Limits, ZipReader, is_zip
from snnbridge_plugins.torch.unpickle import Machine
from snnbridge_plugins.torch.values import STORAGES, Global, Storage, dtype_of

#: Start of the older stream: a pickle of its magic number.
LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_COUNT = struct.Struct("<q")
_REMEDY = "load it with torch and save net.state_dict()"


@dataclass(slots=True)
class Contents:
    """What a file holds.

    Parameters
    ----------
    tree
        Containers, numbers, text, and :class:`Tensor`.
    root : str
        The folder in the archive; empty for the older stream.
    archive : ZipReader, optional
    is_checked : bool
        Whether every record was held against its CRC-32.
    """

    tree: Any
    root: str = ""
    archive: ZipReader | None = None
    is_checked: bool = False


def read_contents(data: memoryview, *, verify: bool, limits: Limits) -> Contents:
    """Read a file of ``torch.save``.

    Parameters
    ----------
    data : memoryview
        The whole file; tensors are views of it.
    verify : bool
        Whether each record is held against its CRC-32.
    limits : Limits

    Raises
    ------
    ReadError
        If it is no such file, damaged, or holds more than a tree of tensors.
    """
    if is_zip(data):
        return _read_archive(data, verify, limits)
    if bytes(data[: len(LEGACY)]) == LEGACY:
        return Contents(_read_stream(data))
    raise ReadError("neither an archive nor a stream of torch.save")


def _read_archive(data: memoryview, verify: bool, limits: Limits) -> Contents:
    archive = ZipReader(data, limits=limits)
    checked = [_check(archive, name) for name in archive.names] if verify else [False]
    roots = [n.removesuffix("/data.pkl") for n in archive.names if n.endswith("/data.pkl")]
    if len(roots) != 1:
        raise ReadError(f"an archive of torch.save has one data.pkl, found {len(roots)}")
    root = roots[0]
    if f"{root}/constants.pkl" in archive:
        raise ReadError(f"a TorchScript program is not run; {_REMEDY}")
    big = _byte_order(archive, root)
    storages: dict[str, Storage] = {}

    def load(key: str) -> Callable[[], memoryview]:
        return partial(archive.data, f"{root}/data/{key}")

    def persistent(identity: Any) -> Storage:
        key, dtype, count = _storage_id(identity)
        if key not in storages:
            storages[key] = Storage(dtype, count, load(key), big)
        return _same(storages[key], dtype, count, key)

    pickle = archive.data(f"{root}/data.pkl")
    return Contents(Machine(pickle, persistent).run(), root, archive, all(checked))


def _check(archive: ZipReader, name: str) -> bool:
    """Hold a record against its CRC-32; False where PyTorch was told to compute none."""
    member = archive.member(name)
    stated = member.crc != 0 or member.size == 0
    archive.data(name, verify=stated)
    return stated


def _byte_order(archive: ZipReader, root: str) -> bool:
    """Whether the numbers are big-endian."""
    name = f"{root}/byteorder"
    order = bytes(archive.data(name)[:8]) if name in archive else b"little"
    if order not in (b"little", b"big"):
        raise ReadError(f"the byte order must be little or big, not {order!r}")
    return order == b"big"


def _storage_id(identity: Any) -> tuple[str, str | None, int]:
    """Check what a pickle says about a storage; give its key, dtype and count."""
    if not isinstance(identity, tuple) or len(identity) not in (5, 6) or identity[0] != "storage":
        raise ReadError(f"the pickle holds the source code of a module; {_REMEDY}")
    _, kind, key, _location, count = identity[:5]
    name = kind.name.rpartition(".")[2] if isinstance(kind, Global) else ""
    if name != "UntypedStorage" and name not in STORAGES:
        raise ReadError(f"a storage of type {name!r} is not read")
    if not isinstance(key, str | int) or type(count) is not int or count < 0:
        raise ReadError(f"a storage has the key {key!r} and {count!r} elements")
    return str(key), STORAGES.get(name), count


def _same(storage: Storage, dtype: str | None, count: int, key: str) -> Storage:
    if (storage.dtype, storage.count) != (dtype, count):
        raise ReadError(f"the pickle states storage {key!r} twice, with other types or sizes")
    return storage


def _read_stream(data: memoryview) -> Any:
    storages: dict[str, Storage] = {}

    def persistent(identity: Any) -> Storage:
        key, dtype, count = _storage_id(identity)
        whole = storages.setdefault(key, Storage(dtype, count))
        _same(whole, dtype, count, key)
        view = identity[5] if len(identity) == 6 else None
        return whole if view is None else _window(whole, view, storages)

    position, made = 0, []
    for _ in range(5):
        machine = Machine(data, persistent, position)
        made.append(machine.run())
        position = machine.position
    _magic, protocol, system, tree, keys = made
    if protocol != 1001 or not isinstance(system, dict) or not isinstance(keys, list):
        raise ReadError(f"a stream of torch.save of version {protocol!r}; expected 1001")
    big = system.get("little_endian") is False
    for key in keys:
        position = _place(storages, key, data, position, big)
    if any(storage.load is None for storage in storages.values()):
        raise ReadError("the stream lacks a storage that its tree names")
    return tree


def _window(whole: Storage, view: Any, storages: dict[str, Storage]) -> Storage:
    """Return a storage that is a part of another, as very old files have them."""
    key, offset, count = view
    if type(offset) is not int or type(count) is not int or min(offset, count) < 0:
        raise ReadError(f"a view of a storage has the offset {offset!r} and size {count!r}")
    size = 1 if whole.dtype is None else dtype_of(whole.dtype).itemsize

    def load() -> memoryview:
        return whole.buffer(size)[offset * size :]

    return storages.setdefault(f"view {key}", Storage(whole.dtype, count, load))


def _place(
    storages: dict[str, Storage], key: Any, data: memoryview, position: int, big: bool
) -> int:
    """Give a storage its elements; return where the next one starts."""
    storage = storages.get(str(key))
    if storage is None or position + _COUNT.size > len(data):
        raise ReadError(f"the stream lists storage {key!r}, which is not there")
    count: int = _COUNT.unpack_from(data, position)[0]
    start = position + _COUNT.size
    size = count * (1 if storage.dtype is None else dtype_of(storage.dtype).itemsize)
    if count != storage.count or start + size > len(data):
        raise ReadError(f"storage {key!r} states {storage.count} elements; the stream has {count}")
    storage.load, storage.big_endian = lambda: data[start : start + size], big
    return start + size
