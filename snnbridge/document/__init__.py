"""A checkpoint as one JSON document and a list of arrays, lossless both ways.

A format whose own layout cannot say everything carries the document in a place that its
framework ignores, and its arrays wherever it likes: the plugin decides where each array goes and
notes the place in the document; when reading, it fetches the array from that place. What a
framework changes in its own arrays later is therefore seen, not shadowed. :class:`ArrayForm` is the
way from an array as a framework stores it to the one that a layer holds.

Values that JSON lacks are objects whose one key starts with ``$``: ``$float`` (the bits of a
float that is not finite), ``$complex``, ``$bytes`` (base64), ``$scalar`` (a numpy scalar: dtype
and bits), ``$array`` (the place of an array), ``$parameter``, ``$quantity``, ``$unknown`` and
``$per_step``. A user's key that starts with ``$`` is written with one more.
"""

from __future__ import annotations

from snnbridge.document.arrays import (
    dtype_and_shape,
    dtype_name,
    dtype_of,
    from_elements,
    from_inline,
    inline,
)
from snnbridge.document.forms import (
    AS_IT_IS,
    TRANSPOSED,
    WITH_TAIL,
    ArrayForm,
    channels_last,
    over_images,
)
from snnbridge.document.reading import from_document
from snnbridge.document.writing import SCHEMA, to_document
from snnbridge.model.rules import switches

__all__ = [
    "AS_IT_IS",
    "SCHEMA",
    "TRANSPOSED",
    "WITH_TAIL",
    "ArrayForm",
    "channels_last",
    "dtype_and_shape",
    "dtype_name",
    "dtype_of",
    "from_document",
    "from_elements",
    "from_inline",
    "inline",
    "over_images",
    "switches",
    "to_document",
]
