"""What the layout fixes: names, versions and bounds; see ``docs/formats/hdf5.md``."""

from __future__ import annotations

from collections.abc import Mapping

#: The version of this layout: of the file, and of each element.
LAYOUT = 1
#: What the root group's attribute ``type`` says, and the head of the file.
TYPE = "snnbridge.checkpoint"
#: Up to so many layers and arrays each is an element of its own.
FEW = 512
#: Arrays of fewer bytes share a dataset where there are many.
SMALL = 64 << 10
#: So many large arrays at most are elements of their own.
MANY = 4096
#: Groups inside groups at most; what is nested deeper is packed.
DEPTH = 64
#: HDF5 knows no more axes.
RANK = 32
#: Bytes of text in an attribute; what is longer is cut, or left out: attributes are for people.
ATTRIBUTE = 4096

#: The sections of the document: which of its values each dataset holds, by path.
CHECKPOINT = "/checkpoint"
SECTIONS: Mapping[str, str] = {
    "layers": "/layers/document",
    "connections": "/connections",
    "state": "/state/document",
    "training": "/training/document",
    "metadata": "/metadata",
    "extras": "/extras/document",
    "provenance": "/provenance",
}
