"""What authors of formats test with: the contract of a format, and checkpoints of every sort.

A whole suite for pytest, in three lines::

    from snnbridge.testing import FormatConformance

    class TestMine(FormatConformance):
        format = my_plugin.FORMAT

Without pytest, :func:`check_format` does the same, and so does ``snnbridge check-format NAME``.
``snnbridge.testing.samples`` has the checkpoints, ``snnbridge.testing.strategies`` (which
needs hypothesis) draws more. The public names stand in ``__init__.pyi``.
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
