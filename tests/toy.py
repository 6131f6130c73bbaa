"""A small format for the tests of the core: the document, and nothing else."""

import json

from snnbridge import EVERYTHING, Feature, Format, Option, hookimpl
from snnbridge.document import from_document, from_inline, inline, to_document
from snnbridge.storage import parse_json

MAGIC = b'{"toy": '


def sniff(probe):
    return probe.head.startswith(MAGIC)


def read(source, options):
    return from_document(parse_json(bytes(source.data))["toy"], from_inline)


def write(checkpoint, target, options):
    document = to_document(checkpoint, lambda path, array: inline(array))
    with target.open() as file:
        file.write(json.dumps({"toy": document}).encode())


FORMAT = Format(
    name="toy",
    summary="A document in JSON",
    suffixes=(".toy",),
    sniff=sniff,
    read=read,
    write=write,
    holds=EVERYTHING,
    holds_bare=frozenset({Feature.LINEAR, Feature.FLOATS}),
    options=(Option("colour", "A colour.", ("red", "blue")),),
)


@hookimpl
def snnbridge_formats():
    return [FORMAT]
