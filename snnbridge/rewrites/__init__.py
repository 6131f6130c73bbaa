"""Other forms of a network that does the same: what a planner uses where a target is narrower.

Each function returns a new checkpoint and the ledger's entry for it. ``rewritten`` keeps every bit
of behaviour in the network's own arithmetic; ``rounded`` is the same in real arithmetic only, and
stands when the verdict of the simulator is ``equivalent``.
"""

from __future__ import annotations

from snnbridge.rewrites.folding import with_folded_norm, with_output, with_sum_pool
from snnbridge.rewrites.images import with_image_order
from snnbridge.rewrites.parts import Rewritten
from snnbridge.rewrites.spikes import with_compare, with_immediate_reset
from snnbridge.rewrites.subgraphs import without_subgraphs
from snnbridge.rewrites.timing import with_output_delay
from snnbridge.rewrites.weights import scaled, with_flatten_order, with_gain_in_weights

__all__ = [
    "Rewritten",
    "scaled",
    "with_compare",
    "with_flatten_order",
    "with_folded_norm",
    "with_gain_in_weights",
    "with_image_order",
    "with_immediate_reset",
    "with_output",
    "with_output_delay",
    "with_sum_pool",
    "without_subgraphs",
]
