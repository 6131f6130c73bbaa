"""The contract as a class of pytest tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from snnbridge.formats import Format
from snnbridge.testing.contract import Check, checks
from snnbridge.testing.subject import Subject


@pytest.mark.conformance
class FormatConformance:
    """Every check of the contract as a test; subclass it and name your format.

    Each check of :func:`snnbridge.testing.checks` is a method ``test_<its name>``, with one case
    for each sample that it is run with.

    Attributes
    ----------
    format : Format
    write_options, read_options : mapping
        Options of the format for every write and every read.
    checks_integrity : bool
        Whether the format finds every changed bit when it reads with `read_options`; then the
        tests demand it.

    Examples
    --------
    ::

        from snnbridge.testing import FormatConformance
        from my_plugin import FORMAT

        class TestMyFormat(FormatConformance):
            format = FORMAT
    """

    format: ClassVar[Format]
    write_options: ClassVar[Mapping[str, Any]] = {}
    read_options: ClassVar[Mapping[str, Any]] = {}
    checks_integrity: ClassVar[bool] = False

    @pytest.fixture
    def subject(self, tmp_path: Path) -> Subject:
        """Return the format, with an empty folder for its files."""
        return Subject(
            self.format,
            tmp_path,
            write_options=self.write_options,
            read_options=self.read_options,
            checks_integrity=self.checks_integrity,
        )


def _method(check: Check) -> Callable[..., None]:
    if check.samples is None:

        def test(self: FormatConformance, subject: Subject) -> None:
            check.run(subject)

        return test

    @pytest.mark.parametrize("sample", sorted(check.samples()))
    def test_samples(self: FormatConformance, subject: Subject, sample: str) -> None:
        assert check.samples is not None
        check.run(subject, check.samples()[sample])

    return test_samples


for _each in checks():
    _made = _method(_each)
    _made.__name__, _made.__doc__ = f"test_{_each.name}", _each.promise
    setattr(FormatConformance, _made.__name__, _made)
