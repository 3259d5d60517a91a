"""What the calls of one connection told: its own rate budget, and when the broker last failed it."""

from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar, Self
from uuid import UUID

from django.db import models

from brokerhub.kernel.models import User
from connections.brokers.calls import Attribution, BrokerCall, LimitSource
from connections.brokers.records import Broker
from connections.models import Connection
from health.metrics import Budget

BUDGET = ["budget_limit", "budget_remaining", "budget_period", "budget_seen_at", "budget_source"]


class ConnectionMeasureQuerySet(models.QuerySet["ConnectionMeasure"]):
    def note(self, measures: Iterable["ConnectionMeasure"]) -> None:
        """Write what is newer. One row a connection, so a burst of calls costs two statements."""
        rows = sorted(measures, key=lambda row: row.connection_id)
        unique = {"update_conflicts": True, "unique_fields": ["connection_id"]}
        if told := [row for row in rows if row.budget_seen_at]:
            self.bulk_create(told, update_fields=BUDGET, **unique)  # type: ignore[arg-type]
        if failed := [row for row in rows if row.failed_at]:
            self.bulk_create(failed, update_fields=["failed_at"], **unique)  # type: ignore[arg-type]

    def for_user(self, user: User) -> Self:
        return self.filter(connection_id__in=Connection.objects.for_user(user).values("pk"))

    def people_failed(self, broker: Broker, since: datetime) -> int:
        """How many people have had a call fail on the broker's side since then."""
        failed = self.filter(broker=broker, failed_at__gte=since).values("connection_id")
        return Connection.objects.filter(pk__in=failed).values("user").distinct().count()


class ConnectionMeasure(models.Model):
    """The newest of one connection. Kept by its id alone: recording must not fail because it was just removed."""

    connection_id = models.UUIDField(primary_key=True, editable=False)
    broker = models.CharField(max_length=20, choices=Broker.choices)
    failed_at = models.DateTimeField(null=True, blank=True, help_text="When the broker last failed it.")
    budget_limit = models.IntegerField(null=True, blank=True)
    budget_remaining = models.IntegerField(null=True, blank=True)
    budget_period = models.IntegerField(null=True, blank=True, help_text="Seconds.")
    budget_seen_at = models.DateTimeField(null=True, blank=True)
    budget_source = models.CharField(
        max_length=10, blank=True, choices=[(each.value, each.value) for each in LimitSource]
    )

    objects = ConnectionMeasureQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["broker", "failed_at"], name="failed_connections")]

    def __str__(self) -> str:
        return f"{self.get_broker_display()} {self.connection_id}"

    @classmethod
    def of(cls, connection_id: UUID, broker: Broker) -> Self:
        return cls(connection_id=connection_id, broker=broker.value)

    def count(self, call: BrokerCall) -> None:
        """Unsaved."""
        if call.attribution is Attribution.BROKER and (self.failed_at is None or call.started_at > self.failed_at):
            self.failed_at = call.started_at
        budget = Budget.of(call)
        if budget and (self.budget_seen_at is None or budget.seen_at >= self.budget_seen_at):
            self.budget_limit, self.budget_remaining = budget.limit, budget.remaining
            self.budget_period, self.budget_seen_at = budget.period, budget.seen_at
            self.budget_source = budget.source.value

    @property
    def budget(self) -> Budget | None:
        if self.budget_limit is None or self.budget_seen_at is None:
            return None
        return Budget(
            limit=self.budget_limit,
            remaining=self.budget_remaining,
            period=self.budget_period,
            seen_at=self.budget_seen_at,
            source=LimitSource(self.budget_source or LimitSource.DOCUMENTED),
        )
