"""The files of a new plugin, and writing them."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from string import Template

from snnbridge.errors import WriteError

#: Where each file of a plugin goes, by its template.
_FILES = {
    "pyproject.toml.txt": "pyproject.toml",
    "README.md.txt": "README.md",
    "module.py.txt": "snnbridge_$module.py",
    "test.py.txt": "tests/test_$module.py",
}
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def new_plugin(name: str, folder: str | Path) -> list[Path]:
    """Write a complete plugin: a distribution, a format in one module, and its tests.

    Parameters
    ----------
    name : str
        The format's name: lower case letters and digits, with hyphens between words.
    folder : str or Path
        Where the files go; it must be empty, or not there yet.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    WriteError
        For another name, or a folder with something in it.

    Examples
    --------
    >>> from snnbridge.templates import new_plugin
    >>> [path.name for path in new_plugin("mine", "snnbridge-mine")]
    ['pyproject.toml', 'README.md', 'snnbridge_mine.py', 'test_mine.py']
    """
    if not _NAME.fullmatch(name):
        raise WriteError(
            f"a format's name is made of lower case letters, digits and hyphens, not {name!r}"
        )
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise WriteError(f"{folder}: is there already; name an empty folder")
    words = {"name": name, "module": name.replace("-", "_"), "magic": name.upper()}
    return [_write(template, folder, target, words) for template, target in _FILES.items()]


def _write(template: str, folder: Path, target: str, words: dict[str, str]) -> Path:
    text = (resources.files(__name__) / template).read_text(encoding="utf-8")
    path = folder / Template(target).substitute(words)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(Template(text).substitute(words), encoding="utf-8", newline="\n")
    return path
