"""Settings of all tests: random examples are the same in every run.

FASTCONV_TEST_EXAMPLES=10 multiplies the number of random shapes by ten.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

SCALE = float(os.environ.get("FASTCONV_TEST_EXAMPLES", "1"))

settings.register_profile(
    "fastconv",
    derandomize=True,
    deadline=None,
    max_examples=max(1, int(100 * SCALE)),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    print_blob=True,
)
settings.load_profile("fastconv")
