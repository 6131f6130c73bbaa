"""The file beside a model that holds the bytes of its large arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from snnbridge.storage import StagedFile, dump_json
from snnbridge_plugins.onnx.file.tensors import Stored

#: Where arrays may start, so that they can be mapped.
_PAGE = 4096
_LARGE = 4096
_SAFE = {
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "uint16": "U16", "int16": "I16", "uint32": "U32",
    "int32": "I32", "uint64": "U64", "int64": "I64", "float16": "F16", "bfloat16": "BF16",
    "float32": "F32", "float64": "F64", "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2",
}  # fmt: skip

Digest = Callable[[Stored], Iterable[bytes | memoryview]]


@dataclass(frozen=True)
class DataFile:
    """What goes into the file, and where.

    Attributes
    ----------
    name : str
        Of the file, in the model's folder.
    held : tuple of Stored
    places : dict of str to (offset, bytes)
    head : bytes
        What stands before the arrays.
    """

    name: str
    held: tuple[Stored, ...]
    places: dict[str, tuple[int, int]]
    head: bytes

    def write(self, file: StagedFile, pieces: Digest) -> None:
        """Write everything; `pieces` gives the bytes of an array."""
        file.write(self.head)
        for held in self.held:
            offset, _ = self.places[held.name]
            file.write(bytes(offset - file.tell()))
            for piece in pieces(held):
                file.write(piece)


def data_file(kind: str, model: str, tensors: Sequence[Stored]) -> DataFile:
    """Lay out the file.

    Parameters
    ----------
    kind : str
        ``"yes"`` for plain bytes, ``"safetensors"`` for a file of that format.
    model : str
        The model's file name.
    tensors : sequence of Stored
        Small ones stay in the model.
    """
    if kind == "safetensors":
        large = tuple(x for x in tensors if x.nbytes >= _LARGE and x.array.dtype.name in _SAFE)
        return _safetensors(f"{model}.safetensors", large)
    large = tuple(x for x in tensors if x.nbytes >= _LARGE)
    return DataFile(f"{model}.data", large, dict(_places(large, 0, _PAGE)), b"")


def _places(
    tensors: Iterable[Stored], start: int, step: int
) -> Iterator[tuple[str, tuple[int, int]]]:
    for held in tensors:
        start += -start % step
        yield held.name, (start, held.nbytes)
        start += held.nbytes


def _safetensors(name: str, large: tuple[Stored, ...]) -> DataFile:
    """Lay out a file of safetensors: the largest elements first, so that all are aligned."""
    ordered = tuple(sorted(large, key=lambda x: -x.array.dtype.itemsize))
    inner = dict(_places(ordered, 0, 1))
    table = {
        held.name: {
            "dtype": _SAFE[held.array.dtype.name],
            "shape": list(held.array.shape),
            "data_offsets": [inner[held.name][0], sum(inner[held.name])],
        }
        for held in ordered
    }
    text = dump_json(table)
    text += b" " * (-(8 + len(text)) % _PAGE)
    head = len(text).to_bytes(8, "little") + text
    places = {key: (len(head) + start, size) for key, (start, size) in inner.items()}
    return DataFile(name, ordered, places, head)
