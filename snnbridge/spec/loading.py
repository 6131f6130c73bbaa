"""Reading the file of a spec, which a stranger may have written."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

from snnbridge.errors import ReadError, SpecError
from snnbridge.storage import Source

_MOST_BYTES = 16 << 20
_DEEPEST = 64
# A key of n parts costs the parser n*n steps.
_LONG_KEY = re.compile(
    rf"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){{{_DEEPEST}}}"""
)


def load(path: str | Path) -> dict[str, Any]:
    """Read a spec file, TOML or JSON.

    Parameters
    ----------
    path : str or Path
        JSON if its name ends in ``.json`` or its text starts with a brace, TOML otherwise.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    SpecError
        If it is neither, too large, or nested too deeply.
    """
    path = Path(path)
    try:
        with Source(path) as source:
            if source.is_dir:
                raise SpecError(f"{path}: a folder; expected a TOML or JSON file")
            data = source.read(0, _MOST_BYTES + 1)
    except ReadError as error:  # a pipe, a device
        raise SpecError(f"{path}: no TOML or JSON file: {error}") from error
    if len(data) > _MOST_BYTES:
        limit = _MOST_BYTES >> 20
        raise SpecError(f"{path}: a spec of more than {limit} MiB; is it the checkpoint itself?")
    try:
        found = _parse(data.decode("utf-8-sig"), is_json=path.suffix.lower() == ".json")
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise SpecError(f"{path}: neither TOML nor JSON: {_first_line(error)}") from error
    if not isinstance(found, dict):
        raise SpecError(f"{path}: expected a table at the top, found {type(found).__name__}")
    return found


def _parse(text: str, *, is_json: bool) -> Any:
    if is_json or text.lstrip().startswith("{"):
        found = json.loads(text, object_pairs_hook=_unique)
    elif _LONG_KEY.search(text):
        raise ValueError(f"a key of more than {_DEEPEST} parts")
    else:
        found = tomllib.loads(text)
    _check_depth(found)
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in found if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} stands twice")
    return found


def _check_depth(tree: Any) -> None:
    level = [tree]
    for _ in range(_DEEPEST):
        level = [x for node in level if isinstance(node, dict | list) for x in _children(node)]
        if not level:
            return
    raise ValueError(f"nested deeper than {_DEEPEST} levels")


def _children(node: dict[str, Any] | list[Any]) -> list[Any]:
    return list(node.values()) if isinstance(node, dict) else node


def _first_line(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return str(error).partition("\n")[0][:200]
