"""Reading and writing files safely: what every format is built on.

:class:`Source` opens a file or a folder for reading, :class:`Target` replaces one file or a
set of them at once or not at all, :func:`read_set` opens the files of a set that belong
together. Codecs on top of them take bytes and never believe them: :func:`parse_json`,
:func:`npy_array`, :class:`ZipReader`, :func:`view`; their counterparts write deterministic
bytes: :func:`dump_json`, :func:`npy_header`, :class:`StoredZip`, :func:`blocks`.

Names that need numpy are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from snnbridge.storage.commit import recover
from snnbridge.storage.digests import BLANK, digest_of, digest_so_far
from snnbridge.storage.jsontext import dump_json, parse_json
from snnbridge.storage.limits import TRUST, Limits
from snnbridge.storage.sets import read_set
from snnbridge.storage.signatures import first_member, is_empty_zip, is_hdf5, is_zip
from snnbridge.storage.source import Source
from snnbridge.storage.staged import StagedFile
from snnbridge.storage.target import Target

if TYPE_CHECKING:
    from snnbridge.storage.arrays import array_bytes, blocks, nbytes, view
    from snnbridge.storage.npy import NpyHeader, npy_array, npy_header, parse_npy
    from snnbridge.storage.zipdirectory import Member
    from snnbridge.storage.zipread import ZipReader
    from snnbridge.storage.zipwrite import StoredZip

__all__ = [
    "BLANK",
    "TRUST",
    "Limits",
    "Member",
    "NpyHeader",
    "Source",
    "StagedFile",
    "StoredZip",
    "Target",
    "ZipReader",
    "array_bytes",
    "blocks",
    "digest_of",
    "digest_so_far",
    "dump_json",
    "first_member",
    "is_empty_zip",
    "is_hdf5",
    "is_zip",
    "nbytes",
    "npy_array",
    "npy_header",
    "parse_json",
    "parse_npy",
    "read_set",
    "recover",
    "view",
]

_LATER = {
    "array_bytes": "arrays",
    "blocks": "arrays",
    "nbytes": "arrays",
    "view": "arrays",
    "NpyHeader": "npy",
    "npy_array": "npy",
    "npy_header": "npy",
    "parse_npy": "npy",
    "Member": "zipdirectory",
    "ZipReader": "zipread",
    "StoredZip": "zipwrite",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    globals()[name] = value
    return value
