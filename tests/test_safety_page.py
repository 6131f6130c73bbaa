"""The page on safety says what the code does."""

import runpy
from pathlib import Path

MAKER = Path(__file__).parents[1] / "docs/make_limits_table.py"


def test_the_limits_on_the_page_are_those_of_the_code():
    made = runpy.run_path(str(MAKER))
    assert made["PAGE"].read_text(encoding="utf-8") == made["page"]()
