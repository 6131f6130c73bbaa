"""Images in the order of flax, with the channel as last axis."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from snnbridge import UNKNOWN, CheckpointError, Entry, Flatten, SNNCheckpoint, rewrites
