"""Pairs of a zip archive and a JSON text: npz, and the flat files of BrainPy."""

import io
import json
import struct
import zipfile

import numpy as np

from hostile import case, content

ONES = np.ones((2, 3))


def npy(array, **more):
    held = io.BytesIO()
    np.save(held, array, **more)
    return held.getvalue()


def header(text, data=b"", version=(1, 0)):
    """Return an array's bytes with any text as its header."""
    raw = text.encode("latin1")
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H", len(raw)) + raw + data


def zipped(members, method=zipfile.ZIP_STORED):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return held.getvalue()


def one(data, **more):
    return zipped([("layer_0.npy", data)], **more)


GOOD = one(npy(ONES))


def shape(text):
    return one(header(f"{{'descr': '<f8', 'fortran_order': False, 'shape': {text}, }}\n"))


def descr(text):
    return one(header(f"{{'descr': {text}, 'fortran_order': False, 'shape': (1,), }}\n", bytes(64)))


def duplicate():
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("layer_0.npy", npy(ONES))
        archive.writestr("layer_9.npy", npy(2 * ONES))
    return held.getvalue().replace(b"layer_9", b"layer_0")


def bomb(method):
    def make():
        held = io.BytesIO()
        archive = zipfile.ZipFile(held, "w", method)
        with archive, archive.open("layer_0.npy", "w") as member:
            member.write(npy(np.zeros(0)).replace(b"(0,)", b"(25,)").ljust(128))
            for _ in range(40):
                member.write(bytes(8 << 20))
        return held.getvalue()

    return make


def overlapping():
    """Many members whose data is the same bytes of the archive."""
    first = zipped([("layer_0.npy", bytes(4 << 20))], zipfile.ZIP_DEFLATED)
    end = first.rindex(b"PK\x05\x06")
    start = struct.unpack_from("<L", first, end + 16)[0]
    record = first[start:end]
    records = b"".join(record.replace(b"layer_0", f"layer_{i}".encode()) for i in range(10))
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 10, 10, len(records), start, 0)
    return first[:start] + records + tail


def sizes_differ():
    data = bytearray(GOOD)
    struct.pack_into("<L", data, 22, 7)
    return bytes(data)


def crc_differs():
    at = GOOD.index(ONES.tobytes())
    return GOOD[:at] + b"\x01" + GOOD[at + 1 :]


def padded_behind_the_array():
    """Padding behind an array hides from numpy that the checksum is wrong."""
    data = bytearray(one(npy(ONES) + bytes(64 << 10)))
    data[data.index(ONES.tobytes())] ^= 1
    return bytes(data)


def nul_in_name():
    return zipped([("layer_0Xnpy", npy(ONES))]).replace(b"layer_0X", b"layer_0\0")


content(
    "npz",
    ".npz",
    {
        "an object array": lambda: one(npy(np.array([{}], object), allow_pickle=True)),
        "a member that is no array": lambda: zipped([("layer_0.npy", b"text"), ("x", b"y")]),
        "a bomb by bzip2": bomb(zipfile.ZIP_BZIP2),
        "a bomb by lzma": bomb(zipfile.ZIP_LZMA),
        "a bomb by deflate": bomb(zipfile.ZIP_DEFLATED),
        "overlapping members": overlapping,
        "a name twice": duplicate,
        "a name with and without suffix": lambda: zipped(
            [("layer_0", npy(ONES)), ("layer_0.npy", npy(2 * ONES))]
        ),
        "two archives": GOOD + one(npy(2 * ONES)),
        "sizes that differ": sizes_differ,
        "NUL in a name": nul_in_name,
        "bytes behind the array": padded_behind_the_array,
        "a wrong checksum": crc_differs,
        "2 to the 40 empty strings": one(
            header("{'descr': '|S0', 'fortran_order': False, 'shape': (1099511627776,), }\n")
        ),
        "a shape beyond the file": shape("(1099511627776,)"),
        "a shape that overflows": shape("(4294967296, 4294967296)"),
        "a negative shape": shape("(-1,)"),
        "a shape of text": shape("('a',)"),
        "64 axes": shape("(" + "1," * 64 + ")"),
        "a header that is a program": one(header("__import__('os').abort()\n")),
        "a header of brackets": one(header("{'descr': " + "[" * 5000 + "\n")),
        "a header of an unknown type": descr("'<q9'"),
        "a structured type": descr("[('a', '<f8'), ('b', '<f8')]"),
        "a type of objects": descr("'|O'"),
        "version 9 of npy": one(header("{}", version=(9, 0))),
        "no members": zipped([]),
        "only the end of an archive": GOOD[GOOD.rindex(b"PK\x05\x06") :],
    },
    harmless=(
        "a wrong checksum",
        "bytes behind the array",
        "a structured type",
        "no members",
    ),
)


# The JSON half


RECORD = {
    "layer_names": ["a"],
    "layer_sizes": [[3, 2]],
    "neuron_types": ["LIF"],
    "frozen_layers": [],
    "n_layers": 1,
    "total_params": 6,
    "metadata": {},
}


def beside(**changes):
    return json.dumps({**RECORD, **changes}).encode()


def with_value(text):
    return beside(metadata="VALUE").replace(b'"VALUE"', text)


def pair(name, text, *, harmless=False):
    def make(folder):
        (folder / "net.npz").write_bytes(GOOD)
        (folder / "net.json").write_bytes(text() if callable(text) else text)
        return folder / "net.npz"

    make.__name__ = f"json_{name.replace(' ', '_')}"
    case("npz", harmless=harmless)(make)


pair("nested 100000 deep", lambda: with_value(b"[" * 100_000 + b"]" * 100_000))
pair("nested 100000 deep and cut", b'{"a":' * 100_000)
pair("with a key twice", b'{"layer_names": ["a"], "layer_names": ["b"]}')
pair("with a number of a million digits", lambda: with_value(b"{" + b'"x":' + b"9" * 10**6 + b"}"))
pair("with a million small values", lambda: with_value(b"{" + b'"x":[' + b"0," * 10**6 + b"0]}"),
     harmless=True)  # fmt: skip
pair("of ten million small values", lambda: b"[" + b"0," * 10**7 + b"0]")
pair("with one string of 10 MB", lambda: with_value(b'{"x":"' + b"\\\\" * 5_000_000 + b'"}'),
     harmless=True)  # fmt: skip
pair("with half a surrogate", beside(layer_names=["\ud800"]))
pair("with NUL in a name", beside(layer_names=["a\0b"]), harmless=True)
pair("with commands for the terminal", beside(layer_names=["\x1b[2J"]), harmless=True)
pair("with a name like a path", beside(layer_names=["../../etc/x"]), harmless=True)
pair("with NaN", lambda: with_value(b'{"x": NaN}'), harmless=True)
pair("in UTF-16", lambda: beside().decode().encode("utf-16"))
pair("that is a list", b"[]", harmless=True)
pair("that is empty", b"")
pair("with sizes that are huge", beside(layer_sizes=[[10**30, 10**30]]), harmless=True)
pair("with sizes that are text", beside(layer_sizes=["x"]))
pair("of more layers than arrays", beside(layer_names=["a", "b"], layer_sizes=[[3, 2]] * 2))
pair("with a document of a stranger", beside(metadata={"snnbridge": {"archive": "x"}}),
     harmless=True)  # fmt: skip
