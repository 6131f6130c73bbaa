"""The contract of a format: every check, by name, and running them all."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snnbridge.errors import SNNBridgeError
from snnbridge.formats import Format, Options
from snnbridge.testing import damage_checks, file_checks, model_checks, writing_checks
from snnbridge.testing.samples import runnable, samples
from snnbridge.testing.subject import ConformanceFailure, Subject

#: The version of the contract; a check that is added, or made stricter, raises it.
CONTRACT = 1


@dataclass(frozen=True, slots=True)
class Check:
    """One promise of the contract.

    Parameters
    ----------
    name : str
    run : function of (Subject) or of (Subject, SNNCheckpoint)
        Raises :class:`ConformanceFailure` if the promise is broken.
    samples : function returning names and checkpoints, optional
        What it is run with, one at a time.
    """

    name: str
    run: Callable[..., None]
    samples: Callable[[], Any] | None = None

    @property
    def promise(self) -> str:
        """The promise, in a sentence."""
        return inspect.getdoc(self.run) or ""

    def cases(self) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """Yield what it is run with beside the subject: a name, and arguments."""
        if self.samples is None:
            yield "", ()
        else:
            yield from ((name, (sample,)) for name, sample in self.samples().items())


def _check(run: Callable[..., None], of: Callable[[], Any] | None = None) -> Check:
    return Check(run.__name__, run, of)


_CHECKS = (
    _check(file_checks.own_files_are_recognised),
    _check(file_checks.foreign_files_are_left_alone),
    _check(file_checks.a_missing_file_is_file_not_found),
    _check(model_checks.a_sample_comes_back_or_is_refused, samples),
    _check(model_checks.the_ledger_tells_the_truth, samples),
    _check(model_checks.the_input_stays_as_it_was, samples),
    _check(model_checks.equal_checkpoints_make_equal_bytes, samples),
    _check(model_checks.behaviour_is_the_same, runnable),
    _check(model_checks.unknown_options_are_refused),
    _check(damage_checks.a_shortened_file_is_refused),
    _check(damage_checks.a_flipped_bit_is_found),
    _check(writing_checks.a_full_disk_leaves_the_old_file),
    _check(writing_checks.nothing_is_in_place_before_the_end),
    _check(writing_checks.readers_may_share_a_file),
    _check(writing_checks.a_reader_finds_the_old_file_or_the_new_one),
    _check(writing_checks.arrays_outlive_their_file),
)


def checks() -> tuple[Check, ...]:
    """Return every check of the contract."""
    return _CHECKS


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Parameters
    ----------
    check : str
    cases, failed : int
        How often it was run, and how often the promise was broken.
    messages : tuple of str
        What was found, the sample's name in front.
    """

    check: str
    cases: int
    failed: int
    messages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What all checks found of a format.

    Parameters
    ----------
    format : str
    contract : int
        The contract's version.
    findings : tuple of Finding
    """

    format: str
    contract: int
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether every promise is kept."""
        return not any(finding.failed for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "format": self.format,
            "contract": self.contract,
            "passed": self.passed,
            "checks": [
                {
                    "name": x.check,
                    "cases": x.cases,
                    "failed": x.failed,
                    "messages": list(x.messages),
                }
                for x in self.findings
            ],
        }


def check_format(
    format: Format,
    *,
    write_options: Options | None = None,
    read_options: Options | None = None,
    checks_integrity: bool = False,
    progress: Callable[[str, int, int], object] | None = None,
) -> Report:
    """Check a format against the whole contract.

    Parameters
    ----------
    format : Format
    write_options, read_options : mapping, optional
        Options of the format for every write and every read.
    checks_integrity : bool
        Whether the format finds every changed bit when it reads with `read_options`; then each
        must be found.
    progress : function of (check, done, total), optional

    Returns
    -------
    Report

    Examples
    --------
    >>> from snnbridge import Registry
    >>> from snnbridge.testing import check_format
    >>> check_format(Registry.installed().get("npz")).passed  # doctest: +SKIP
    True
    """
    findings = []
    for done, check in enumerate(_CHECKS):
        if progress is not None:
            progress(check.name, done, len(_CHECKS))
        findings.append(
            _finding(check, format, write_options, read_options, checks_integrity=checks_integrity)
        )
    return Report(format.name, CONTRACT, tuple(findings))


def _finding(
    check: Check,
    format: Format,
    write_options: Options | None,
    read_options: Options | None,
    *,
    checks_integrity: bool,
) -> Finding:
    messages: list[str] = []
    cases = 0
    for name, arguments in check.cases():
        cases += 1
        with tempfile.TemporaryDirectory() as folder:
            subject = Subject(
                format,
                Path(folder),
                write_options=write_options,
                read_options=read_options,
                checks_integrity=checks_integrity,
            )
            try:
                check.run(subject, *arguments)
            except (Exception, SystemExit) as error:  # noqa: BLE001  # the other checks go on
                told = isinstance(error, ConformanceFailure | SNNBridgeError | OSError)
                message = str(error) if told else f"raised {error!r}"
                messages.append(f"{name}: {message}" if name else message)
    return Finding(check.name, cases, len(messages), tuple(messages))
