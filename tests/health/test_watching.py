"""What a look every ten seconds makes of the measurements: spans, incidents, uptime. Against a moved clock."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from brokerhub.kernel.models import User
from connections.brokers.calls import Operation
from connections.brokers.records import Broker
from health import uptime
from health.models import Incident, StatusSpan
from health.verdicts import Status
from health.watching import watch
from tests.aggregation.factories import a_connection
from tests.health import calls

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def minute(at: datetime, good: int = 0, failed: int = 0, operation: Operation = Operation.PROBE) -> None:
    """So many calls within the minute, and a look at its end."""
    told = [calls.good] * good + [calls.server_error] * failed
    calls.record(*(make(started_at=at, operation=operation) for make in told))
    watch(at + timedelta(seconds=59))


def spans(broker: Broker = Broker.SCHWAB) -> list[tuple[str, timedelta]]:
    found = StatusSpan.objects.of_brokers().filter(broker=broker).order_by("starts_at")
    return [(span.status, span.ends_at - span.starts_at) for span in found]


def test_a_state_that_lasts_is_one_span_and_a_change_begins_another() -> None:
    for n in range(5):
        minute(calls.NOW + n * MINUTE, good=30)
    for n in range(5, 8):
        minute(calls.NOW + n * MINUTE, failed=30)
    assert spans() == [("operational", 5 * MINUTE), ("outage", 2 * MINUTE)]
    by_operation = StatusSpan.objects.filter(operation="probe").count()
    assert by_operation == 2


def test_the_time_in_which_nobody_looked_is_unknown() -> None:
    minute(calls.NOW, good=30)
    minute(calls.NOW + MINUTE, good=30)
    minute(calls.NOW + 60 * MINUTE, good=30)
    minute(calls.NOW + 61 * MINUTE, good=30)
    since = calls.NOW + timedelta(seconds=59)
    total = uptime.of(StatusSpan.objects.of_brokers(), since, since + 61 * MINUTE)
    assert (total.up, total.down, total.unknown) == (2 * MINUTE, 0 * MINUTE, 59 * MINUTE)
    assert total.share == 1.0
    assert total.known_share == pytest.approx(2 / 61)


def test_an_incident_opens_with_its_first_failure_follows_and_closes_by_itself() -> None:
    first, second, fine = a_connection(), a_connection(), a_connection()
    a_connection()
    for n in range(3):
        minute(calls.NOW + n * MINUTE, good=30)
    at = calls.NOW + 3 * MINUTE
    calls.record(
        *[calls.server_error(started_at=at, connection_id=each.pk) for each in (first, second, second)],
        calls.good(started_at=at, connection_id=fine.pk),
        calls.login_refused(started_at=at, connection_id=fine.pk),
    )
    minute(calls.NOW + 4 * MINUTE, failed=30)
    [incident] = Incident.objects.all()
    assert incident.first_failure_at == (calls.NOW + 3 * MINUTE).replace(second=0)
    assert (incident.status, incident.people, incident.operations) == ("outage", 2, ["probe", "transactions"])
    for n in range(5, 8):
        minute(calls.NOW + n * MINUTE, good=30)
    incident.refresh_from_db()
    assert incident.resolved_at is not None
    told = [line.status for line in incident.updates.all()]
    assert (told[0], told[-1]) == ("outage", "operational")


def test_what_fails_again_soon_is_the_same_incident_and_later_another_one() -> None:
    minute(calls.NOW, failed=30)
    for n in (1, 2):
        minute(calls.NOW + n * MINUTE, good=30)
    minute(calls.NOW + 4 * MINUTE, failed=30)
    assert Incident.objects.count() == 1
    assert Incident.objects.open().exists()
    for n in (5, 6):
        minute(calls.NOW + n * MINUTE, good=30)
    minute(calls.NOW + 40 * MINUTE, failed=30)
    assert Incident.objects.count() == 2


def test_silence_ends_no_incident() -> None:
    minute(calls.NOW, failed=30)
    minute(calls.NOW + 20 * MINUTE)
    assert Incident.objects.open().exists()


def test_a_day_of_five_percent_noise_opens_no_incident() -> None:
    chance = random.Random(5)
    for n in range(0, 24 * 60, 10):
        failed = sum(chance.random() < 0.05 for _ in range(30))
        minute(calls.NOW + n * MINUTE, good=30 - failed, failed=failed)
    assert not Incident.objects.exists()


def test_an_outage_is_seen_within_a_minute_of_its_first_failing_probe(sandbox: Any, redis_client: Any) -> None:
    """Probes every 30 s, 5 s apart after a failure: four failures are proof."""
    from health.recording import recorder
    from health.tasks import probe

    a_connection()
    sandbox.fault("503")
    seen = []
    for _ in range(4):
        probe()
        redis_client.delete(*redis_client.keys("*health:probed:*"))
        recorder.flush()
        watch()
        seen += [span.status for span in StatusSpan.objects.of_brokers().filter(broker="schwab").order_by("-pk")[:1]]
    assert seen[-1] == "outage"
    assert Incident.objects.open().count() == 1


def test_uptime_is_counted_with_and_without_maintenance() -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    lengths = [("operational", 20), ("degraded", 2), ("outage", 1), ("maintenance", 1)]
    at = start
    for status, hours in lengths:
        end = at + timedelta(hours=hours)
        StatusSpan.objects.create(broker="schwab", status=status, starts_at=at, ends_at=end)
        at = end
    day = uptime.of(StatusSpan.objects.all(), start, start + timedelta(days=1))
    assert day.share == 22 / 23
    assert day.share_with_maintenance == 22 / 24
    two = uptime.of(StatusSpan.objects.all(), start, start + timedelta(days=2))
    assert (two.share, two.known_share, two.unknown) == (22 / 23, 0.5, timedelta(days=1))


def test_ninety_bars_show_the_worst_of_each_day_and_what_is_not_known() -> None:
    last = datetime(2026, 3, 10, 12, tzinfo=UTC)
    for day, status, length in ((9, "outage", 30), (8, "outage", 0.5), (8, "operational", 600)):
        at = datetime(2026, 3, day, 1 if status == "outage" else 2, tzinfo=UTC)
        StatusSpan.objects.create(broker="schwab", status=status, starts_at=at, ends_at=at + length * MINUTE)
    bars = uptime.days(StatusSpan.objects.all(), last=last)
    assert len(bars) == 90
    assert [bar.status for bar in bars[-4:]] == [Status.UNKNOWN, Status.OPERATIONAL, Status.OUTAGE, Status.UNKNOWN]
    assert bars[-2].uptime.down == 30 * MINUTE


def test_an_administrator_adds_words_to_the_timeline_and_cannot_change_what_was_found(client: Client) -> None:
    minute(calls.NOW, failed=30)
    incident = Incident.objects.get()
    admin = User.objects.create_superuser("admin@example.com", "correct horse battery")
    client.force_login(admin)
    prefix = {"updates-TOTAL_FORMS": "2", "updates-INITIAL_FORMS": "1", "updates-MIN_NUM_FORMS": "0"}
    first = {"updates-0-id": f"{incident.updates.get().pk}", "updates-0-text": "Never mind."}
    words = {"updates-1-text": "Schwab says it is a network fault in Phoenix.", "updates-1-incident": f"{incident.pk}"}
    answer = client.post(f"/admin/health/incident/{incident.pk}/change/", prefix | first | words)
    assert answer.status_code == 302, answer.content.decode()[:2000]
    found, added = incident.updates.all()
    assert found.text != "Never mind."
    assert (added.text, added.author) == ("Schwab says it is a network fault in Phoenix.", admin)


def test_only_one_process_looks_at_a_time(transactional_db: None) -> None:
    import threading

    from django.db import connection, transaction

    from health.watching import LOCK

    results: list[bool] = []

    def look() -> None:
        try:
            results.append(watch())
        finally:
            connection.close()

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert results == [False]
