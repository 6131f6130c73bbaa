"""The example format keeps the whole contract."""

from snnbridge_example import FORMAT

from snnbridge.testing import FormatConformance


class TestContract(FormatConformance):
    format = FORMAT
