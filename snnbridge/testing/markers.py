"""What pytest is told of the kit: its marker, and nothing else."""

from __future__ import annotations

from typing import Any


def pytest_configure(config: Any) -> None:
    """Declare the marker that every test of :class:`snnbridge.testing.FormatConformance` has."""
    config.addinivalue_line("markers", "conformance: a promise of the contract of a format")
