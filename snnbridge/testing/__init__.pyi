from . import samples, strategies
from .conformance import FormatConformance
from .contract import CONTRACT, Check, Finding, Report, check_format, checks
from .subject import ConformanceFailure, Subject

__all__ = [
    "CONTRACT",
    "Check",
    "ConformanceFailure",
    "Finding",
    "FormatConformance",
    "Report",
    "Subject",
    "check_format",
    "checks",
    "samples",
    "strategies",
]
