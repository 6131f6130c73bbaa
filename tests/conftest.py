"""The path of the tests' own modules, and how hypothesis looks for examples.

Two runs of the tests try the same examples, so that a test fails for what was changed and not by
chance. ``pytest --hypothesis-profile=explore`` tries others each time.
"""

import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))
# No test fails on a time.
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("steady", settings.get_profile("explore"), derandomize=True)
settings.load_profile("steady")
