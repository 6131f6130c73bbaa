"""BrainPy's state dicts: trees of nodes and arrays, and the checkpoints that they are.

:func:`from_tree` and :func:`to_tree` are inverse: a tree that was read comes back with its
nodes, its keys, their order and its arrays, whatever format the checkpoint went through.

>>> import numpy as np
>>> from snnbridge.node_trees import from_tree, to_tree
>>> tree = {"net": {"Lif0": {"Lif0.V": np.zeros(3, np.float32)}}, "epoch": 7}
>>> checkpoint = from_tree(tree)
>>> checkpoint.layers["Lif0"].shape, checkpoint.training
((3,), {'epoch': 7})
>>> list(to_tree(checkpoint).tree)
['net', 'epoch']
"""

from __future__ import annotations

from snnbridge.node_trees.classes import WEIGHTED, class_of
from snnbridge.node_trees.finding import WRAPPERS, find_net, is_flat_archive
from snnbridge.node_trees.fresh import container_of, laid_out
from snnbridge.node_trees.live import is_net, nodes_of, put_state, state_of
from snnbridge.node_trees.loading import nodes_in, put_nodes
from snnbridge.node_trees.reading import from_tree
from snnbridge.node_trees.steps import STEP_FILE, choose
from snnbridge.node_trees.writing import RESERVED, StateDict, to_tree

__all__ = [
    "RESERVED",
    "STEP_FILE",
    "WEIGHTED",
    "WRAPPERS",
    "StateDict",
    "choose",
    "class_of",
    "container_of",
    "find_net",
    "from_tree",
    "is_flat_archive",
    "is_net",
    "laid_out",
    "nodes_in",
    "nodes_of",
    "put_nodes",
    "put_state",
    "state_of",
    "to_tree",
]
