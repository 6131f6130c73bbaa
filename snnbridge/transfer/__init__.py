"""Transfer learning: the interface of ``sc_neurocore.transfer``, and rates that optimizers take.

``SNNCheckpoint``, ``save_checkpoint``, ``load_checkpoint``, ``freeze_layers``,
``unfreeze_layers``, ``TransferConfig`` and ``apply_transfer_config`` take the arguments that they
take in SC-NeuroCore, so a program needs a changed import only. Those that take a checkpoint take
whatever :func:`snnbridge.read` returns. :func:`parameter_groups` (torch), :func:`label_tree` and
:func:`learning_rates` (optax) turn frozen layers into something that training obeys; neither
torch nor jax is imported.

Source of the interface: ``sc_neurocore.transfer``, versions 3.14 to 3.16.
"""

from __future__ import annotations

from snnbridge.transfer.checkpoint import SNNCheckpoint, load_checkpoint, save_checkpoint
from snnbridge.transfer.freezing import (
    TransferConfig,
    apply_transfer_config,
    freeze_layers,
    unfreeze_layers,
)
from snnbridge.transfer.rates import label_tree, learning_rates, parameter_groups

__all__ = [
    "SNNCheckpoint",
    "TransferConfig",
    "apply_transfer_config",
    "freeze_layers",
    "label_tree",
    "learning_rates",
    "load_checkpoint",
    "parameter_groups",
    "save_checkpoint",
    "unfreeze_layers",
]
