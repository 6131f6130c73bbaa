"""Files of ``torch.save``: a pickle in a zip archive, and the older stream."""

import io
import pickle
import struct
import zipfile

from hostile import content

PROTO = b"\x80\x02"


def saved(program, records=(("data/0", bytes(16)),), *, order=b"little"):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/byteorder", order)
        for name, data in records:
            archive.writestr(f"archive/{name}", data)
        archive.writestr("archive/version", b"3\n")
    return held.getvalue()


def storage(count=4, kind=b"FloatStorage", key=b"0"):
    return (
        b"(X\x07\0\0\0storagectorch\n" + kind + b"\nX" + struct.pack("<I", len(key)) + key
        + b"X\x03\0\0\0cpuJ" + struct.pack("<i", count) + b"tQ"
    )  # fmt: skip


def number(value):
    held = value.to_bytes(9, "little", signed=True)
    return b"\x8a\x09" + held


def numbers(values):
    return b"(" + b"".join(map(number, values)) + b"t"


def tensor(shape, strides, offset=0, held=None):
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + (held or storage()) + number(offset)
        + numbers(shape) + numbers(strides) + b"\x89ccollections\nOrderedDict\n)RtR"
    )  # fmt: skip


def tree(value):
    return PROTO + b"}X\x01\0\0\0w" + value + b"s."


def call(module, name, arguments=b"(X\x02\0\0\0idt"):
    return saved(tree(b"c" + module + b"\n" + name + b"\n" + arguments + b"R"))


def duplicate(name):
    """Return an archive with two records of one name."""
    other = name.replace("a", "b")
    data = saved(tree(tensor([4], [1])), [("data/0", bytes(16)), (other, b"\x80\x02N.")])
    return data.replace(b"archive/" + other.encode(), b"archive/" + name.encode())


def doubled_lists():
    """A list of twice a list of twice ...: 2 to the 40 paths."""
    body = b"]"
    for i in range(40):
        number = struct.pack("<I", i)
        body += b"r" + number + b"0](" + 2 * (b"j" + number) + b"e"
    return saved(tree(body))


def stream(*parts):
    return b"".join(pickle.dumps(part, 2) for part in parts)


LEGACY = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})

content(
    "torch",
    ".pt",
    {
        "a command": call(b"os", b"system"),
        "eval": call(b"builtins", b"eval"),
        "exec through getattr": call(b"builtins", b"getattr"),
        "a module by its name": call(b"torch.nn.modules.linear", b"Linear", b")"),
        "load within load": call(b"torch", b"load"),
        "a file that would be opened": call(b"builtins", b"open"),
        "numpy's own reconstruction": call(b"numpy.core.multiarray", b"_reconstruct"),
        "an extension": saved(PROTO + b"\x82\x01."),
        "a tensor of stride 0": saved(tree(tensor([1 << 30], [0]))),
        "strides that reach behind the end": saved(tree(tensor([4], [1000]))),
        "a negative stride": saved(tree(tensor([4], [-1]))),
        "a negative offset": saved(tree(tensor([1], [1], offset=-1))),
        "a shape that overflows": saved(tree(tensor([1 << 40, 1 << 40], [1, 1]))),
        "a storage of more than its bytes": saved(
            tree(tensor([1 << 20], [1], held=storage(1 << 20)))
        ),
        "a storage that is not there": saved(tree(tensor([4], [1], held=storage(key=b"7")))),
        "a storage in a folder above": saved(tree(tensor([4], [1], held=storage(key=b"../0")))),
        "memory that nobody wrote": saved(
            tree(b"ctorch\nFloatTensor\n(J\0\0\0\x10tR"), [("data/0", b"")]
        ),
        "a bytearray of 1 GiB": saved(tree(b"c__builtin__\nbytearray\n(J\0\0\0\x40tR")),
        "paths without end": doubled_lists(),
        "two programs": duplicate("data.pkl"),
        "a record twice": duplicate("data/0"),
        "no program": lambda: saved(tree(b"N")).replace(b"data.pkl", b"data.pkx"),
        "a byte order that is none": saved(tree(tensor([4], [1])), order=b"middle"),
        "another byte order": saved(tree(tensor([4], [1])), order=b"big"),
        "a stack that is empty": saved(PROTO + b"0."),
        "a memo that is empty": saved(PROTO + b"h\x00."),
        "a program without end": saved(PROTO + b"]"),
        "two million marks": saved(PROTO + b"(" * 2_000_000 + b"."),
        "nested 100000 deep": saved(PROTO + b"]" * 100_000 + b"a" * 99_999 + b"."),
        "a list within itself": saved(tree(b"]q\x00h\x00a")),
        "text of 4 GiB": saved(PROTO + b"X\xff\xff\xff\xff."),
        "bytes of 2 to the 60": saved(b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"."),
        "a number of 2 GiB": saved(PROTO + b"\x8b\xff\xff\xff\x7f."),
        "a program of TorchScript": saved(tree(b"N"), [("constants.pkl", b"\x80\x02).")]),
        "a stream that is cut": stream(*LEGACY),
        "a stream with a storage of 2 to the 60": stream(*LEGACY, {}, ["0"])
        + struct.pack("<q", 1 << 60),
        "a stream with keys that are no list": stream(*LEGACY, {}, 7),
        "a stream of another magic": stream(7, 1001, {}, {}, []),
    },
    harmless=("another byte order",),
)  # fmt: skip
