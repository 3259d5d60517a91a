"""What runs and schedules tell health about the freshness of a broker's data."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from connections.brokers.records import Broker
from health.freshness import Freshness
from sync import arrivals
from sync.models import Mode, Rhythm, RunState, Schedule, SyncRun, Trigger
from tests.aggregation.factories import a_connection

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def fresh() -> Freshness:
    now = timezone.now()
    return arrivals.by_broker(dict.fromkeys(Broker, HOUR), now).get(Broker.SCHWAB, Freshness())


def a_run(ago: timedelta, *, next_in: timedelta = HOUR, **facts: Any) -> SyncRun:
    """Of a connection of its own, whose next turn is `next_in` from now."""
    now, connection = timezone.now(), a_connection()
    Schedule.objects.create(connection=connection, rhythm=Rhythm.HOURLY, next_at=now + next_in)
    run = SyncRun.objects.create(connection=connection, trigger=Trigger.SCHEDULE, mode=Mode.INCREMENTAL, **facts)
    SyncRun.objects.filter(pk=run.pk).update(created_at=now - ago)
    return run


def test_the_newest_of_each_kind_counts_and_what_failed_is_no_arrival() -> None:
    at = timezone.now().replace(microsecond=0)
    done = {"state": "done", "detail": "", "at": (at - HOUR).isoformat()}
    newer, failed = done | {"at": at.isoformat()}, done | {"state": "failed", "at": (at + HOUR).isoformat()}
    a_run(HOUR, state=RunState.PARTIAL, parts={"holdings:1": done, "transactions:1": done})
    a_run(HOUR, state=RunState.PARTIAL, parts={"holdings:2": newer, "transactions:2": failed})
    seen = fresh()
    assert (seen.positions_at, seen.balances_at, seen.transactions_at) == (at, at, at - HOUR)
    assert (seen.scheduled, seen.late, seen.vain, seen.word) == (2, 0, 0, "On time")


def test_a_turn_that_nobody_took_is_late_after_its_grace() -> None:
    a_run(5 * HOUR, next_in=-0.9 * HOUR, state=RunState.SUCCEEDED)
    assert fresh().late == 0
    a_run(5 * HOUR, next_in=-1.1 * HOUR, state=RunState.SUCCEEDED)
    assert (fresh().late, fresh().word, fresh().is_stale) == (1, "Late", False)


@pytest.mark.parametrize(
    ("ago", "facts", "vain"),
    [
        (HOUR / 2, {"state": RunState.WAITING}, 0),
        (2 * HOUR, {"state": RunState.WAITING}, 1),
        (HOUR / 2, {"state": RunState.FAILED, "error_code": "broker_unavailable"}, 1),
        (HOUR / 2, {"state": RunState.FAILED, "error_code": "internal_error"}, 0),
        (HOUR / 2, {"state": RunState.SUCCEEDED}, 0),
    ],
)
def test_a_sync_that_brings_nothing_in_its_time_is_in_vain(ago: timedelta, facts: dict[str, Any], vain: int) -> None:
    a_run(ago, **facts)
    assert (fresh().vain, fresh().is_stale) == (vain, bool(vain))
