"""The journal of a commit: which staged file becomes which, and the names of hidden files.

Beside a file ``NAME`` there may be, for as long as somebody writes it::

    .NAME.0123456789abcdef.snnbtmp    a staged file; locked by its writer
    .HEAD.snnb-lock                   held while a set of files is replaced
    .HEAD.snnb-commit                 the journal: from here on the new set is the valid one

``HEAD`` is the file of the set that names the others, the last one that the writer opened.
The journal is JSON::

    {"version": 1, "files": [{"final": str, "staged": str, "size": int, "sha256": str | null}]}

with the head last. All its files lie in the journal's folder.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from snnbridge.errors import ReadError
from snnbridge.storage.jsontext import dump_json, parse_json
from snnbridge.storage.system import read_small

_JOURNAL_BYTES = 1 << 20
_LONGEST_NAME = 180
_STAGED = re.compile(r"(\..+)\.([0-9a-f]{16})\.snnbtmp", re.DOTALL)
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a commit: plain names in the journal's folder, size in bytes, digest."""

    final: str
    staged: str
    size: int
    sha256: str | None


def _hidden(name: str) -> str:
    """Give the start of a file's hidden names; short enough where the name itself is not."""
    if len(os.fsencode(name)) <= _LONGEST_NAME:
        return f".{name}"
    return f".{name[:32]}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:32]}"


def staged_name(name: str) -> str:
    """Make up a name for the staged file of ``name``."""
    return f"{_hidden(name)}.{secrets.token_hex(8)}.snnbtmp"


def is_staged_for(candidate: str, name: str) -> bool:
    """Whether ``candidate`` is a name that :func:`staged_name` gives for ``name``."""
    match = _STAGED.fullmatch(candidate)
    return match is not None and match[1] == _hidden(name)


def lock_path(head: Path) -> Path:
    """Give the lock file of the sets with that head."""
    return head.with_name(f"{_hidden(head.name)}.snnb-lock")


def journal_path(head: Path) -> Path:
    """Give the journal of the sets with that head."""
    return head.with_name(f"{_hidden(head.name)}.snnb-commit")


def journal_text(parts: list[Part]) -> bytes:
    """Write a journal; the head comes last."""
    return dump_json({"version": 1, "files": [asdict(part) for part in parts]})


def read_journal(head: Path) -> list[Part] | None:
    """Read the journal of a pending commit; None where none is pending.

    Raises
    ------
    ReadError
        The file of that name is not such a journal.
    """
    path = journal_path(head)
    try:
        data = read_small(path, _JOURNAL_BYTES)
    except FileNotFoundError:
        return None
    parts = _parts(parse_json(data, where=f"the commit journal {str(path)!r}"))
    if not parts or parts[-1].final != head.name:
        raise ReadError(
            f"{str(path)!r} is no journal of {head.name!r}; remove it if no snnbridge wrote it"
        )
    return parts


def pending_file(path: Path) -> Path | None:
    """Give the staged file that a pending commit will put in the place of ``path``.

    For a file that is missing: its folder is searched for journals.
    """
    for journal in _journals(path.parent):
        with suppress(FileNotFoundError):  # the commit ended meanwhile
            for part in _parts(parse_json(read_small(journal, _JOURNAL_BYTES))):
                if part.final == path.name and (staged := path.with_name(part.staged)).exists():
                    return staged
    return None


def names_staged(folder: Path, staged: str) -> bool:
    """Whether a journal in the folder names that staged file, which then must be kept."""
    key = staged.removesuffix(".snnbtmp")[-16:].encode()
    for journal in _journals(folder):
        try:
            if key in read_small(journal, _JOURNAL_BYTES):
                return True
        except FileNotFoundError:  # that commit ended meanwhile
            continue
        except (OSError, ReadError):  # it may name the file, for all we know
            return True
    return False


def _journals(folder: Path) -> list[Path]:
    try:
        return list(folder.glob(".*.snnb-commit"))
    except OSError:
        return []


def _parts(value: object) -> list[Part]:
    """Check a journal's tree; an empty list where it is none."""
    if not isinstance(value, dict) or value.get("version") != 1:
        return []
    files = value.get("files")
    if not isinstance(files, list):
        return []
    parts = [_part(entry) for entry in files]
    return [part for part in parts if part] if all(parts) else []


def _part(entry: object) -> Part | None:
    if not isinstance(entry, dict) or set(entry) != {"final", "staged", "size", "sha256"}:
        return None
    final, staged, size, digest = (entry[key] for key in ("final", "staged", "size", "sha256"))
    if not isinstance(final, str) or not isinstance(staged, str) or type(size) is not int:
        return None
    if Path(final).name != final or final in {"", ".", ".."} or "\0" in final:
        return None
    if not is_staged_for(staged, final) or size < 0:
        return None
    if digest is not None and not (isinstance(digest, str) and _DIGEST.fullmatch(digest)):
        return None
    return Part(final, staged, size, digest)
