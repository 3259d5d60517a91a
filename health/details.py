"""Everything about one broker, for its page and its API: what the board shows, and its history."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from connections.brokers.calls import Operation
from connections.brokers.records import Broker
from health import maintenance, uptime
from health.health_monitor import Window, broker_health
from health.incident_models import Incident
from health.maintenance_models import Occurrence
from health.metrics import Tally
from health.models import CallBucket, Resolution
from health.uptime import Day, Uptime

PERIODS = {"24h": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30), "90d": timedelta(days=90)}
POINTS = {Window.MONTH: Resolution.DAY, Window.QUARTER: Resolution.DAY, Window.YEAR: Resolution.DAY}
INCIDENTS_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The last ninety days of a broker."""

    uptimes: dict[str, Uptime]  # by the name of the period
    days: list[Day]


def history(broker: Broker, now: datetime | None = None) -> History:
    """In one query."""
    now = now or timezone.now()
    since = now - PERIODS["90d"] - timedelta(days=1)
    spans = uptime.spans_of(since, now).get(broker, [])
    uptimes = {name: uptime.of(spans, now - length, now) for name, length in PERIODS.items()}
    return History(uptimes=uptimes, days=uptime.days(spans, last=now))


def uptime_between(broker: Broker, since: datetime, until: datetime) -> Uptime:
    """Of any time; what lies ahead, or before the hub looked, is unknown."""
    return uptime.of(uptime.spans_of(since, until).get(broker, []), since, until)


def series(broker: Broker, window: Window) -> dict[Operation, list[tuple[datetime, Tally]]]:
    """The window's buckets by operation, oldest first: minutes, hours or days, so that a chart has few hundred."""
    health = broker_health(broker, window)
    resolution = POINTS.get(window, window.resolution)
    buckets = CallBucket.objects.measured(resolution, since=health.as_of - window.length).filter(broker=broker)
    found: defaultdict[Operation, list[tuple[datetime, Tally]]] = defaultdict(list)
    for bucket in buckets.order_by("starts_at"):
        found[Operation(bucket.operation)].append((bucket.starts_at, bucket.tally))
    return {operation: found[operation] for operation in Operation if operation in found}


def incidents(broker: Broker | None = None) -> list[Incident]:
    """The newest ones, with their timelines."""
    found = Incident.objects.told()
    return list((found.filter(broker=broker) if broker else found)[:INCIDENTS_SHOWN])


def windows(broker: Broker, now: datetime | None = None) -> list[tuple[Occurrence, int]]:
    """What is on and what comes in two weeks: each plan's first time, and how often it comes in all."""
    now = now or timezone.now()
    planned = maintenance.occurrences(now, now + maintenance.AHEAD, broker)
    count = Counter(each.window_id for each in planned)
    first = {each.window_id: each for each in reversed(planned)}
    return sorted((each, count[window]) for window, each in first.items())
