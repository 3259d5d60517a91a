"""What the calls of one connection told: its rate budget, how fast it is used, and when the broker last failed it."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Self
from uuid import UUID

from django.db import connections, models

from brokerhub.kernel.models import User
from connections.brokers.calls import Attribution, BrokerCall
from connections.brokers.records import Broker
from connections.models import Connection
from health.budget_models import COLUMNS, SeenBudget, newest
from health.metrics import Budget, Pace

MINUTE = timedelta(minutes=1)
TABLE = "health_connectionmeasure"
TYPES = {
    "connection_id": "uuid",
    "broker": "text",
    "failed_at": "timestamptz",
    **COLUMNS,
    "budget_owner": "text",
    "minute_at": "timestamptz",
    "minute_calls": "integer",
    "before_calls": "integer",
}
# Counts of the same minute add up; those of the minute before become what was before.
UPSERT = f"""
INSERT INTO {TABLE} ({", ".join(TYPES)})
SELECT {", ".join(TYPES)} FROM jsonb_to_recordset(%s::jsonb)
    AS batch({", ".join(f"{name} {kind}" for name, kind in TYPES.items())})
ORDER BY connection_id
ON CONFLICT (connection_id) DO UPDATE SET
    failed_at = greatest({TABLE}.failed_at, excluded.failed_at),
    {newest(TABLE, *COLUMNS, "budget_owner")},
    minute_at = greatest({TABLE}.minute_at, excluded.minute_at),
    minute_calls = CASE
        WHEN {TABLE}.minute_at = excluded.minute_at THEN {TABLE}.minute_calls + excluded.minute_calls
        WHEN {TABLE}.minute_at > excluded.minute_at THEN {TABLE}.minute_calls
        ELSE excluded.minute_calls END,
    before_calls = CASE
        WHEN {TABLE}.minute_at = excluded.minute_at THEN {TABLE}.before_calls + excluded.before_calls
        WHEN {TABLE}.minute_at = excluded.minute_at - interval '1 minute'
            THEN {TABLE}.minute_calls + excluded.before_calls
        WHEN {TABLE}.minute_at = excluded.minute_at + interval '1 minute'
            THEN {TABLE}.before_calls + excluded.minute_calls
        WHEN {TABLE}.minute_at > excluded.minute_at THEN {TABLE}.before_calls
        ELSE excluded.before_calls END
"""


class ConnectionMeasureQuerySet(models.QuerySet["ConnectionMeasure"]):
    def note(self, measures: Iterable["ConnectionMeasure"]) -> None:
        """Write what is newer, in one statement. A row for each connection, locked in their order."""
        rows = [{name: getattr(measure, name) for name in TYPES} for measure in measures]
        if rows:
            with connections[self.db].cursor() as cursor:
                cursor.execute(UPSERT, [json.dumps(rows, default=str)])

    def for_user(self, user: User) -> Self:
        return self.filter(connection_id__in=Connection.objects.for_user(user).values("pk"))

    def people_failed(self, broker: Broker, since: datetime) -> int:
        """How many people have had a call fail on the broker's side since then."""
        failed = self.filter(broker=broker, failed_at__gte=since).values("connection_id")
        return Connection.objects.filter(pk__in=failed).values("user").distinct().count()


class ConnectionMeasure(SeenBudget):
    """The newest of one connection. Kept by its id alone: recording must not fail because it was just removed."""

    connection_id = models.UUIDField(primary_key=True, editable=False)
    broker = models.CharField(max_length=20, choices=Broker.choices)
    failed_at = models.DateTimeField(null=True, blank=True, help_text="When the broker last failed it.")
    budget_owner = models.CharField(
        max_length=80, blank=True, help_text="Connections of the broker that name the same owner share one budget."
    )
    minute_at = models.DateTimeField(null=True, blank=True, help_text="The minute of its last counted call.")
    minute_calls = models.PositiveIntegerField(default=0, help_text="Calls in that minute that the budget counts.")
    before_calls = models.PositiveIntegerField(default=0, help_text="Those in the minute before it.")

    objects = ConnectionMeasureQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["broker", "failed_at"], name="failed_connections"),
            models.Index(fields=["budget_seen_at"], name="budgets_seen_lately"),
        ]

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
        if budget is None:
            return
        self._count_minute(call.started_at)
        if self.budget_seen_at is None or budget.seen_at >= self.budget_seen_at:
            self.see(budget)
            self.budget_owner = call.limit_owner

    def _count_minute(self, at: datetime) -> None:
        minute = _minute(at)
        if self.minute_at is None or minute > self.minute_at:
            self.before_calls = self.minute_calls if self.minute_at == minute - MINUTE else 0
            self.minute_at, self.minute_calls = minute, 1
        elif minute == self.minute_at:
            self.minute_calls += 1
        elif minute == self.minute_at - MINUTE:
            self.before_calls += 1

    @property
    def key(self) -> tuple[str, str]:
        """Those with the same key share one budget."""
        return self.broker, self.budget_owner or f"{self.connection_id}"

    def pace(self, now: datetime) -> Pace:
        if self.minute_at == _minute(now):
            return Pace(self.minute_calls, self.before_calls)
        return Pace(0, self.minute_calls) if self.minute_at == _minute(now) - MINUTE else Pace()


def _minute(at: datetime) -> datetime:
    return datetime.fromtimestamp(int(at.timestamp()) // 60 * 60, UTC)
