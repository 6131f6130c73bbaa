"""snnbridge: every spiking network's checkpoint in, every other framework's out.

The public names stand in ``__init__.pyi``; each is loaded when it is first used, so that the
command line starts at once.
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
