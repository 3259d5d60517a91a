"""What people asked the comparison for: long simulations under way, and answers they keep."""

import uuid
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from brokerhub.kernel.models import User


class SimulationState(models.TextChoices):
    QUEUED = "queued", "Waiting"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"


OPEN = (SimulationState.QUEUED, SimulationState.RUNNING)


class SimulationQuerySet(models.QuerySet["CostSimulation"]):
    def for_user(self, user: User) -> Self:
        return self.filter(user=user)


class RecommendationQuerySet(models.QuerySet["RecommendationProfile"]):
    def for_user(self, user: User) -> Self:
        return self.filter(user=user)


class CostSimulation(models.Model):
    """A history priced at every plan in the background; `key` names inputs and data, so equal ones are one."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="cost_simulations")
    inputs = models.JSONField()
    key = models.CharField(max_length=80)
    catalogue_version = models.BigIntegerField()
    engine_version = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=8, choices=SimulationState.choices, default=SimulationState.QUEUED)
    done = models.PositiveIntegerField(default=0, help_text="Days of the period that are priced.")
    total = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=300, blank=True)
    result = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = SimulationQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user", "key"], condition=Q(state__in=["queued", "running"]), name="one_open_simulation_per_key"
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_state_display()} since {self.created_at:%Y-%m-%d %H:%M}"


class RecommendationProfile(models.Model):
    """A recommendation somebody keeps: what they answered, and what came out, to see later what changed."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="recommendations")
    name = models.CharField(max_length=80)
    inputs = models.JSONField()
    catalogue_version = models.BigIntegerField()
    result = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    objects = RecommendationQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return self.name
