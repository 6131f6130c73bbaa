"""Every turned bit is found or changes nothing; ``python tests/bit_flips.py`` turns them all."""

import pytest

from bit_flips import SILENT, flips
from crashes.scenarios import SUFFIXES


@pytest.mark.parametrize("format", SUFFIXES)
def test_a_turned_bit_is_found_or_harmless(format, tmp_path):
    counts, silent = flips(format, tmp_path, every=53)
    assert silent == []
    assert counts[SILENT] == 0
    assert counts.total() > 100
