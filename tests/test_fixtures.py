"""The fixtures are the files that the manifest lists, bit for bit."""

import hashlib
import json
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures"
MANIFEST = json.loads((FIXTURES / "manifest.json").read_text(encoding="utf-8"))
#: What this project writes itself: nothing that another program recorded.
OWN = {"make", "specs"}


def recorded():
    folders = (path for path in FIXTURES.iterdir() if path.is_dir())
    return sorted(x.name for x in folders if x.name not in OWN and not x.name.startswith("."))


def test_every_folder_is_in_the_manifest():
    assert sorted(MANIFEST) == recorded()


@pytest.mark.parametrize("part", MANIFEST.values(), ids=MANIFEST)
def test_every_folder_says_where_it_came_from(part):
    assert ("script" in part) != ("source" in part)
    assert (FIXTURES.parent / part.get("script", "")).exists()


@pytest.mark.parametrize("name", sorted(MANIFEST))
def test_every_file_is_listed_and_has_its_digest(name):
    folder = FIXTURES / name
    found = {
        path.relative_to(folder).as_posix(): {
            "size": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    assert found == MANIFEST[name]["files"]
