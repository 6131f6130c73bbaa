"""What a format needs that writes networks for another engine: a network laid out as it runs.

:func:`prepared` lays out a checkpoint as the nodes of a :class:`Network`, each with its sources and
their delays, in an order in which every node finds what it reads. The names stand in
``engines.pyi``; each is loaded when it is first used.
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub("snnbridge.simulator", __file__)
