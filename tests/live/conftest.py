"""Where the real frameworks must be there, a test that is left out has failed."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if os.environ.get("SNNBRIDGE_LIVE") == "required" and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"left out, but the real frameworks are required: {report.longrepr}"
