"""The example format keeps the whole contract."""

from snnbridge.testing import FormatConformance

from snnbridge_example import FORMAT


class TestContract(FormatConformance):
    format = FORMAT
