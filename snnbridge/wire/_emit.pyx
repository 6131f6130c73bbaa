# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The msgpack emitter of the writer: a tree to pieces of bytes.

Heads and small values are gathered in blocks; large contents are handed over as they lie.
"""

from cpython.buffer cimport (
    PyBUF_SIMPLE, PyBUF_STRIDES, PyBuffer_IsContiguous, PyBuffer_Release, PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_Next
from cpython.long cimport (
    PyLong_AsLongLongAndOverflow, PyLong_AsSsize_t, PyLong_AsUnsignedLongLong,
)
from cpython.ref cimport PyObject
from libc.stdint cimport INT64_MAX, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

import reprlib

import numpy

from snnbridge.errors import WriteError
from snnbridge.wire._scan import CHUNKED, MAX_DEPTH

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

cdef enum:
    DEPTH = 512
    BLOCK = 256 * 1024
    RANK = 64  # the most dimensions of an array in any numpy
    DIRECT = 64 * 1024  # contents from here on are handed over without copying
    UINT32_LIMIT = 0xffffffff

assert MAX_DEPTH == DEPTH  # what is written can be read

# C variables: a look-up of a Python global costs as much as a small array.
cdef object ndarray = numpy.ndarray
cdef object generic = numpy.generic

_shortened = reprlib.Repr()
_shortened.maxtuple = 40
_shortened.maxstring = 100


cdef class _Type:
    """How arrays of one dtype are stored."""

    cdef bytes name
    cdef int64_t itemsize
    cdef object stored  # the dtype of the stored bytes
    cdef bint as_stored  # whether arrays are of that dtype already

    def __init__(self, name, itemsize, stored, as_stored):
        self.name = name
        self.itemsize = itemsize
        self.stored = stored
        self.as_stored = as_stored


cdef class _Emitter:
    """One pass over one tree; the dicts that are open form an explicit stack."""

    cdef object write  # None: the bytes are only counted
    cdef object plain, text_keys, describe, raw_pieces
    cdef int64_t chunk_bytes, total
    cdef bint complex_as_scalar
    cdef bytes block
    cdef unsigned char *start
    cdef Py_ssize_t used, depth
    cdef Py_ssize_t position[DEPTH]  # of PyDict_Next, for each open dict
    cdef Py_ssize_t left[DEPTH]
    cdef int64_t shape[RANK]  # of the array at hand
    cdef Py_ssize_t rank
    cdef dict innermost
    cdef object current  # the key at hand in it
    cdef list outer  # (dict, key) of the dicts around it
    cdef dict types  # dtype -> _Type

    def __init__(self, write, chunk_bytes, complex_as_scalar, helpers):
        self.write = write
        self.plain, self.text_keys, self.describe, self.raw_pieces = helpers
        self.chunk_bytes = min(chunk_bytes, INT64_MAX)
        self.complex_as_scalar = complex_as_scalar
        self.outer = []
        self.types = {}
        self.new_block()

    cdef int64_t run(self, tree) except -1:
        self.value(tree)
        while self.depth:
            self.entry()
        self.flush()
        return self.total

    cdef int fail(self, str reason) except -1:
        keys = [key for _, key in self.outer] + [self.current]
        path = _shortened.repr(tuple([key for key in keys if key is not None]))
        raise WriteError(f"{reason} (at path {path})")

    # ---- bytes

    cdef int new_block(self) except -1:
        self.block = PyBytes_FromStringAndSize(NULL, BLOCK)
        self.start = <unsigned char *>PyBytes_AsString(self.block)
        self.used = 0
        return 0

    cdef int flush(self) except -1:
        """Hand over the block; it is never touched again, so `write` may keep it."""
        self.total += self.used
        if self.write is None:
            self.used = 0
        elif self.used:
            full = memoryview(self.block)[: self.used]
            self.new_block()
            self.write(full)
        return 0

    cdef unsigned char *room(self, Py_ssize_t count) except NULL:
        """Return where the next `count` bytes go, at most `DIRECT`."""
        cdef unsigned char *place
        if self.used + count > BLOCK:
            self.flush()
        place = self.start + self.used
        self.used += count
        return place

    cdef int byte(self, unsigned char value) except -1:
        self.room(1)[0] = value
        return 0

    cdef int unsigned(self, unsigned char head, int width, uint64_t value) except -1:
        """Write `head` and the big-endian integer `value` of `width` bytes."""
        cdef unsigned char *place = self.room(width + 1)
        cdef int i
        place[0] = head
        for i in range(width):
            place[width - i] = <unsigned char>(value >> 8 * i)
        return 0

    cdef int content(self, source) except -1:
        """Write the bytes of a contiguous buffer: small ones into the block."""
        cdef Py_buffer raw
        PyObject_GetBuffer(source, &raw, PyBUF_SIMPLE)
        try:
            if self.write is None:
                self.total += raw.len
            elif raw.len < DIRECT:
                memcpy(self.room(raw.len), raw.buf, raw.len)
            else:
                self.flush()
                self.total += raw.len
                self.write(source)
        finally:
            PyBuffer_Release(&raw)
        return 0

    # ---- leaves

    cdef int integer(self, value) except -1:
        cdef int overflow = 0
        cdef int64_t number = PyLong_AsLongLongAndOverflow(value, &overflow)
        if overflow > 0 and value <= 0xffffffffffffffff:
            return self.unsigned(0xcf, 8, PyLong_AsUnsignedLongLong(value))
        if overflow:
            self.fail("an integer is outside -2**63 to 2**64-1")
        if number < 0:
            return self.negative(number)
        return self.natural(<uint64_t>number)

    cdef int natural(self, uint64_t number) except -1:
        if number < 0x80:
            return self.byte(<unsigned char>number)
        if number <= 0xff:
            return self.unsigned(0xcc, 1, number)
        if number <= 0xffff:
            return self.unsigned(0xcd, 2, number)
        if number <= UINT32_LIMIT:
            return self.unsigned(0xce, 4, number)
        return self.unsigned(0xcf, 8, number)

    cdef int negative(self, int64_t number) except -1:
        if number >= -0x20:
            return self.byte(<unsigned char>(number & 0xff))
        if number >= -0x80:
            return self.unsigned(0xd0, 1, <uint64_t>number)
        if number >= -0x8000:
            return self.unsigned(0xd1, 2, <uint64_t>number)
        if number >= -0x80000000ll:
            return self.unsigned(0xd2, 4, <uint64_t>number)
        return self.unsigned(0xd3, 8, <uint64_t>number)

    cdef int real(self, double value) except -1:
        cdef uint64_t bits
        memcpy(&bits, &value, 8)
        return self.unsigned(0xcb, 8, bits)

    cdef int text(self, str value) except -1:
        cdef Py_ssize_t length = 0
        cdef const char *utf8 = NULL
        try:
            utf8 = PyUnicode_AsUTF8AndSize(value, &length)
        except UnicodeEncodeError as error:
            self.fail(f"a text cannot be encoded as UTF-8: {error.reason}")
        self.text_head(length)
        if length < DIRECT:
            memcpy(self.room(length), utf8, length)
        else:
            self.content(value.encode())
        return 0

    cdef int text_head(self, Py_ssize_t length) except -1:
        if length < 32:
            return self.byte(<unsigned char>(0xa0 | length))
        return self.sized(0xd9, length)

    cdef int sized(self, unsigned char head, uint64_t length) except -1:
        """Write the head of text, bytes or an extension; `head` is that of the 8-bit length."""
        if length <= 0xff:
            return self.unsigned(head, 1, length)
        if length <= 0xffff:
            return self.unsigned(head + 1, 2, length)
        if length > UINT32_LIMIT:
            self.fail(f"a value of {length} bytes is longer than this format's 2**32-1")
        return self.unsigned(head + 2, 4, length)

    cdef int list_head(self, unsigned char fixed, unsigned char head, uint64_t length) except -1:
        """Write the head of a map (0x80, 0xde) or an array (0x90, 0xdc)."""
        if length < 16:
            return self.byte(<unsigned char>(fixed | length))
        if length <= 0xffff:
            return self.unsigned(head, 2, length)
        if length > UINT32_LIMIT:
            self.fail(f"a dict of {length} entries is longer than this format's 2**32-1")
        return self.unsigned(head + 1, 4, length)

    cdef int binary(self, value) except -1:
        if type(value) is memoryview and not value.c_contiguous:
            self.fail("a memoryview must be contiguous")
        # frombuffer gives plain bytes of any item format, and refuses the empty buffer.
        raw = numpy.frombuffer(value, "u1") if memoryview(value).nbytes else b""
        self.sized(0xc4, len(raw))
        return self.content(raw.data if len(raw) else raw)

    cdef int complex_number(self, value) except -1:
        if self.complex_as_scalar:
            return self.array(3, numpy.asarray(value))
        self.extension(2, 19)
        self.byte(0x92)
        self.real(value.real)
        return self.real(value.imag)

    cdef int extension(self, unsigned char code, uint64_t length) except -1:
        cdef int power
        for power in range(5):
            if length == <uint64_t>(1 << power):
                self.byte(<unsigned char>(0xd4 + power))
                return self.byte(code)
        self.sized(0xc7, length)
        return self.byte(code)

    # ---- arrays

    cdef int array(self, unsigned char code, array) except -1:
        cdef _Type kind = self.type_of(array.dtype)
        cdef int64_t size = self.measure(array.shape, kind.itemsize)
        if size > self.chunk_bytes and code == 1:
            return self.chunked(array, kind, size)
        self.array_head(code, kind.name, size)
        if self.write is None:
            self.total += size
            return 0
        if size >= DIRECT:
            return self.raw(self.raw_pieces(array, kind.stored, size), size)
        return self.small(array, kind)

    cdef _Type type_of(self, dtype):
        cdef _Type found = self.types.get(dtype)
        if found is None:
            try:
                found = _Type(*self.describe(dtype))
            except WriteError as error:
                self.fail(str(error))
            self.types[dtype] = found
        return found

    cdef int64_t measure(self, tuple shape, int64_t itemsize) except -1:
        """Take over `shape` and return how many bytes the content of the array has."""
        cdef int64_t size = itemsize
        cdef Py_ssize_t i
        self.rank = len(shape)
        for i in range(self.rank):
            self.shape[i] = PyLong_AsSsize_t(shape[i])
            if size > INT64_MAX // max(1, self.shape[i]):
                self.fail(f"an array of shape {shape!r} is larger than any file")
            size *= self.shape[i]
        return size

    cdef int array_head(self, unsigned char code, bytes name, int64_t size) except -1:
        """Write all of an array but its content: `size` bytes, whose length must come first."""
        cdef uint64_t inner = 1 + self.size_of_shape() + size
        cdef Py_ssize_t i
        inner += len(name) + (1 if len(name) < 32 else 2)
        inner += 2 if size <= 0xff else 3 if size <= 0xffff else 5
        self.extension(code, inner)
        self.byte(0x93)
        self.list_head(0x90, 0xdc, self.rank)
        for i in range(self.rank):
            self.natural(self.shape[i])
        self.text_head(len(name))
        memcpy(self.room(len(name)), PyBytes_AsString(name), len(name))
        return self.sized(0xc4, size)

    cdef uint64_t size_of_shape(self) noexcept:
        cdef uint64_t size = 1 if self.rank < 16 else 3
        cdef Py_ssize_t i
        for i in range(self.rank):
            if self.shape[i] < 0x80:
                size += 1
            elif self.shape[i] <= 0xff:
                size += 2
            elif self.shape[i] <= 0xffff:
                size += 3
            else:
                size += 5 if self.shape[i] <= UINT32_LIMIT else 9
        return size

    cdef int small(self, array, _Type kind) except -1:
        """Copy the content of an array of less than `DIRECT` bytes into the block."""
        cdef Py_buffer raw
        cdef bint contiguous = False
        if kind.as_stored:
            PyObject_GetBuffer(array, &raw, PyBUF_STRIDES)
            try:
                contiguous = PyBuffer_IsContiguous(&raw, b"C")
                if contiguous:
                    memcpy(self.room(raw.len), raw.buf, raw.len)
            finally:
                PyBuffer_Release(&raw)
        if not contiguous:
            self.content(numpy.ascontiguousarray(array, kind.stored))
        return 0

    cdef int raw(self, pieces, int64_t size) except -1:
        """Write the next `size` bytes that the iterator `pieces` yields."""
        if self.write is None:
            self.total += size
            return 0
        while size > 0:
            piece = next(pieces)
            size -= len(piece)
            self.content(piece)
        return 0

    cdef int chunked(self, array, _Type kind, int64_t size) except -1:
        """Write an array as a map of its shape and its flat chunks."""
        cdef int64_t step = max(1, self.chunk_bytes // kind.itemsize) * kind.itemsize
        cdef int64_t count = (size + step - 1) // step
        cdef int64_t i, part
        if self.depth + 2 > DEPTH:
            self.fail(f"dicts are nested more than {DEPTH} deep")
        self.list_head(0x80, 0xde, 3)
        self.text(CHUNKED)
        self.byte(0xc3)
        self.text("shape")
        self.list_head(0x80, 0xde, array.ndim)
        for i, length in enumerate(array.shape):
            self.text(str(i))
            self.natural(length)
        self.text("chunks")
        self.list_head(0x80, 0xde, count)
        pieces = self.raw_pieces(array, kind.stored, step)
        for i in range(count):
            part = min(step, size - i * step)
            self.text(str(i))
            self.measure((part // kind.itemsize,), kind.itemsize)
            self.array_head(1, kind.name, part)
            self.raw(pieces, part)
        return 0

    # ---- the tree

    cdef int open_map(self, dict tree) except -1:
        cdef Py_ssize_t position = 0
        cdef PyObject *key
        if self.depth == DEPTH:
            self.fail(f"dicts are nested more than {DEPTH} deep (or hold themselves)")
        while PyDict_Next(tree, &position, &key, NULL):
            if type(<object>key) is not str:
                try:
                    tree = self.text_keys(tree)
                except WriteError as error:
                    self.fail(str(error))
                break
        self.list_head(0x80, 0xde, len(tree))
        self.position[self.depth] = 0
        self.left[self.depth] = len(tree)
        self.depth += 1
        self.outer.append((self.innermost, self.current))
        self.innermost, self.current = tree, None
        return 0

    cdef int entry(self) except -1:
        """Write the next key and value of the innermost dict, or close it."""
        cdef Py_ssize_t level = self.depth - 1
        cdef PyObject *key
        cdef PyObject *value
        cdef bint more = PyDict_Next(self.innermost, &self.position[level], &key, &value)
        if more != (self.left[level] > 0):
            self.fail("a dict changed while it was written")
        if not more:
            self.innermost, self.current = self.outer.pop()
            self.depth -= 1
            return 0
        self.left[level] -= 1
        # Own both before anything runs that could drop them.
        self.current, item = <object>key, <object>value
        self.text(self.current)
        return self.value(item)

    cdef int value(self, value) except -1:
        if not self.known(value):
            try:
                value = self.plain(value)
            except WriteError as error:
                self.fail(str(error))
            if not self.known(value):
                self.fail(f"a value of type {type(value).__name__!r} has no form in this format")
        return 0

    cdef bint known(self, value) except -1:
        """Write a value if it is of a type that the format knows, and say whether it was."""
        kind = type(value)
        if kind is dict:
            self.open_map(value)
        elif kind is ndarray:
            self.array(1, value)
        elif kind is str:
            self.text(value)
        elif kind is float:
            self.real(value)
        elif kind is int:
            self.integer(value)
        elif value is None:
            self.byte(0xc0)
        elif kind is bool:
            self.byte(0xc3 if value else 0xc2)
        elif kind is bytes or kind is bytearray or kind is memoryview:
            self.binary(value)
        elif kind is complex:
            self.complex_number(value)
        elif isinstance(value, generic):
            self.array(3, numpy.asarray(value))
        else:
            return False
        return True


def emit(tree, write, chunk_bytes, complex_as_scalar, helpers):
    """Encode `tree` and hand the bytes to `write`, or only count them if that is None.

    Parameters
    ----------
    tree : object
        What to encode.
    write : callable or None
        Takes one bytes-like piece.
    chunk_bytes : int
        Larger arrays are stored in chunks of at most this size.
    complex_as_scalar : bool
        Whether a complex becomes a numpy scalar.
    helpers : tuple of callable
        Value to a value of a known type; dict to dict with text keys; dtype to (name, item size,
        stored dtype, whether it is that dtype); array, stored dtype and step to pieces of bytes.

    Returns
    -------
    int
        The number of bytes.

    Raises
    ------
    WriteError
        If a value has no form in this format.
    """
    emitter = _Emitter(write, chunk_bytes, complex_as_scalar, helpers)
    return (<_Emitter>emitter).run(tree)
