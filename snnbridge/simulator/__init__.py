"""The reference simulator: the discrete dynamics of the model, exact to the bit.

>>> from snnbridge import Simulator, simulate

The public names stand in ``__init__.pyi``; each is loaded when it is first used, so that what only
asks for shapes or coefficients does not load the kernel.
"""

from __future__ import annotations

import lazy_loader

# Its module is called the same, and would take its place here when it is imported first.
from snnbridge.simulator.coefficients import coefficients as coefficients

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
