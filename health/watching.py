"""Looking at all brokers every few seconds: how long each is in which state, incidents that open and close by
themselves, and the pause of syncs during maintenance. One process at a time does it."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

from connections.brokers.calls import Attribution
from connections.brokers.records import Broker
from health import health_monitor, maintenance
from health.health_monitor import MEMORY, BrokerHealth, Window
from health.incident_models import Incident, StatusSpan
from health.models import CallBucket, ConnectionMeasure, Resolution
from health.signals import status_changed
from health.verdicts import Status

LOCK = 6_160_301  # of PostgreSQL's advisory locks: any number that nobody else uses
GAP = timedelta(minutes=2)  # without a look for so long, nothing is known about the time between
FORGOTTEN = timedelta(days=7)  # what was last seen so long ago is not compared with any more
SAME_TROUBLE = timedelta(minutes=10)  # what fails again so soon after its end is the same incident


@transaction.atomic
def watch(now: datetime | None = None) -> bool:
    """Look once; False when another process is looking."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        if not cursor.fetchone()[0]:
            return False
    now = now or timezone.now()
    maintenance.close_and_open(now)
    maintenance.announce(now)
    healths = health_monitor.measure(Window.FIVE_MINUTES, now=now)
    before = {broker: Status(status) for broker, status in StatusSpan.objects.last_known(since=now - FORGOTTEN)}
    _note_spans(healths, now)
    for health in healths:
        _note_incident(health, now)
        _tell(health, before.get(health.broker))
    return True


def _tell(health: BrokerHealth, before: Status | None) -> None:
    """Silence is no news, nor is what a broker is first seen to be."""
    if health.status is Status.UNKNOWN or before in (None, health.status):
        return
    incident = Incident.objects.open().filter(broker=health.broker).first()
    status_changed.send(sender=None, health=health, before=before, incident=incident)


# --- Spans ------------------------------------------------------------------------------------------------------------
def _note_spans(healths: Iterable[BrokerHealth], now: datetime) -> None:
    """Make the spans that go on longer, and begin those that are new."""
    going_on = {
        (span.broker, span.operation): span
        for span in StatusSpan.objects.filter(ends_at__gte=now - GAP).order_by("ends_at")
    }
    longer, new = [], []
    for broker, operation, status in _states(healths):
        span = going_on.get((broker, operation))
        if span is not None and span.ends_at <= now:
            span.ends_at = now  # until now it was in the state it was last seen in
            longer.append(span)
        if status is not Status.UNKNOWN and (span is None or span.status != status):
            new.append(StatusSpan(broker=broker, operation=operation, status=status, starts_at=now, ends_at=now))
    StatusSpan.objects.bulk_update([span for span in longer if span.pk], ["ends_at"])
    StatusSpan.objects.bulk_create(new)


def _states(healths: Iterable[BrokerHealth]) -> Iterable[tuple[str, str, Status]]:
    for health in healths:
        yield health.broker.value, "", health.status
        for each in health.operations:
            yield health.broker.value, each.operation.value, each.status


# --- Incidents --------------------------------------------------------------------------------------------------------
def _note_incident(health: BrokerHealth, now: datetime) -> None:
    incident = Incident.objects.open().filter(broker=health.broker).first()
    if health.status.is_trouble:
        if incident is None:
            incident = _opened(health, now)
        _follow(incident, health, now)
    elif incident is not None and health.status is not Status.UNKNOWN:  # silence is no recovery
        incident.resolved_at = now
        incident.save(update_fields=["resolved_at"])
        ended_by = "Planned maintenance began." if health.status is Status.MAINTENANCE else "It answers normally again."
        incident.updates.create(at=now, status=health.status, text=ended_by)


def _opened(health: BrokerHealth, now: datetime) -> Incident:
    last = (
        Incident.objects.filter(broker=health.broker, resolved_at__gte=now - SAME_TROUBLE)
        .order_by("-resolved_at")
        .first()
    )
    if last is not None:
        last.resolved_at = None
        last.save(update_fields=["resolved_at"])
        last.updates.create(at=now, status=health.status, text="It fails again.")
        return last
    return Incident.objects.create(
        broker=health.broker, status=health.status, opened_at=now, first_failure_at=_first_failure(health.broker, now)
    )


def _first_failure(broker: Broker, now: datetime) -> datetime:
    """The minute in which the failures began that go on: the first one after the last minute without any."""
    minutes: dict[datetime, bool] = {}
    for bucket in CallBucket.objects.measured(Resolution.MINUTE, since=now - MEMORY).filter(broker=broker):
        if bucket.tally.judged:
            failed = bool(bucket.tally.failed(Attribution.BROKER))
            minutes[bucket.starts_at] = minutes.get(bucket.starts_at, False) or failed
    first = now
    for minute in sorted(minutes, reverse=True):
        if not minutes[minute]:
            break
        first = minute
    return first


def _follow(incident: Incident, health: BrokerHealth, now: datetime) -> None:
    """Write what is new into the timeline: another state, another operation, more people."""
    failing = [each.operation.value for each in health.operations if each.status.is_trouble]
    people = ConnectionMeasure.objects.people_failed(health.broker, incident.first_failure_at)
    latest = incident.updates.exclude(status="").order_by("-at", "-pk").first()
    if latest is None or latest.status != health.status:
        incident.updates.create(at=now, status=health.status, text=health.sentence)
    before = (incident.status, incident.operations, incident.people)
    incident.status = max(Status(incident.status), health.status, key=lambda status: status.severity)
    incident.operations = sorted({*incident.operations, *failing})
    incident.people = max(incident.people, people)
    if before != (incident.status, incident.operations, incident.people):
        incident.save(update_fields=["status", "operations", "people"])
