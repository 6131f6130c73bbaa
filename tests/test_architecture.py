"""What plugins may import is stated once for people and once for the checker, and both agree."""

import pkgutil
import re
import tomllib
from pathlib import Path

import snnbridge

ROOT = Path(__file__).parent.parent


def open_modules():
    """Return the core's modules that the contract does not close to plugins."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (front_door,) = (
        c for c in contracts["contracts"] if c.get("source_modules") == ["snnbridge_plugins"]
    )
    closed = {name.removeprefix("snnbridge.") for name in front_door["forbidden_modules"]}
    return {m.name for m in pkgutil.iter_modules(snnbridge.__path__)} - closed - {"__main__"}


def test_the_page_on_plugins_lists_every_module_that_is_open_to_them():
    section = (ROOT / "docs/plugins.md").read_text().split("## What you")[1]
    assert set(re.findall(r"^\| (?:{mod})?`snnbridge\.(\w+)`", section, re.M)) == open_modules()


def test_so_does_the_page_on_the_architecture():
    page = (ROOT / "docs/architecture.md").read_text()
    sentence = page.split("A plugin imports")[1].split(";")[0]
    assert set(re.findall(r"`(\w+)`", sentence)) - {"snnbridge"} == open_modules()
