"""Hypothesis: no test may fail because the machine was busy."""

from hypothesis import HealthCheck, settings

settings.register_profile("hub", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hub")
