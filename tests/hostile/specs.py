"""Side files in TOML and JSON."""

from hostile import content

content(
    "spec",
    ".toml",
    {
        "nested tables": lambda: b"[" + b".".join([b"a"] * 50_000) + b"]\n",
        "nested lists": lambda: b"a = " + b"[" * 100_000,
        "nested lists that end": lambda: b"a = " + b"[" * 5000 + b"]" * 5000,
        "nested inline tables": lambda: b"a = " + b"{a = " * 5000 + b"1" + b"}" * 5000,
        "a number of a million digits": lambda: b"dt = " + b"9" * 10**6,
        "a key twice": b"dt = 1\ndt = 2\n",
        "no UTF-8": b"\xff\xfe",
        "NUL": b"dt = \0",
        "100000 empty tables": lambda: b"".join(b"[layers.x%d]\n" % i for i in range(100_000)),
        "a huge time step": b"dt = 1e400\n",
        "10 MB of one string": lambda: b'dt = "' + b"x" * 10**7 + b'"',
    },
    harmless=("100000 empty tables",),
)
content(
    "spec",
    ".json",
    {
        "json nested": lambda: b"[" * 100_000,
        "json nested objects": lambda: b'{"a":' * 100_000,
        "json with a key twice": b'{"dt": 1, "dt": 2}',
        "json of a list": b"[]",
        "json of nothing": b"",
    },
)
