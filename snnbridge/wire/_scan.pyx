# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The msgpack scanner of the reader: bytes to Python objects, arrays as views of the bytes.

Nothing that the bytes claim is believed: each length is held against the bytes that follow
before anything is allocated, and the objects of the tree are paid for out of a budget.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport INT64_MAX, int8_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

import reprlib

import numpy

from snnbridge.errors import ReadError

cdef enum:
    DEPTH = 512
    RANK = 64  # the most dimensions of an array in any numpy

MAX_DEPTH = DEPTH
CHUNKED = "__msgpack_chunked_array__"

# C variables: a look-up of a Python global is slow in comparison.
cdef object ndarray = numpy.ndarray
cdef str chunked = CHUNKED

_shortened = reprlib.Repr()
_shortened.maxtuple = 40
_shortened.maxstring = 100

# Roughly what CPython and numpy spend on an object, in bytes. An estimate is enough: it keeps
# millions of tiny objects from costing many times the file that holds them.
cdef enum:
    COST_OF_ENTRY = 64
    COST_OF_EMPTY_MAP = 64
    COST_OF_MAP = 184
    COST_OF_NUMBER = 32
    COST_OF_TEXT = 56
    COST_OF_ARRAY = 200


cdef class _Type:
    """What the name of an array type stands for."""

    cdef object dtype
    cdef int64_t itemsize
    cdef bint to_check  # not every bit pattern is a value

    def __init__(self, dtype):
        self.dtype = dtype
        self.itemsize = dtype.itemsize
        self.to_check = dtype.kind in "bU"


cdef class _Scanner:
    """One pass over one buffer; the maps that are open form an explicit stack."""

    cdef const unsigned char *data
    cdef Py_ssize_t at, size, depth
    cdef int64_t budget
    cdef int64_t left[DEPTH]  # entries that each open map still lacks
    cdef object top
    cdef dict innermost
    cdef str current  # the key at hand in it, None between entries
    cdef list outer  # (map, key) of the maps around it
    cdef int64_t shape[RANK]  # of the array at hand
    cdef Py_ssize_t rank
    cdef dict types  # name -> _Type
    cdef object base, dtype_of, scalar_of, check, join

    def __init__(self, base, budget, dtype_of, scalar_of, check, join):
        self.base = base
        self.budget = min(budget, INT64_MAX)
        self.dtype_of = dtype_of
        self.scalar_of = scalar_of
        self.check = check
        self.join = join
        self.types = {}
        self.outer = []

    cdef object run(self, const unsigned char *data, Py_ssize_t size):
        """Scan the whole buffer, which must hold exactly one value."""
        self.data, self.size = data, size
        if size == 0:
            self.fail("the file is empty", 0)
        self.top = self.open_map(self.map_length(data[0]), 0)
        if self.top is None:
            self.top = self.leaf()
        while self.depth:
            if self.left[self.depth - 1] == 0:
                self.close_map()
            else:
                self.entry()
        if self.at != size:
            self.fail(f"{size - self.at} bytes follow the end of the tree", self.at)
        return self.top

    cdef int fail(self, str reason, Py_ssize_t at) except -1:
        keys = [key for _, key in self.outer] + [self.current]
        path = tuple([key for key in keys if key is not None])
        where = f"byte {at} of {self.size}, path {_shortened.repr(path)}"
        raise ReadError(f"{reason} (at {where})")

    cdef int spend(self, int64_t cost, Py_ssize_t at) except -1:
        self.budget -= cost
        if self.budget < 0:
            self.fail(
                "the tree has far more objects than a file of this size should hold;"
                " read it as trusted if you know where it comes from", at)
        return 0

    cdef const unsigned char *take(self, uint64_t count) except NULL:
        """Step over the next `count` bytes, which must be there."""
        cdef const unsigned char *start = self.data + self.at
        cdef Py_ssize_t left = self.size - self.at
        if count > <uint64_t>left:
            self.fail(f"the file is cut: {count} bytes are needed here, {left} are left", self.at)
        self.at += <Py_ssize_t>count
        return start

    cdef int unsigned(self, int width, uint64_t *value) except -1:
        """Read a big-endian unsigned integer of `width` bytes."""
        cdef const unsigned char *bytes_ = self.take(width)
        cdef int i
        value[0] = 0
        for i in range(width):
            value[0] = value[0] << 8 | bytes_[i]
        return 0

    cdef int64_t map_length(self, unsigned char head) except -2:
        """Step over the head of a map and return its length, or -1 if it is no map."""
        cdef uint64_t length
        if head & 0xf0 == 0x80:
            length = head & 0x0f
            self.take(1)
        elif head == 0xde or head == 0xdf:
            self.take(1)
            self.unsigned(2 if head == 0xde else 4, &length)
        else:
            return -1
        return <int64_t>length

    cdef dict open_map(self, int64_t length, Py_ssize_t at):
        """Make the map whose head was just read the innermost open one."""
        cdef dict opened
        if length < 0:
            return None
        if length > (self.size - self.at) // 2:
            self.fail(f"a map of {length} entries does not fit into the bytes that follow", at)
        if self.depth == DEPTH:
            self.fail(f"maps are nested more than {DEPTH} deep", at)
        self.spend(COST_OF_MAP if length else COST_OF_EMPTY_MAP, at)
        opened = {}
        self.outer.append((self.innermost, self.current))
        self.innermost, self.current = opened, None
        self.left[self.depth] = length
        self.depth += 1
        return opened

    cdef int close_map(self) except -1:
        cdef dict closed = self.innermost
        self.depth -= 1
        self.innermost, self.current = self.outer.pop()
        if chunked in closed:
            joined = self.checked(self.at, self.join, (closed,))
            if self.innermost is None:
                self.top = joined
            else:
                self.innermost[self.current] = joined
        return 0

    cdef int entry(self) except -1:
        """Read the next key and value of the innermost map."""
        cdef Py_ssize_t start = self.at
        cdef dict parent = self.innermost
        cdef object value
        self.left[self.depth - 1] -= 1
        self.current = None
        key = self.key()
        self.current = key
        if key in parent:
            self.fail("the key is there twice", start)
        start = self.at
        if start == self.size:
            self.take(1)
        value = self.open_map(self.map_length(self.data[start]), start)
        if value is None:
            value = self.leaf()
        parent[key] = value
        return 0

    cdef str key(self):
        cdef Py_ssize_t start = self.at
        cdef unsigned char head = self.take(1)[0]
        cdef uint64_t length
        if head & 0xe0 == 0xa0:
            length = head & 0x1f
        elif 0xd9 <= head <= 0xdb:
            self.unsigned(1 << (head - 0xd9), &length)
        else:
            self.fail(f"a map key must be text, byte 0x{head:02x} starts something else", start)
        self.spend(COST_OF_ENTRY, start)
        return self.text(length, start)

    cdef str text(self, uint64_t length, Py_ssize_t start):
        cdef const char *utf8 = <const char *>self.take(length)
        cdef str decoded
        try:
            decoded = PyUnicode_DecodeUTF8(utf8, <Py_ssize_t>length, "strict")
        except UnicodeDecodeError as error:
            self.fail(f"text is not valid UTF-8: {error.reason}", start)
        if length > 1:  # CPython shares the texts of one character
            self.spend(COST_OF_TEXT + <int64_t>length, start)
        return decoded

    cdef object leaf(self):
        """Read a value that is no map."""
        cdef Py_ssize_t start = self.at
        cdef unsigned char head = self.take(1)[0]
        cdef uint64_t length
        if head < 0x80:
            return <int>head
        if head >= 0xe0:
            return <int><int8_t>head
        if head & 0xe0 == 0xa0:
            return self.text(head & 0x1f, start)
        if head == 0xc0:
            return None
        if head == 0xc2 or head == 0xc3:
            return head == 0xc3
        if 0xc4 <= head <= 0xc6:
            self.unsigned(1 << (head - 0xc4), &length)
            return self.binary(length, start)
        if 0xc7 <= head <= 0xc9:
            self.unsigned(1 << (head - 0xc7), &length)
            return self.extension(length, start)
        if 0xca <= head <= 0xd3:
            return self.number(head, start)
        if 0xd4 <= head <= 0xd8:
            return self.extension(1 << (head - 0xd4), start)
        if 0xd9 <= head <= 0xdb:
            self.unsigned(1 << (head - 0xd9), &length)
            return self.text(length, start)
        what = "an unused code" if head == 0xc1 else "a msgpack array, where lists are maps,"
        self.fail(f"{what} (byte 0x{head:02x}) has no place in a tree", start)

    cdef bytes binary(self, uint64_t length, Py_ssize_t start):
        cdef const char *content = <const char *>self.take(length)
        self.spend(COST_OF_TEXT + <int64_t>length, start)
        return PyBytes_FromStringAndSize(content, <Py_ssize_t>length)

    cdef object number(self, unsigned char head, Py_ssize_t start):
        """Read a float (0xca, 0xcb), unsigned (0xcc...) or signed (0xd0...) integer."""
        cdef uint64_t bits
        cdef uint32_t half
        cdef float single
        cdef double value
        cdef int shift
        self.spend(COST_OF_NUMBER, start)
        if head == 0xca:
            self.unsigned(4, &bits)
            half = <uint32_t>bits
            memcpy(&single, &half, 4)
            return <double>single
        if head == 0xcb:
            self.unsigned(8, &bits)
            memcpy(&value, &bits, 8)
            return value
        if head <= 0xcf:
            self.unsigned(1 << (head - 0xcc), &bits)
            return bits
        self.unsigned(1 << (head - 0xd0), &bits)
        shift = 64 - (8 << (head - 0xd0))
        return <int64_t>(bits << shift) >> shift

    cdef object extension(self, uint64_t length, Py_ssize_t start):
        cdef int8_t code = <int8_t>self.take(1)[0]
        cdef Py_ssize_t payload = self.at
        self.take(length)
        self.at = payload
        if code == 1 or code == 3:
            return self.array(code, payload + <Py_ssize_t>length, start)
        if code == 2:
            return self.complex_number(length, start)
        self.fail(f"extension type {code} is unknown (1, 2 and 3 are known)", start)

    cdef object complex_number(self, uint64_t length, Py_ssize_t start):
        cdef const unsigned char *payload = self.take(length)
        cdef uint64_t bits
        cdef double real, imag
        if length != 19 or payload[0] != 0x92 or payload[1] != 0xcb or payload[10] != 0xcb:
            self.fail("a complex number must be an array of two 64-bit floats", start)
        self.at -= 17
        self.unsigned(8, &bits)
        memcpy(&real, &bits, 8)
        self.take(1)
        self.unsigned(8, &bits)
        memcpy(&imag, &bits, 8)
        self.spend(COST_OF_NUMBER, start)
        return complex(real, imag)

    cdef object array(self, int8_t code, Py_ssize_t stop, Py_ssize_t start):
        """Read the payload ``[shape, dtype name, raw bytes]``, which ends at `stop`."""
        cdef _Type kind
        cdef int64_t present
        cdef Py_ssize_t offset
        if self.take(1)[0] != 0x93:
            self.fail("an array must be stored as [shape, type, bytes]", start)
        self.read_shape(start)
        kind = self.read_type(start)
        present = self.raw_length(start)
        offset = self.at
        if offset + present != stop:
            self.fail("the length of an array disagrees with the extension around it", start)
        self.at = stop
        self.agree(kind, present, start)
        self.spend(COST_OF_ARRAY, start)
        if code == 3:
            if self.rank:
                self.fail(f"a scalar cannot have the shape {self.shape_tuple()!r}", start)
            return self.checked(start, self.scalar_of, (kind.dtype, self.base[offset:stop]))
        try:
            array = ndarray(self.shape_tuple(), kind.dtype, self.base, offset)
        except ValueError as error:  # more dimensions or elements than this numpy can hold
            self.fail(f"numpy cannot hold the array: {error}", start)
        if kind.to_check:
            self.checked(start, self.check, (array,))
        return array

    cdef tuple shape_tuple(self):
        return tuple([self.shape[i] for i in range(self.rank)])

    cdef object checked(self, Py_ssize_t start, function, tuple arguments):
        """Call `function` and say where the value is if it objects."""
        try:
            return function(*arguments)
        except ReadError as error:
            self.fail(str(error), start)

    cdef int read_shape(self, Py_ssize_t start) except -1:
        cdef unsigned char head = self.take(1)[0]
        cdef uint64_t rank, length
        cdef Py_ssize_t i
        if head & 0xf0 == 0x90:
            rank = head & 0x0f
        elif head == 0xdc or head == 0xdd:
            self.unsigned(2 if head == 0xdc else 4, &rank)
        else:
            self.fail("the shape of an array must be an array of lengths", start)
        if rank > RANK:
            self.fail(f"an array cannot have {rank} dimensions (at most {RANK})", start)
        self.rank = <Py_ssize_t>rank
        for i in range(self.rank):
            head = self.take(1)[0]
            if head < 0x80:
                length = head
            elif 0xcc <= head <= 0xcf:
                self.unsigned(1 << (head - 0xcc), &length)
            else:
                self.fail("the lengths of a shape must be integers of at least 0", start)
            if length > <uint64_t>INT64_MAX:
                self.fail(f"an axis of length {length} is larger than any memory", start)
            self.shape[i] = <int64_t>length
        return 0

    cdef _Type read_type(self, Py_ssize_t start):
        cdef unsigned char head = self.take(1)[0]
        cdef uint64_t length
        cdef _Type kind
        if head & 0xe0 == 0xa0:
            length = head & 0x1f
        elif head == 0xd9:
            self.unsigned(1, &length)
        else:
            self.fail("the type of an array must be a short text", start)
        name = PyBytes_FromStringAndSize(<const char *>self.take(length), <Py_ssize_t>length)
        kind = self.types.get(name)
        if kind is None:
            text = name.decode("ascii", "backslashreplace")
            kind = _Type(self.checked(start, self.dtype_of, (text,)))
            self.types[name] = kind
        return kind

    cdef int64_t raw_length(self, Py_ssize_t start) except -1:
        cdef unsigned char head = self.take(1)[0]
        cdef uint64_t length
        if not 0xc4 <= head <= 0xc6:
            self.fail("the content of an array must be bytes", start)
        self.unsigned(1 << (head - 0xc4), &length)
        return <int64_t>length

    cdef int agree(self, _Type kind, int64_t present, Py_ssize_t start) except -1:
        """Hold shape and item size against the bytes that are there, without overflow."""
        cdef int64_t claimed = kind.itemsize
        cdef int64_t extent = kind.itemsize  # with 1 for 0: numpy must be able to count this far
        cdef Py_ssize_t i
        for i in range(self.rank):
            if self.shape[i] > INT64_MAX // extent:
                self.fail(f"the shape {self.shape_tuple()!r} is larger than any memory", start)
            claimed *= self.shape[i]
            extent *= max(1, self.shape[i])
        if claimed != present:
            self.fail(
                f"an array of shape {self.shape_tuple()!r} and type {kind.dtype.name}"
                f" takes {claimed} bytes, {present} are there", start)
        return 0


def scan(base, budget, dtype_of, scalar_of, check, join):
    """Decode the value that fills a buffer.

    Parameters
    ----------
    base : numpy.ndarray of uint8
        The bytes, one-dimensional and contiguous; the arrays of the tree become views of it.
    budget : int
        How much memory the objects of the tree may take, in bytes, as estimated.
    dtype_of, scalar_of, check, join : callable
        Name to dtype; dtype and raw bytes to scalar; content of an array to None; map of chunks
        to array. Each raises ReadError with the reason alone; the place is added here.

    Returns
    -------
    object
        A dict, or what else the format can hold on its own.

    Raises
    ------
    ReadError
        If the bytes are anything else than one well-formed value.
    """
    cdef Py_buffer raw
    scanner = _Scanner(base, budget, dtype_of, scalar_of, check, join)
    PyObject_GetBuffer(base, &raw, PyBUF_SIMPLE)
    try:
        return (<_Scanner>scanner).run(<const unsigned char *>raw.buf, raw.len)
    finally:
        PyBuffer_Release(&raw)
