"""HDF5 files, read and written without the HDF5 library.

The library follows links to other files, loads plugins that a file names, and hangs or crashes
on some damaged files. Here a file is nothing but bytes: :func:`open_file` parses them as the
HDF5 File Format Specification (version 3.0) states, looks at no more than an honest file of that
size can hold, and never leaves them; :func:`write_file` gives equal bytes for equal content.

What is not read is refused with the element and the reason: links but hard ones, several names
of one object, named and shared datatypes, external and virtual storage, references, records,
opaque bytes, lists of variable length, and filters but deflate, shuffle, Fletcher-32 and LZF.
"""

from __future__ import annotations

from snnbridge.storage.hdf5.datatypes import has_datatype
from snnbridge.storage.hdf5.encode import AttributeValue
from snnbridge.storage.hdf5.reading import Dataset, Group, open_file
from snnbridge.storage.hdf5.superblock import end_of
from snnbridge.storage.hdf5.tree import NewDataset, NewGroup
from snnbridge.storage.hdf5.writing import Watch, Written, write_file

__all__ = [
    "AttributeValue",
    "Dataset",
    "Group",
    "NewDataset",
    "NewGroup",
    "Watch",
    "Written",
    "end_of",
    "has_datatype",
    "open_file",
    "write_file",
]
