"""BrainPy's msgpack files."""

import struct

from hostile import content

#: Ext code of an array: msgpack of (shape, dtype name, bytes).
ARRAY = 1


def text(value):
    return bytes([0xA0 | len(value)]) + value.encode()


def ext(payload, code=ARRAY):
    return b"\xc8" + struct.pack(">HB", len(payload), code) + payload


def array(shape, dtype="float32", data=bytes(8)):
    return ext(b"\x93" + shape + text(dtype) + b"\xc4" + bytes([len(data)]) + data)


def tree(value, key="w"):
    return b"\x81" + text(key) + value


TWO = b"\x91\x02"

content(
    "brainpy",
    ".bp",
    {
        "10 MB of empty maps": lambda: b"\xdd" + struct.pack(">I", 10**7) + b"\x80" * 10**7,
        "10 MB of empty maps in a map": lambda: tree(
            b"\xdd" + struct.pack(">I", 10**7) + b"\x80" * 10**7
        ),
        "nested 1000 deep": b"\x81\xa1a" * 1000 + b"\xc0",
        "nested a million deep": lambda: b"\x91" * 10**6 + b"\xc0",
        "a map of 4 billion": b"\xdf\xff\xff\xff\xff",
        "a list of 4 billion": tree(b"\xdd\xff\xff\xff\xff"),
        "bytes of 4 GiB": tree(b"\xc6\xff\xff\xff\xff"),
        "text of 4 GiB": tree(b"\xdb\xff\xff\xff\xff"),
        "an ext of 4 GiB": tree(b"\xc9\xff\xff\xff\xff\x01"),
        "an unknown ext": tree(ext(b"x", 77)),
        "a timestamp": tree(b"\xd6\xff\0\0\0\0"),
        "a negative shape": tree(array(b"\x91\xff")),
        "a shape that is a number": tree(array(b"\x02")),
        "a huge shape": tree(array(b"\x92" + (b"\xcf" + b"\x7f" * 8) * 2)),
        "a shape that is too small": tree(array(b"\x91\x01")),
        "a structured type": tree(array(TWO, "i4,i4")),
        "a type of objects": tree(array(TWO, "object")),
        "a big-endian type": tree(array(TWO, ">f4")),
        "an unknown type": tree(array(TWO, "float33")),
        "a key twice": b"\x82\xa1w" + array(TWO) + b"\xa1w" + array(TWO),
        "a key that is a list": b"\x81\x90\xc0",
        "a number alone": b"\x07",
        "nothing": b"",
        "bytes behind the end": tree(array(TWO)) + b"\x00",
        "text that is no UTF-8": b"\x81\xa2\xff\xfe\xc0",
        "chunks of an array that are junk": tree(
            b"\x83"
            + text("__msgpack_chunked_array__")
            + b"\xc3"
            + text("shape")
            + b"\xa1x"
            + text("chunks")
            + b"\x07"
        ),
        "a placeholder for a file elsewhere": tree(text("//GDAPlaceholder:../secret")),
        "a reserved byte": tree(b"\xc1"),
        "a description that is junk": tree(
            b"\x81" + text("document") + text("{}"), key="__snnbridge__"
        ),
        "a pickle": b"\x80\x04c__builtin__\neval\n.",
    },
    harmless=("a big-endian type", "a description that is junk", "a key that is a list"),
)
