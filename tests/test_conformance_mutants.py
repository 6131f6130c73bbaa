"""The kit catches formats that break the contract, each by the check that names the promise."""

import pytest

import toy
from broken_formats import BROKEN
from snnbridge import SNNBridgeError
from snnbridge.testing import ConformanceFailure, Subject, check_format, checks, contract

CHECKS = {check.name: check for check in checks()}


def failures(format, check, tmp_path):
    """Run a check with everything that it takes; return what it found."""
    found = []
    for number, (name, arguments) in enumerate(check.cases()):
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            check.run(Subject(format, folder), *arguments)
        except (ConformanceFailure, SNNBridgeError, OSError) as error:
            found.append((name, error))
    return found


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_a_broken_format_is_caught_by_the_check_of_its_promise(name, tmp_path):
    make, caught_by = BROKEN[name]
    found = failures(make(), CHECKS[caught_by], tmp_path)
    assert found, f"{caught_by} let {name} pass"


def test_a_format_that_claims_digests_and_has_none_is_caught(tmp_path):
    subject = Subject(toy.FORMAT, tmp_path, checks_integrity=True)
    with pytest.raises(ConformanceFailure, match="turned: changed"):
        CHECKS["a_flipped_bit_is_found"].run(subject)


def test_every_promise_that_a_format_can_break_has_a_broken_format():
    caught = {check for _, check in BROKEN.values()}
    kept_by_the_core = {"a_missing_file_is_file_not_found", "unknown_options_are_refused"}
    assert set(CHECKS) - caught == kept_by_the_core


def test_the_report_names_the_check_and_the_sample():
    make, caught_by = BROKEN["ignores_frozen_layers"]
    report = check_format(make())
    assert not report.passed
    found = {x["name"]: x for x in report.as_json()["checks"] if x["failed"]}
    assert any("frozen layers: " in message for message in found[caught_by]["messages"])


@pytest.mark.parametrize("fault", [ValueError("odd"), SystemExit(3)])
def test_a_format_that_raises_anything_is_a_finding_and_the_other_checks_go_on(fault, monkeypatch):
    def raising(subject):
        raise fault

    others = CHECKS["unknown_options_are_refused"], CHECKS["a_missing_file_is_file_not_found"]
    monkeypatch.setattr(contract, "_CHECKS", (contract.Check("raising", raising), *others))
    report = check_format(toy.FORMAT)
    assert [x.failed for x in report.findings] == [1, 0, 0]
    assert report.findings[0].messages == (f"raised {fault!r}",)
