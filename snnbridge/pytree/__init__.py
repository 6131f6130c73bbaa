"""BrainPy's own way of saving and loading, without BrainPy.

The functions have the names, the signatures and the bytes of ``brainpy.checkpoints`` and of
``brainpy.save_state``, ``brainpy.load_state``, so that a script needs another import only. They
work on a running network of BrainPy and on a :class:`snnbridge.SNNCheckpoint` alike, and import
neither BrainPy nor JAX. Files are replaced whole or not at all.

>>> import numpy as np
>>> from snnbridge import Linear, SNNCheckpoint
>>> from snnbridge.pytree import load_state, save_state
>>> checkpoint = SNNCheckpoint([Linear("fc", np.zeros((2, 3), np.float32))])
>>> states = save_state(checkpoint)
>>> states["fc"]["fc.W"].shape
(3, 2)
>>> load_state(checkpoint, {"fc": {"fc.W": np.ones((3, 2), np.float32)}})
StateLoadResult(missing_keys=[], unexpected_keys=[])
"""

from __future__ import annotations

from snnbridge.pytree.background import AsyncManager
from snnbridge.pytree.files import load_pytree, save_pytree
from snnbridge.pytree.states import StateLoadResult, load_state, save_state

__all__ = [
    "AsyncManager",
    "StateLoadResult",
    "load_pytree",
    "load_state",
    "save_pytree",
    "save_state",
]
