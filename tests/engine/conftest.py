"""Property tests that say the same each time, however slow the machine."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "puna", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("puna")
