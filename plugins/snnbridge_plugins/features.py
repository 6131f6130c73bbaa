"""What files hold in which a framework keeps nothing but arrays by the names of modules."""

from __future__ import annotations

from snnbridge import EVERYTHING, Feature

#: What names and arrays can tell; each format lacks more, and the losses of a checkpoint say which
#: of it they do tell.
TOLD_BY_ARRAYS = EVERYTHING - {
    Feature.DELAY,
    Feature.FLATTEN,
    Feature.FROZEN,
    Feature.METADATA,
    Feature.POOL,
    Feature.PORTS,
    Feature.SUBGRAPH,
    Feature.TRAINABLE,
}
