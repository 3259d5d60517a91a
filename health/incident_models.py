"""What was found: how long a broker was in which state, and the incidents that follow from it."""

from datetime import datetime
from typing import ClassVar, Self

from django.conf import settings
from django.db import models

from connections.brokers.calls import Operation
from connections.brokers.records import Broker
from health.verdicts import Status


class StatusSpanQuerySet(models.QuerySet["StatusSpan"]):
    def of_brokers(self) -> Self:
        """Without the spans of single operations."""
        return self.filter(operation="")

    def last_known(self, *, since: datetime) -> "models.QuerySet[StatusSpan, tuple[str, str]]":
        """(broker, status) of each broker's latest span; without those that were last seen before `since`."""
        newest = self.of_brokers().filter(ends_at__gte=since).order_by("broker", "-ends_at", "-pk").distinct("broker")
        return newest.values_list("broker", "status")

    def between(self, since: datetime, until: datetime) -> Self:
        return self.filter(ends_at__gt=since, starts_at__lt=until)


class StatusSpan(models.Model):
    """A broker, or one operation at it, in one state without a break. Where there is no span, nothing is known."""

    broker = models.CharField(max_length=20, choices=Broker.choices)
    operation = models.CharField(
        max_length=20, blank=True, choices=[(each.value, each.value) for each in Operation], help_text="Empty: all."
    )
    status = models.CharField(max_length=20, choices=Status.choices)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(help_text="The span that is going on is made longer with each look.")

    objects = StatusSpanQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(ends_at__gte=models.F("starts_at")), name="span_runs_forwards")
        ]
        indexes: ClassVar = [models.Index(fields=["operation", "ends_at"], name="spans_by_end")]

    def __str__(self) -> str:
        what = f"{self.get_broker_display()} {self.operation}".strip()
        return f"{what}: {self.get_status_display()} from {self.starts_at:%Y-%m-%d %H:%M}"


class IncidentQuerySet(models.QuerySet["Incident"]):
    def open(self) -> Self:
        return self.filter(resolved_at=None)

    def told(self) -> Self:
        """With their timelines, newest first."""
        return self.order_by("-opened_at").prefetch_related("updates")


class Incident(models.Model):
    """Trouble on a broker's side from its first failure to its end. Opens and closes by itself."""

    broker = models.CharField(max_length=20, choices=Broker.choices)
    status = models.CharField(max_length=20, choices=Status.choices, help_text="The worst it came to.")
    first_failure_at = models.DateTimeField()
    opened_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)
    operations = models.JSONField(default=list, help_text="Those that failed.")
    people = models.PositiveIntegerField(default=0, help_text="How many had a call of theirs fail.")

    objects = IncidentQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["broker"], condition=models.Q(resolved_at=None), name="one_open_incident_per_broker"
            )
        ]
        indexes: ClassVar = [models.Index(fields=["broker", "-opened_at"], name="incidents_by_broker")]

    def __str__(self) -> str:
        return f"{self.get_broker_display()}: {self.get_status_display()}, {self.opened_at:%Y-%m-%d %H:%M}"

    @property
    def tone(self) -> str:
        return Status(self.status).tone


class IncidentUpdate(models.Model):
    """A line of an incident's timeline: what was found, or what an administrator has to say."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="updates")
    at = models.DateTimeField()
    status = models.CharField(max_length=20, choices=Status.choices, blank=True, help_text="Empty: words only.")
    text = models.CharField(max_length=500)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering: ClassVar = ["at", "pk"]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.text}"
