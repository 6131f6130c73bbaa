"""The msgpack wire format in which BrainPy, braintools and flax store trees of arrays.

Neither jax nor a framework nor the msgpack package is needed. A file is one msgpack map, without
magic number, version or checksum:

- ``dict``: a map with text keys in insertion order; ``None``, ``bool``, ``int``, ``float``,
  ``str`` and ``bytes``: the shortest msgpack form (a float always takes eight bytes);
- ``numpy.ndarray``: extension 1; a numpy scalar: extension 3; ``complex``: extension 2;
- the payload of extensions 1 and 3 is the msgpack array ``[shape, dtype name, raw bytes]``, the
  bytes little-endian in C order; that of extension 2 is ``[real, imag]``;
- an array of more than 2**30 bytes: a map of ``"__msgpack_chunked_array__": true``, its
  ``"shape"`` and its flat ``"chunks"``, both keyed "0", "1", ...

Source: https://github.com/msgpack/msgpack/blob/master/spec.md for msgpack, the module
``serialization`` of flax for the extensions.

:func:`unpack` and :func:`pack_into` are inverse: packing what was read from a framework's file
gives the bytes of that file.

Examples
--------
>>> import numpy as np
>>> from snnbridge.wire import pack, unpack
>>> data = pack({"Dense0": {"Dense0.W": np.ones((2, 3), np.float32)}, "epoch": 7})
>>> tree = unpack(data)
>>> tree["Dense0"]["Dense0.W"].shape, tree["epoch"]
((2, 3), 7)
>>> pack(tree) == data
True
"""

from __future__ import annotations

from snnbridge.wire._leaves import leaves
from snnbridge.wire._read import unpack, unpack_value
from snnbridge.wire._scan import MAX_DEPTH
from snnbridge.wire._write import pack, pack_into, packed_size

__all__ = ["MAX_DEPTH", "leaves", "pack", "pack_into", "packed_size", "unpack", "unpack_value"]
