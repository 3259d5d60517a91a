"""Syncs that happen by themselves: when their turn comes, across clock changes, and late ones."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta

import pytest
from django.db import connection as database
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from brokerhub.kernel.models import User
from connections.models import Connection
from sync import scheduling, tasks
from sync.models import Rhythm, RunState, Schedule, SyncRun, Trigger
from tests.aggregation.factories import a_connection

NEW_YORK = "America/New_York"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def overdue(connection: Connection, by: timedelta) -> Schedule:
    scheduling.schedule_of(connection)
    Schedule.objects.filter(connection=connection).update(next_at=timezone.now() - by)
    return Schedule.objects.get(connection=connection)


@pytest.mark.parametrize(
    ("clock", "moment", "turn"),
    [
        (time(7), "2026-03-07T12:30", "2026-03-08T11:00"),  # the clocks went forward in the night
        (time(2, 30), "2026-03-08T00:00", "2026-03-08T07:30"),  # an hour that is not there
        (time(1, 30), "2026-11-01T04:00", "2026-11-01T05:30"),  # the first of two
        (time(1, 30), "2026-11-01T05:30", "2026-11-02T06:30"),  # and not the second
        (time(7), "2026-11-01T12:00", "2026-11-02T12:00"),
    ],
)
def test_once_a_day_keeps_the_persons_clock(clock: time, moment: str, turn: str) -> None:
    schedule = Schedule(connection=Connection(), rhythm=Rhythm.DAILY, daily_at=clock, zone=NEW_YORK)
    assert schedule.turn_after(at(moment)) == at(turn)


def test_hours_are_counted_from_a_share_of_its_own_that_spreads_the_crowd() -> None:
    turns = set()
    for _ in range(50):
        schedule = Schedule(connection=Connection(), rhythm=Rhythm.INTERVAL, every_hours=3)
        first = schedule.turn_after(at("2026-05-01T00:00"))
        assert first is not None
        assert at("2026-05-01T00:00") < first <= at("2026-05-01T03:00")
        assert schedule.turn_after(first) == first + timedelta(hours=3)
        turns.add(first.replace(second=0))
    assert len(turns) > 25


def test_every_hour_is_an_hour_also_when_the_clocks_change() -> None:
    schedule = Schedule(connection=Connection(), rhythm=Rhythm.HOURLY, zone=NEW_YORK)
    for moment in ("2026-03-08T05:00", "2026-11-01T04:00"):
        turn = schedule.turn_after(at(moment))
        assert turn is not None
        assert at(moment) < turn <= at(moment) + timedelta(hours=1)
        for _ in range(4):
            following = schedule.turn_after(turn)
            assert following == turn + timedelta(hours=1)
            turn = following


def test_one_that_is_off_never_comes(person: User) -> None:
    connection = a_connection(person)
    scheduling.set_schedule(connection, rhythm=Rhythm.OFF)
    tasks.plan_due()
    assert not SyncRun.objects.exists()


def test_a_late_start_is_noticed_and_said(person: User, sign_up: Callable[[User], Client]) -> None:
    connection = a_connection(person)
    overdue(connection, timedelta(minutes=40))
    web = sign_up(person)
    assert "starts late" in web.get(f"/sync/connections/{connection.pk}/card").content.decode()
    tasks.plan_due()
    run = SyncRun.objects.get()
    assert (run.trigger, scheduling.is_late(run)) == (Trigger.SCHEDULE, True)
    for address in ("/sync/", f"/sync/runs/{run.pk}/"):
        text = web.get(address).content.decode()
        assert "was due" in text
        assert "starts late" in text
    SyncRun.objects.update(state=RunState.SUCCEEDED, started_at=run.due_at, finished_at=timezone.now())
    assert not scheduling.is_late(SyncRun.objects.get())


def test_an_open_run_serves_the_turn_that_comes_meanwhile(person: User) -> None:
    connection = a_connection(person)
    overdue(connection, timedelta(minutes=1))
    tasks.plan_due()
    before = overdue(connection, timedelta(minutes=1))
    tasks.plan_due()
    assert SyncRun.objects.count() == 1
    after = Schedule.objects.get(pk=before.pk).next_at
    assert after is not None
    assert after > timezone.now()


@pytest.mark.django_db(transaction=True)
def test_two_planners_at_once_queue_each_turn_once() -> None:
    for number in range(8):
        overdue(a_connection(label=f"{number}"), timedelta(minutes=number))
    together = threading.Barrier(2)

    def plan() -> None:
        together.wait(10)
        scheduling.plan_due()
        database.close()

    threads = [threading.Thread(target=plan) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert SyncRun.objects.count() == 8
    assert not Schedule.objects.filter(next_at__lte=timezone.now()).exists()


def test_moving_to_another_zone_moves_the_turn(person: User) -> None:
    connection = a_connection(person)
    held = scheduling.set_schedule(connection, rhythm=Rhythm.DAILY, daily_at=time(7))
    person.timezone = "Asia/Tokyo"
    person.save()
    tasks.plan_due()
    moved = Schedule.objects.get(pk=held.pk)
    assert moved.next_at is not None
    assert (moved.zone, moved.next_at.astimezone(UTC).hour) == ("Asia/Tokyo", 22)


def test_the_page_sets_the_rhythm_and_reads_chosen_days(person: User, sign_up: Callable[[User], Client]) -> None:
    connection, web = a_connection(person), sign_up(person)
    address = f"/sync/connections/{connection.pk}/"
    assert web.get(address).status_code == 200
    answer = web.post(f"{address}schedule", {"rhythm": "daily", "every_hours": 6, "daily_at": "18:45"}, follow=True)
    assert "every day at 18:45" in answer.content.decode()
    refused = web.post(f"{address}schedule", {"rhythm": "interval", "every_hours": 200, "daily_at": "18:45"})
    assert refused.status_code == 422
    refused = web.post(address, {"mode": "range"})
    assert "Choose the first day." in refused.content.decode()
    web.post(address, {"mode": "repair", "from_on": "2026-03-01", "to_on": "2026-03-31"})
    run = SyncRun.objects.get()
    assert (run.mode, f"{run.from_on}", f"{run.to_on}") == ("repair", "2026-03-01", "2026-03-31")


def test_programs_set_the_rhythm_of_their_own_connections_only(
    person: User, stranger: User, token_client: Callable[..., APIClient]
) -> None:
    connection = a_connection(person)
    address = f"/api/v1/brokerage/sync/schedules/{connection.pk}"
    own, other = token_client(person), token_client(stranger)
    assert own.get(address).json()["text"] == "Every 6 hours"
    answer = own.put(address, {"rhythm": "interval", "every_hours": 3}).json()
    assert (answer["text"], answer["next_at"] is None) == ("Every 3 hours", False)
    assert own.put(address, {"rhythm": "interval", "every_hours": 0}).status_code == 400
    assert own.put(address, {"rhythm": "off"}).json()["next_at"] is None
    assert other.get(address).status_code == other.put(address, {"rhythm": "off"}).status_code == 404
