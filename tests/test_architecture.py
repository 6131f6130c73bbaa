"""What plugins may import is stated once for people and once for the checker, and both agree."""

import ast
import importlib
import pkgutil
import re
import tomllib
from pathlib import Path

import pytest

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


def listed_modules():
    """Return the modules that the page on plugins lists, modules inside of modules too."""
    section = (ROOT / "docs/plugins.md").read_text().split("## What you")[1]
    return {"snnbridge", *re.findall(r"^\| (?:{mod})?`(snnbridge[\w.]+)`", section, re.M)}


def imported(path):
    """Return the names that a module imports from snnbridge, each as (module, name)."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "snnbridge":
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            names = (alias.name for alias in node.names)
            yield from ((x, "*") for x in names if x.split(".")[0] == "snnbridge")


PLUGINS = ROOT / "plugins/snnbridge_plugins"


@pytest.mark.parametrize(
    "package", sorted(p.name for p in PLUGINS.iterdir() if p.name != "__pycache__")
)
def test_formats_that_ship_import_public_names_only(package):
    listed, place = listed_modules(), PLUGINS / package
    for path in place.rglob("*.py") if place.is_dir() else [place]:
        for module, name in imported(path):
            if f"{module}.{name}" not in listed:
                public = importlib.import_module(module).__all__ if module in listed else ()
                assert name in public, f"{path.relative_to(PLUGINS)} imports {module}.{name}"


def test_the_page_on_plugins_lists_every_module_that_is_open_to_them():
    section = (ROOT / "docs/plugins.md").read_text().split("## What you")[1]
    assert set(re.findall(r"^\| (?:{mod})?`snnbridge\.(\w+)`", section, re.M)) == open_modules()


def test_so_does_the_page_on_the_architecture():
    page = (ROOT / "docs/architecture.md").read_text()
    sentence = page.split("A plugin imports")[1].split(";")[0]
    assert set(re.findall(r"`(\w+)`", sentence)) - {"snnbridge"} == open_modules()
