"""What was measured: one row per broker, operation and minute; per hour and per day for the long windows."""

import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import ClassVar, NamedTuple, Self

from django.db import connections, models
from django.db.models import Max, Min
from django.utils.functional import cached_property

from connections.brokers.calls import Operation
from connections.brokers.records import Broker
from health.budget_models import COLUMNS, SeenBudget, newest
from health.connection_models import ConnectionMeasure
from health.failed_calls import FailedCall
from health.incident_models import Incident, IncidentUpdate, StatusSpan
from health.maintenance_models import AlertChoice, MaintenanceFeed, MaintenanceNotice, MaintenanceWindow
from health.metrics import Budget, Tally, quantiles
from health.threshold_models import Thresholds

__all__ = [
    "AlertChoice",
    "BucketKey",
    "CallBucket",
    "ConnectionMeasure",
    "FailedCall",
    "Incident",
    "IncidentUpdate",
    "MaintenanceFeed",
    "MaintenanceNotice",
    "MaintenanceWindow",
    "Resolution",
    "StatusSpan",
    "Thresholds",
]


class Resolution(models.TextChoices):
    """How long a bucket is. Every call is counted once in each resolution."""

    MINUTE = "minute", "Minute"
    HOUR = "hour", "Hour"
    DAY = "day", "Day"

    @property
    def length(self) -> timedelta:
        return _LENGTHS[self]

    def start_of(self, moment: datetime) -> datetime:
        """The start of the bucket that holds `moment`; a day is one of UTC."""
        seconds = int(self.length.total_seconds())
        return datetime.fromtimestamp(int(moment.timestamp()) // seconds * seconds, UTC)


_LENGTHS = {
    Resolution.MINUTE: timedelta(minutes=1),
    Resolution.HOUR: timedelta(hours=1),
    Resolution.DAY: timedelta(days=1),
}


class BucketKey(NamedTuple):
    resolution: Resolution
    starts_at: datetime
    broker: str
    operation: str


_MERGED = """(
    SELECT coalesce(jsonb_object_agg(key, calls), '{{}}'::jsonb)
    FROM (SELECT key, sum(value::bigint) AS calls
          FROM (SELECT * FROM jsonb_each_text(health_callbucket.{column})
                UNION ALL SELECT * FROM jsonb_each_text(excluded.{column})) AS both_sides
          GROUP BY key) AS merged)"""
# Rows are locked in the order of the key, so that two processes that flush together cannot wait for each other.
_UPSERT = f"""
INSERT INTO health_callbucket (resolution, starts_at, broker, operation, counts, latency, received_bytes, last_call_at,
                               {", ".join(COLUMNS)})
SELECT resolution, starts_at, broker, operation, counts, latency, received_bytes, last_call_at, {", ".join(COLUMNS)}
FROM jsonb_to_recordset(%s::jsonb) AS batch(
    resolution text, starts_at timestamptz, broker text, operation text, counts jsonb, latency jsonb,
    received_bytes bigint, last_call_at timestamptz,
    {", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())})
ORDER BY resolution, starts_at, broker, operation
ON CONFLICT (resolution, starts_at, broker, operation) DO UPDATE SET
    counts = {_MERGED.format(column="counts")},
    latency = {_MERGED.format(column="latency")},
    received_bytes = health_callbucket.received_bytes + excluded.received_bytes,
    last_call_at = greatest(health_callbucket.last_call_at, excluded.last_call_at),
    {newest("health_callbucket", *COLUMNS)}
"""


class CallBucketQuerySet(models.QuerySet["CallBucket"]):
    def add(self, batch: Mapping[BucketKey, Tally]) -> None:
        """Add the tallies to their buckets, new or not, in one statement."""
        rows = [key._asdict() | {"starts_at": key.starts_at.isoformat()} | t.as_json() for key, t in batch.items()]
        with connections[self.db].cursor() as cursor:
            cursor.execute(_UPSERT, [json.dumps(rows)])

    def measured(self, resolution: Resolution, *, since: datetime) -> Self:
        """Buckets that hold calls from `since` on, rounded outwards to a whole bucket."""
        return self.filter(resolution=resolution, starts_at__gte=resolution.start_of(since))

    def first_calls(self) -> dict[str, datetime]:
        """The day on which each broker was first called, as far back as days are kept."""
        days = self.filter(resolution=Resolution.DAY).order_by()
        return dict(days.values_list("broker").annotate(Min("starts_at")))

    def last_calls(self) -> dict[str, datetime]:
        """When each broker was last called."""
        return dict(self.order_by().values_list("broker").annotate(Max("last_call_at")))

    def budgets(self) -> dict[str, Budget]:
        """The rate budget each broker was last seen to have; a broker that never told one is missing."""
        told = self.exclude(budget_seen_at=None).order_by("broker", "-budget_seen_at").distinct("broker")
        return {bucket.broker: bucket.budget for bucket in told.defer("counts", "latency") if bucket.budget}


class CallBucket(SeenBudget):
    """All calls of one operation at one broker in one minute (hour, day). Holds nothing about any user."""

    resolution = models.CharField(max_length=6, choices=Resolution.choices)
    starts_at = models.DateTimeField()
    broker = models.CharField(max_length=20, choices=Broker.choices)
    operation = models.CharField(max_length=20, choices=[(each.value, each.value) for each in Operation])
    counts = models.JSONField(help_text='{"outcome/attribution": calls}')
    latency = models.JSONField(help_text="{bin: answered calls}; the bins are those of health.metrics.")
    received_bytes = models.BigIntegerField(default=0)
    last_call_at = models.DateTimeField()

    objects = CallBucketQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            # Starts with what every window asks for, so that it is also the index the pages read by.
            models.UniqueConstraint(
                fields=["resolution", "starts_at", "broker", "operation"], name="one_bucket_per_broker_operation_time"
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_broker_display()} {self.operation}, {self.resolution} of {self.starts_at:%Y-%m-%d %H:%M}"

    @cached_property
    def tally(self) -> Tally:
        """Shared by all who ask this row: to be added to another tally, not to be added to."""
        return Tally(
            counts=Counter(self.counts),
            latency=Counter({int(index): count for index, count in self.latency.items()}),
            received_bytes=self.received_bytes,
            last_call_at=self.last_call_at,
            budget=self.budget,
        )

    @property
    def p95(self) -> float | None:
        """Seconds."""
        return quantiles(self.tally.latency, 0.95)[0]
