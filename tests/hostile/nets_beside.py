"""Rockpool's JSON and Spyx's msgpack, and the descriptions that stand beside them."""

import hashlib
import io
import json
import os
import zipfile

from hostile import case, content
from hostile.messages import array, ext, text

ROW = b"\x91\x02"
SQUARE = b"\x92\x02\x02"


def modules(value, name="0_LinearTorch", key="weight"):
    """A file of one module, one value of which is a text that is JSON itself."""
    return json.dumps({name: {key: value}}).encode()


content(
    "rockpool",
    ".json",
    {
        "modules nested 100000 deep": lambda: b'{"0_LinearTorch":' * 100_000,
        "a value nested 100000 deep": lambda: modules("[" * 100_000),
        "a value nested 60 deep that ends": modules("[" * 60 + "1" + "]" * 60),
        "rows of different lengths": modules("[[1, 2], [3]]"),
        "rows of texts": modules('["os", "system"]'),
        "rows of objects": modules('[{"__class__": 1}]'),
        "a value that is a text in a text": modules(json.dumps(json.dumps([1.0]))),
        "a value that is no JSON": modules("__import__('os')"),
        "a value that is an object": modules('{"0_LinearTorch": {"weight": "[[1]]"}}'),
        "a number of a million digits": lambda: modules("9" * 10**6),
        "a number of a million digits in a list": lambda: modules(f"[[{'9' * 10**6}]]"),
        "an exponent of a million digits": lambda: modules(f"[[1e{'9' * 10**6}]]"),
        "a module twice": b'{"0_LinearTorch": {"weight": "[[1]]"}, "0_LinearTorch": {}}',
        "a value twice": b'{"0_LinearTorch": {"weight": "[[1]]", "weight": "[[2]]"}}',
        "a list at the top": b'[{"0_LinearTorch": {"weight": "[[1]]"}}]',
        "a weight of one axis": modules("[1, 2]"),
        "a weight of seven axes": modules("[[[[[[[1]]]]]]]"),
        "no UTF-8": b'{"0_LinearTorch": {"weight": "\xff"}}',
        "half of a surrogate": b'{"0_LinearTorch": {"weight": "\\ud800"}}',
        "a name of a megabyte": lambda: modules("[[1]]", name="0_" + "A" * 10**6),
        "two million empty lists": lambda: modules(f"[{'[],' * 2_000_000}[]]"),
        "300000 modules": lambda: json.dumps(
            {f"{i}_LIFTorch": {} for i in range(300_000)}
        ).encode(),
        "modules in modules 70 deep": lambda: (
            b'{"0_LinearTorch": ' * 70 + b'{"weight": "[[1]]"}' + b"}" * 70
        ),
        "recurrent weights that are no square": json.dumps(
            {"0_LIFTorch": {"w_rec": "[[1, 2, 3], [4, 5, 6]]", "_has_rec": "true"}}
        ).encode(),
    },
    harmless=(
        "a weight of one axis", "a weight of seven axes", "a value that is an object",
        "a value that is a text in a text", "a value nested 60 deep that ends",
        "recurrent weights that are no square",
    ),
)  # fmt: skip


def net(module, **values):
    """A list of one module with arrays."""
    held = b"".join(text(key) + value for key, value in values.items())
    return below("layers", below(module, bytes([0x80 | len(values)]) + held))


def below(key, value):
    return b"\x81" + text(key) + value


content(
    "spyx",
    ".msgpack",
    {
        "10 MB of empty maps": lambda: (
            net("0", kernel=array(ROW))[:-1] + b"\xdd\x00\x98\x96\x80" + b"\x80" * 10**7
        ),
        "modules nested a million deep": lambda: b"\x81\xa6layers" + b"\x81\xa10" * 10**6,
        "a kernel of 4 GiB": net("0", kernel=b"\xc9\xff\xff\xff\xff\x01"),
        "a kernel larger than its bytes": net("0", kernel=array(b"\x92\xce\x40\x00\x00\x00\x02")),
        "a kernel of a negative size": net("0", kernel=array(b"\x92\xff\xfe")),
        "a kernel of no axis": net("0", kernel=array(b"\x90", data=bytes(4))),
        "a kernel of objects": net("0", kernel=array(ROW, "object")),
        "a kernel of an unknown ext": net("0", kernel=ext(b"x", 77)),
        "a kernel that is a text": net("0", kernel=text("kernel")),
        "a kernel twice": below(
            "layers", below("0", b"\x82" + (text("kernel") + array(ROW)) * 2)
        ),
        "recurrent weights that are no square": net(
            "0", beta=array(ROW), recurrent_w=array(b"\x92\x01\x02")
        ),
        "norms of different sizes": net(
            "0", mean=array(ROW), var=array(b"\x91\x01", data=bytes(4)), scale=array(ROW)
        ),
        "a bias of another size": net(
            "0", kernel=array(SQUARE, data=bytes(16)), bias=array(b"\x91\x01", data=bytes(4))
        ),
        "a name that is a number": below("layers", b"\x81\x07" + below("kernel", array(ROW))),
        "a place of 10 to the 40": net("9" * 31, beta=array(ROW)),
        "a name that leads elsewhere": below(
            "layers", below("0", below("../../fc", below("kernel", array(SQUARE, data=bytes(16)))))
        ),
        "no map": b"\x91" + net("0", kernel=array(ROW)),
        "half of an array": net("0", kernel=array(ROW))[:-4],
    },
    harmless=(
        "recurrent weights that are no square", "norms of different sizes",
        "a bias of another size", "a place of 10 to the 40", "a name that leads elsewhere",
        "a kernel that is a text", "a kernel of no axis",
    ),
)  # fmt: skip

#: A file of each format with which nothing is wrong but what stands beside it.
GOOD = {
    "rockpool": (".json", modules("[[1.0, 2.0]]")),
    "spyx": (".msgpack", net("0", kernel=array(SQUARE, data=bytes(16)))),
}


def archive(members):
    """A stored zip archive."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as made:
        for name, data in members:
            made.writestr(name, data)
    return held.getvalue()


def document(format, checkpoint, more=()):
    """A description that names the right file, and says something of it."""
    digest = hashlib.sha256(GOOD[format][1]).hexdigest()
    head = json.dumps({"native_sha256": digest, "checkpoint": checkpoint})
    return archive([(f"{format}.json", head), *more])


def bomb(format):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr(f"{format}.json", bytes(1 << 28))
    return held.getvalue()


BESIDE = {
    "no archive": lambda _: b"PK\x03\x04" + bytes(100),
    "an archive that is cut": lambda format: document(format, {})[:-30],
    "a description of nothing": lambda format: document(format, None),
    "a description of a list": lambda format: archive([(f"{format}.json", "[]")]),
    "a description of junk": lambda format: document(format, {"layers": [7], "x": "[" * 9999}),
    "a description nested 100000 deep": lambda format: archive(
        [(f"{format}.json", '{"a":' * 100_000)]
    ),
    "a description of other contents": lambda format: archive(
        [(f"{format}.json", json.dumps({"native_sha256": "0" * 64, "checkpoint": {}}))]
    ),
    "a description that is a bomb": bomb,
}  # fmt: skip


def beside(format, name, data):
    def make(folder):
        suffix, good = GOOD[format]
        path = folder / f"net{suffix}"
        path.write_bytes(good)
        (folder / f"net{suffix}.snnbridge").write_bytes(data(format))
        return path

    make.__name__ = name.replace(" ", "_")
    case(format)(make)


def linked_beside(format):
    @case(format)
    def a_description_that_is_a_pipe(folder):
        suffix, good = GOOD[format]
        path = folder / f"net{suffix}"
        path.write_bytes(good)
        os.mkfifo(folder / f"net{suffix}.snnbridge")
        return path


for _format in GOOD:
    for _name, _data in BESIDE.items():
        beside(_format, _name, _data)
    linked_beside(_format)
