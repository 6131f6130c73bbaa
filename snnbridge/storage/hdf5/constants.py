"""Numbers that the HDF5 File Format Specification (version 3.0) gives its structures."""

from __future__ import annotations

#: The address of something that is not there.
UNDEFINED = 0xFFFFFFFFFFFFFFFF

#: Types of header messages.
DATASPACE, LINK_INFO, DATATYPE, OLD_FILL, FILL, LINK, EXTERNAL, LAYOUT = range(0x01, 0x09)
GROUP_INFO, FILTERS, ATTRIBUTE = 0x0A, 0x0B, 0x0C
CONTINUATION, SYMBOL_TABLE, ATTRIBUTE_INFO = 0x10, 0x11, 0x15

#: The last type of message that the specification knows.
LAST_MESSAGE = 0x17

DEFLATE, SHUFFLE, FLETCHER32, LZF = 1, 2, 3, 32000
