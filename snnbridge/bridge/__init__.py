"""Reading, writing and converting checkpoints, and running files in their own engines."""

from __future__ import annotations

from snnbridge.bridge.checking import FileCheck, check_file
from snnbridge.bridge.converting import Conversion, convert
from snnbridge.bridge.finding import find
from snnbridge.bridge.reading import read
from snnbridge.bridge.running import engine
from snnbridge.bridge.writing import write

__all__ = ["Conversion", "FileCheck", "check_file", "convert", "engine", "find", "read", "write"]
