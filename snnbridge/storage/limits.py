"""How much a file may claim before it is refused."""

from __future__ import annotations

from dataclasses import dataclass, replace

#: What to do about a limit, for messages.
TRUST = "if you know where it comes from, read it with trusted=True or --trusted"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what a reader accepts.

    None of them bounds the size of honest stored data: whatever a file claims about its arrays
    is held against the bytes that are present. They bound what a few bytes could blow up into.

    Attributes
    ----------
    name_bytes
        Length of one name (array, layer, archive member) in UTF-8.
    depth
        Nesting of trees: JSON, msgpack, groups.
    rank
        Number of axes of an array.
    dimension
        Length of one axis; it matters for arrays with no elements only.
    folder_entries
        Names in one folder.
    members
        Members of one archive, arrays of one file.
    json_bytes, json_items, json_digits
        Size of a JSON text, the number of its values and the digits of one number.
    npy_header
        Length of an ``.npy`` header.
    expansion_ratio, expansion_floor
        Compressed data may expand to ``expansion_floor`` bytes, or to ``expansion_ratio`` times
        its own size where that is more.
    expansion_peak, expansion_whole
        It may expand to ``expansion_peak`` times its size, all that deflate can do, as long as
        that is no more than ``expansion_whole`` bytes: weights that are mostly zeros do.

    Examples
    --------
    >>> [Limits().expanded(size) >> 20 for size in (1_000, 1_000_000, 100_000_000)]
    [64, 192, 9536]
    >>> Limits(rank=4).trusted().rank
    4
    """

    name_bytes: int = 4096
    depth: int = 64
    rank: int = 32
    dimension: int = 1 << 48
    folder_entries: int = 100_000
    members: int = 1_000_000
    json_bytes: int = 64 << 20
    json_items: int = 4_000_000
    json_digits: int = 400
    npy_header: int = 4096
    expansion_ratio: int = 100
    expansion_floor: int = 64 << 20
    expansion_peak: int = 1032
    expansion_whole: int = 192 << 20

    @classmethod
    def for_text(cls, size: int, *, bytes_a_value: int = 8, **others: int) -> Limits:
        """Give limits for a JSON text that is present: the longer it is, the more it may hold.

        Parameters
        ----------
        size : int
            Of the text, in bytes.
        bytes_a_value : int
            How many bytes of a long text one of its values has at least.
        **others : int
            Limits by name.

        Examples
        --------
        >>> Limits.for_text(80_000_000).json_items
        10000000
        """
        items = max(cls().json_items, size // bytes_a_value)
        return cls(json_bytes=size, json_items=items, **others)

    def expanded(self, present: int) -> int:
        """Give the most bytes that ``present`` compressed bytes may expand to."""
        sparse = min(self.expansion_peak * present, self.expansion_whole)
        return max(self.expansion_floor, self.expansion_ratio * present, sparse)

    def trusted(self) -> Limits:
        """Give limits for a file whose origin is trusted.

        Lifted are the counts and ratios, which cost time and memory that the file's owner may
        want to spend. Depth, rank, digits and lengths stay: no honest file is near them.
        """
        unbounded = 1 << 62
        return replace(
            self,
            folder_entries=unbounded,
            members=unbounded,
            json_bytes=unbounded,
            json_items=unbounded,
            expansion_floor=unbounded,
        )
