"""The example format: one file with a JSON document and the arrays behind it."""

from snnbridge import EVERYTHING, Format, hookimpl
from snnbridge.document import dtype_name, dtype_of, from_document, to_document
from snnbridge.storage import dump_json, parse_json, view

MAGIC = b"EXAMPLE 1\n"  # what every file begins with, then the document's length, then itself


def sniff(probe):
    return probe.head.startswith(MAGIC)


def write(checkpoint, target, options):
    arrays, size = [], 0

    def place(path, array):  # where the document says that an array is
        nonlocal size
        arrays.append(array)
        size += array.nbytes
        start = size - array.nbytes
        return {"start": start, "dtype": dtype_name(array.dtype), "shape": list(array.shape)}

    document = dump_json(to_document(checkpoint, place))
    with target.open() as file:  # staged: the old file stays until the new one is complete
        file.write(MAGIC + len(document).to_bytes(8, "little") + document)
        for array in arrays:
            file.write_array(array)


def read(source, options):
    start = len(MAGIC) + 8
    end = start + int.from_bytes(source.data[len(MAGIC) : start], "little")

    def fetch(at):  # a view of the mapped file; `view` refuses what lies beyond its end
        return view(source.data, dtype_of(at["dtype"]), tuple(at["shape"]), end + at["start"])

    return from_document(parse_json(source.data[start:end]), fetch)


FORMAT = Format(
    name="example",
    summary="A document and arrays in one file",
    suffixes=(".example",),
    sniff=sniff,
    read=read,
    write=write,
    holds=EVERYTHING,  # or a set of Feature: what is not in it is refused
)


@hookimpl
def snnbridge_formats():
    return [FORMAT]
