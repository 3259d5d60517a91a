"""The clock is set forward by a day and back by an hour: nothing is flooded, nothing stops, no run is taken away."""

import json
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
from django.utils import timezone
from rest_framework.settings import api_settings
from rest_framework.test import APIClient

from brokerhub.bell import Bell
from brokerhub.celery import app
from connections import connection_manager
from connections.brokers import budgets
from connections.brokers.base import RateLimited
from connections.brokers.budgets import Budget
from connections.brokers.calls import Operation
from connections.brokers.records import Broker
from connections.models import EPOCH, Connection
from health import probes
from sync import scheduling, sync_service
from sync.holds import Hold
from sync.models import Rhythm, RunEntry, RunState, Schedule, SyncRun
from tests.aggregation.factories import a_connection
from tests.sync.runs import ask

pytestmark = pytest.mark.django_db
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass
class Clock:
    """It ticks with the real one; what is done to it is done to Redis's, too."""

    redis_client: redis.Redis
    real_time: float = field(default_factory=time.time)
    ahead: timedelta = timedelta(0)

    def step(self, by: timedelta) -> None:
        self.ahead += by
        for key in self.redis_client.scan_iter():
            left = timedelta(milliseconds=self.redis_client.pttl(key))
            if left > timedelta(0):
                self.redis_client.pexpire(key, left - by)


@pytest.fixture
def clock(redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> Clock:
    stepped, real_time, real_now = Clock(redis_client), time.time, timezone.now
    monkeypatch.setattr(time, "time", lambda: real_time() + stepped.ahead.total_seconds())
    monkeypatch.setattr(timezone, "now", lambda: real_now() + stepped.ahead)
    return stepped


# --- Beat -------------------------------------------------------------------------------------------------------------
def rung(bell: Bell, now: list[datetime], minutes: int, queues: redis.Redis) -> Counter[str]:
    """What beat sends in so many minutes, of which none is waited for."""
    until = now[0] + timedelta(minutes=minutes)
    while now[0] < until:
        now[0] += max(timedelta(seconds=bell.tick()), timedelta(milliseconds=10))
    sent: Counter[str] = Counter()
    for queue in ("default", "health", "files"):
        for message in queues.lrange(f"hub:{queue}", 0, -1):
            sent[json.loads(message)["headers"]["task"]] += 1
        queues.delete(f"hub:{queue}")
    return sent


def test_beat_rings_on_in_its_rhythm(
    redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    now = [datetime.now(UTC)]
    monkeypatch.setattr(type(app), "now", lambda _: now[0])
    bell = Bell(app, schedule_filename=str(tmp_path / "beat"))
    try:
        rung(bell, now, 1, redis_client)
        usual = rung(bell, now, 2, redis_client)
        assert usual["sync.dispatch"] == 12
        assert usual["sync.plan_due"] == 2
        now[0] -= HOUR
        back = rung(bell, now, 2, redis_client)
        now[0] += DAY
        forward = rung(bell, now, 2, redis_client)
        for name, count in usual.items():
            assert count - 1 <= back[name] <= count + 1, name
            assert count <= forward[name] <= count + 1, name
        hourly = set(forward) - set(usual)
        assert {forward[name] for name in hourly} == {1}, "a day missed is made up for once"
    finally:
        bell.close()


# --- What is planned --------------------------------------------------------------------------------------------------
def turns() -> list[datetime]:
    return [schedule.next_at for schedule in Schedule.objects.all() if schedule.next_at]


def test_a_day_forward_brings_each_connection_one_sync_and_the_way_back_stops_none(clock: Clock) -> None:
    connections = [a_connection(label=f"{number}") for number in range(4)]
    rhythms = (Rhythm.HOURLY, Rhythm.INTERVAL, Rhythm.DAILY, Rhythm.HOURLY)
    for connection, rhythm in zip(connections, rhythms, strict=True):
        scheduling.set_schedule(connection, rhythm=rhythm)
    clock.step(DAY + HOUR)
    assert scheduling.plan_due() == 4
    assert scheduling.plan_due() == 0
    assert SyncRun.objects.count() == 4
    SyncRun.objects.update(state=RunState.SUCCEEDED, finished_at=timezone.now())
    clock.step(-DAY - HOUR)
    assert scheduling.plan_due() == 0
    assert max(turns()) <= timezone.now() + DAY + HOUR
    assert min(turns()) <= timezone.now() + HOUR
    clock.step(HOUR)
    due = set(Schedule.objects.filter(next_at__lte=timezone.now()).values_list("connection", flat=True))
    assert due >= {connections[0].pk, connections[3].pk}, "those of every hour; others where their turn falls into it"
    assert scheduling.plan_due() == len(due)


# --- Runs -------------------------------------------------------------------------------------------------------------
def test_nobody_takes_a_run_from_a_living_worker_when_the_clock_is_set_forward(clock: Clock) -> None:
    run = ask(a_connection())
    hold = Hold.take(run.pk)
    assert hold is not None
    assert sync_service.dispatch_due() == 0
    clock.step(DAY)
    assert sync_service.dispatch_due() == 0
    hold.write(step="goes on")
    run.refresh_from_db()
    assert run.held_until > timezone.now()


def test_a_dead_workers_run_goes_on_a_lease_after_a_step_forward(clock: Clock, settings: object) -> None:
    settings.SYNC_LEASE_SECONDS = 0.05  # type: ignore[attr-defined]
    hold = Hold.take(ask(a_connection()).pk)
    assert hold is not None
    sync_service.dispatch_due()
    clock.step(DAY)
    assert sync_service.dispatch_due() == 0
    while not sync_service.dispatch_due():
        continue


def test_an_hour_back_nothing_waits_for_the_hour_that_comes_again(clock: Clock) -> None:
    clock.step(HOUR)
    dead, sent, waiting, living = (ask(a_connection(label=f"{number}")) for number in range(4))
    assert Hold.take(dead.pk) is not None
    assert sync_service.dispatch_due() == 3
    told, held = Hold.take(waiting.pk), Hold.take(living.pk)
    assert told is not None
    assert held is not None
    told.wait(timezone.now() + timedelta(minutes=5), "no answer")
    RunEntry.objects.update(at=timezone.now())
    clock.step(-HOUR)
    assert sync_service.dispatch_due() == 2, "the message may be lost, and the wait was for five minutes"
    assert set(SyncRun.objects.filter(sent_at__gt=EPOCH).values_list("pk", flat=True)) == {sent.pk, waiting.pk}
    for run in (dead, living):
        run.refresh_from_db()
        assert timedelta(0) < run.held_until - timezone.now() <= timedelta(minutes=1), "one lease"
    held.write(step="goes on")
    assert sync_service.dispatch_due() == 0


def test_a_renewal_that_died_before_an_hour_back_keeps_nobody_from_renewing(clock: Clock) -> None:
    clock.step(HOUR)
    connection = a_connection(refresh_held_until=timezone.now() + timedelta(seconds=20))
    clock.step(-HOUR)
    connection_manager.renew_due()
    connection = Connection.objects.get(pk=connection.pk)
    assert connection.refresh_held_until <= timezone.now() + timedelta(seconds=20)


# --- What is counted in Redis -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("is_exact", [False, True])
def test_a_brokers_budget_is_not_shut_for_the_hour_that_comes_again(clock: Clock, is_exact: bool) -> None:
    budget = Budget(limit=3, period=60, owner="somebody", is_exact=is_exact)
    clock.step(HOUR)
    for _ in range(3):
        budgets.spend(Broker.SCHWAB, Operation.PROBE, budget)
    with pytest.raises(RateLimited):
        budgets.spend(Broker.SCHWAB, Operation.PROBE, budget)
    clock.step(-HOUR)
    for _ in range(3):
        budgets.spend(Broker.SCHWAB, Operation.PROBE, budget)
    with pytest.raises(RateLimited):
        budgets.spend(Broker.SCHWAB, Operation.PROBE, budget)


def test_the_apis_budget_is_not_shut_for_the_hour_that_comes_again(
    clock: Clock, api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_settings, "DEFAULT_THROTTLE_RATES", {"user": "3/minute", "anonymous": "3/minute"})
    answers = [api.get("/api/v1/brokers/accounts").status_code for _ in range(4)]
    assert answers == [200, 200, 200, 429]
    clock.step(-HOUR)
    answers = [api.get("/api/v1/brokers/accounts").status_code for _ in range(4)]
    assert answers == [200, 200, 200, 429]


def test_brokers_are_probed_on(clock: Clock) -> None:
    clock.step(HOUR)
    assert probes._is_due(Broker.SCHWAB)
    assert not probes._is_due(Broker.SCHWAB)
    clock.step(-HOUR)
    assert [probes._is_due(Broker.SCHWAB) for _ in range(3)] == [False, True, False]
