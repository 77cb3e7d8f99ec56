"""Settings of all tests: random examples are the same in every run, and may take their time."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "fastconv",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    print_blob=True,
)
settings.load_profile("fastconv")
