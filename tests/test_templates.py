"""A new plugin is complete at once, and the example here is what the template makes."""

from pathlib import Path

import pytest

from snnbridge import WriteError
from snnbridge.templates import new_plugin

EXAMPLE = Path(__file__).resolve().parents[1] / "plugins" / "example"


def test_the_example_is_what_the_template_makes(tmp_path):
    made = new_plugin("example", tmp_path / "new")
    assert len(made) == 4
    for path in made:
        kept = EXAMPLE / path.relative_to(tmp_path / "new")
        assert kept.read_text(encoding="utf-8") == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["", "Mine", "my_format", "1st", "a--b", "../x", "é"])
def test_a_name_that_no_distribution_can_have_is_refused(name, tmp_path):
    with pytest.raises(WriteError, match="lower case letters, digits and hyphens"):
        new_plugin(name, tmp_path / "new")


def test_files_that_are_there_stay(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(WriteError, match="is there already"):
        new_plugin("mine", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]
