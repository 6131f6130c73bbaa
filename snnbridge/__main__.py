"""``python -m snnbridge`` and the command ``snnbridge``."""

from __future__ import annotations

from snnbridge.cli import main

if __name__ == "__main__":
    main()
