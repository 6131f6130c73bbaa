"""Safetensors files and their indexes."""

import json
import struct

from hostile import case, content


def tensors(header, data=bytes(24), *, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def one(dtype="F32", shape=(2, 3), offsets=(0, 24)):
    return {"w": {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}}


W = json.dumps(one()["w"]).encode()

content(
    "safetensors",
    ".safetensors",
    {
        "a header beyond the file": tensors(one(), length=1 << 20),
        "a header of 2 to the 63": tensors(one(), length=(1 << 63) + 1),
        "a header of zeros": tensors(b"\0" * 64),
        "no header": struct.pack("<Q", 0),
        "a name twice": tensors(b'{"w":' + W + b',"w":' + W + b"}"),
        "a hole": tensors(one(offsets=(8, 32)), bytes(32)),
        "tensors that overlap": tensors({**one(), "v": one()["w"]}),
        "bytes behind the end": tensors(one(), bytes(25)),
        "data that is cut": tensors(one(), bytes(23)),
        "offsets that turn back": tensors(one(offsets=(24, 0))),
        "negative offsets": tensors(one(offsets=(-24, 0))),
        "offsets that overflow": tensors(one(offsets=(0, 1 << 64))),
        "a shape that overflows": tensors(one(shape=(1 << 40, 1 << 40))),
        "a shape of nothing that is huge": tensors(
            one(shape=(0, 1 << 62, 1 << 62), offsets=(0, 0)), b""
        ),
        "a negative shape": tensors(one(shape=(-2, -3))),
        "a shape of fractions": tensors(one(shape=(2.0, 3.0))),
        "an unknown type": tensors(one("F33")),
        "a type that is a list": tensors(one([])),
        "metadata that is no text": tensors({"__metadata__": {"a": 1}, **one()}),
        "a header nested 100000 deep": tensors(b'{"a":' * 100_000),
        "a header of a list": tensors([]),
        "a header that is no UTF-8": tensors(b'{"\xff":' + W + b"}"),
        "300000 empty tensors": lambda: tensors(
            {str(i): one(shape=(0,), offsets=(0, 0))["w"] for i in range(300_000)}, b""
        ),
        "a document that is junk": tensors({"__metadata__": {"snnbridge": "[" * 9999}, **one()}),
    },
    harmless=("metadata that is no text",),
)  # fmt: skip


def index(name, weight_map):
    def make(folder):
        path = folder / "net.safetensors.index.json"
        text = json.dumps({"weight_map": weight_map})
        path.write_text(text, encoding="utf-8")
        (folder.parent / "outside.safetensors").write_bytes(tensors(one()))
        (folder / "linked.safetensors").symlink_to(folder.parent / "outside.safetensors")
        return path

    make.__name__ = f"index_{name.replace(' ', '_')}"
    case("safetensors")(make)


index("to a file above", {"w": "../outside.safetensors"})
index("to an absolute path", {"w": "/etc/passwd"})
index("to a link", {"w": "linked.safetensors"})
index("to itself", {"w": "net.safetensors.index.json"})
index("to a missing file", {"w": "missing.safetensors"})
index("to the folder", {"w": "."})
index("to no file", {"w": ""})
index("to a name with NUL", {"w": "a\0b"})
index("of 20000 files", {str(i): f"{i}.safetensors" for i in range(20_000)})
