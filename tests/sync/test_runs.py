"""Runs from request to worker: who gets one, how it is sent, who works on it, and how it is taken up again."""

import threading
from datetime import timedelta
from typing import Any

import pytest
import redis
from celery import Celery, current_app
from django.conf import settings
from django.db import connection as database
from django.utils import timezone

from aggregation.models import Transaction
from brokerhub.celery import app as hub_app
from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.models import User
from connections import connection_manager
from connections.brokers.calls import Operation
from connections.brokers.records import AuthMethod
from connections.models import EPOCH
from connections.states import ConnectionState
from sync import scheduling, sync_service, tasks
from sync.holds import Hold, HoldLost
from sync.models import RunState, SyncCursor, SyncRun, Trigger
from sync.planning import MAX_ATTEMPTS
from tests.aggregation.factories import a_connection, an_account
from tests.journey.books import differences, of_broker, of_hub, sync
from tests.plugins.sandbox_server import Sandbox
from tests.sync.runs import Connect, after_each_call, ask, work


# --- Asking -----------------------------------------------------------------------------------------------------------
def test_a_second_request_joins_the_open_run(person: User) -> None:
    connection = a_connection(person)
    first = ask(connection)
    assert ask(connection) == first
    assert sync_service.request_all(user=person, trigger=Trigger.SCHEDULE) == [first]
    assert SyncRun.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_requests_at_once_make_one_run() -> None:
    connection = a_connection()
    together = threading.Barrier(2)
    runs: list[SyncRun] = []

    def request() -> None:
        together.wait(10)
        runs.append(ask(connection))
        database.close()

    threads = [threading.Thread(target=request) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(runs) == 2
    assert len({run.pk for run in runs}) == SyncRun.objects.count() == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"method": AuthMethod.FILE},
        {"state": ConnectionState.NEEDS_REAUTH},
        {"state": ConnectionState.PENDING_AUTH},
        {"state": ConnectionState.DISCONNECTED},
        {"environment": "live"},
    ],
    ids=lambda fields: next(iter(fields.values())),
)
def test_a_connection_that_cannot_be_read_is_refused_in_words(person: User, fields: dict[str, str]) -> None:
    with pytest.raises(NotAllowed, match=r"Import a newer file|Sign in again"):
        ask(a_connection(person, **fields))
    assert sync_service.request_all(user=person, trigger=Trigger.MANUAL) == []


def test_a_finished_sign_in_is_followed_by_the_first_sync(
    connect: Connect, person: User, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        connection = connect(person)
    run = SyncRun.objects.get(connection=connection)
    assert (run.trigger, run.mode, run.state) == ("connect", "initial", "queued")


def test_a_request_stands_although_the_queue_cannot_be_reached(
    person: User, django_capture_on_commit_callbacks: Any, caplog: pytest.LogCaptureFixture
) -> None:
    Celery("unreachable", broker="redis://127.0.0.1:1/0").set_current()
    try:
        with django_capture_on_commit_callbacks(execute=True):
            run = ask(a_connection(person))
    finally:
        hub_app.set_current()
    assert SyncRun.objects.get().state == RunState.QUEUED
    assert "sync.nudge_failed" in caplog.text
    assert sync_service.dispatch_due() == 1
    assert run.pk == SyncRun.objects.get().pk


# --- Sending ----------------------------------------------------------------------------------------------------------
def waiting_messages(client: redis.Redis) -> int:
    return int(client.llen(f"{settings.CELERY_BROKER_TRANSPORT_OPTIONS['global_keyprefix']}sync.schwab"))


def test_a_due_run_is_sent_once_and_again_when_its_message_was_lost(person: User, redis_client: redis.Redis) -> None:
    run = ask(a_connection(person))
    tasks.dispatch()
    tasks.dispatch()
    assert waiting_messages(redis_client) == 1
    SyncRun.objects.filter(pk=run.pk).update(sent_at=timezone.now() - timedelta(minutes=6))
    tasks.dispatch()
    assert waiting_messages(redis_client) == 2


@pytest.mark.django_db(transaction=True)
def test_two_dispatchers_at_once_send_each_run_once(redis_client: redis.Redis) -> None:
    for _ in range(20):
        ask(a_connection())
    redis_client.flushdb()  # the nudges
    together = threading.Barrier(2)

    def dispatch() -> None:
        together.wait(10)
        sync_service.dispatch_due()
        database.close()

    threads = [threading.Thread(target=dispatch) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert waiting_messages(redis_client) == 20


def test_what_could_not_be_sent_is_due_again_at_once(person: User) -> None:
    ask(a_connection(person))
    unreachable = Celery("unreachable", broker="redis://127.0.0.1:1/0")
    unreachable.conf.task_publish_retry = False
    unreachable.set_current()
    try:
        with pytest.raises(Exception, match="refused"):
            sync_service.dispatch_due()
    finally:
        hub_app.set_current()
    assert current_app.main == "brokerhub"
    assert SyncRun.objects.get().sent_at == EPOCH
    assert sync_service.dispatch_due() == 1


def test_the_planner_asks_for_what_has_not_been_read_for_hours(person: User) -> None:
    never, old, fresh, busy = (a_connection(person, label=name) for name in ("never", "old", "fresh", "busy"))
    a_connection(person, label="by file", method=AuthMethod.FILE)
    a_connection(person, label="signed out", state=ConnectionState.NEEDS_REAUTH)
    now = timezone.now()
    for connection, age in ((old, timedelta(hours=7)), (fresh, timedelta(hours=5))):
        ask(connection)
        SyncRun.objects.filter(connection=connection).update(state=RunState.FAILED, finished_at=now - age)
    SyncCursor.objects.create(account=an_account(old), covered_from=now.date(), covered_to=now.date())
    already = ask(busy)
    tasks.plan_due()
    planned = SyncRun.objects.filter(trigger=Trigger.SCHEDULE)
    assert {(run.connection, run.mode) for run in planned} == {(never, "initial"), (old, "incremental")}
    tasks.plan_due()
    assert planned.count() == 2
    assert SyncRun.objects.filter(connection=busy).get() == already


def test_what_was_never_read_comes_before_what_was_read_long_ago(person: User, monkeypatch: pytest.MonkeyPatch) -> None:
    old, never = a_connection(person, label="old"), a_connection(person, label="never")
    ask(old)
    SyncRun.objects.update(state=RunState.SUCCEEDED, finished_at=timezone.now() - timedelta(days=9))
    monkeypatch.setattr(scheduling, "PLAN_BATCH", 1)
    for due in (never, old):
        tasks.plan_due()
        assert SyncRun.objects.first().connection == due  # type: ignore[union-attr]


# --- Working ----------------------------------------------------------------------------------------------------------
def test_a_message_that_comes_twice_is_worked_on_once(connect: Connect, person: User, sandbox: Sandbox) -> None:
    run = ask(connect(person))
    hold = Hold.take(run.pk)
    assert hold is not None
    calls = len(sandbox.calls())
    assert work(run).state == RunState.RUNNING
    assert len(sandbox.calls()) == calls
    assert run.held_by == hold.holder


def test_a_run_whose_worker_died_goes_on_and_its_rows_add_up(connect: Connect, person: User, sandbox: Sandbox) -> None:
    """The worker ends like a killed one, without a last word, after the third page; another goes on from its cursor."""
    connection = connect(person)
    run = ask(connection)
    calls: list[int] = []

    def die() -> None:
        calls.append(1)
        if len(calls) == 4:
            raise SystemExit("killed")

    with after_each_call(Operation.TRANSACTIONS, die), pytest.raises(SystemExit):
        tasks.run(run.pk)
    run.refresh_from_db()
    assert run.state == RunState.RUNNING
    booked = run.inserted
    assert booked == Transaction.objects.count() > 0
    SyncRun.objects.filter(pk=run.pk).update(held_until=timezone.now() - timedelta(seconds=1))  # the lease is over
    assert work(run).state == RunState.SUCCEEDED
    assert run.inserted == Transaction.objects.count() > booked
    assert run.fetched == run.inserted + run.matched
    assert run.matched > 0  # the look-back was read again
    assert run.done == run.total
    assert differences(of_hub(connection), of_broker(sandbox.truth())) == []


def test_an_overtaken_worker_writes_nothing_any_more(person: User) -> None:
    run = ask(a_connection(person))
    slow = Hold.take(run.pk)
    assert slow is not None
    SyncRun.objects.filter(pk=run.pk).update(held_until=timezone.now() - timedelta(seconds=1))
    second = Hold.take(run.pk)
    assert second is not None
    with pytest.raises(HoldLost):
        slow.write(step="late")
    second.write(step="in time")
    run.refresh_from_db()
    assert run.step == "in time"


def test_a_slow_worker_keeps_its_run_by_renewing_the_lease(transactional_db: None, settings: Any) -> None:
    settings.SYNC_LEASE_SECONDS = 0.3
    run = ask(a_connection())
    hold = Hold.take(run.pk)
    assert hold is not None
    run.refresh_from_db()
    with hold.kept():
        renewed = run.held_until
        deadline = timezone.now() + timedelta(seconds=10)
        while renewed == run.held_until and timezone.now() < deadline:
            renewed = SyncRun.objects.get(pk=run.pk).held_until
    assert renewed > run.held_until


def test_a_run_that_only_dies_is_given_up(person: User) -> None:
    run = ask(a_connection(person))
    SyncRun.objects.filter(pk=run.pk).update(attempts=MAX_ATTEMPTS)
    assert work(run).state == RunState.FAILED
    assert run.error == f"It was interrupted {MAX_ATTEMPTS} times without getting any further."


def test_a_queued_run_is_cancelled_at_once_and_its_message_finds_nothing_to_do(person: User) -> None:
    run = ask(a_connection(person))
    sync_service.cancel(run)
    assert run.state == RunState.CANCELLED
    assert work(run).state == RunState.CANCELLED
    with pytest.raises(NotAllowed, match="over already"):
        sync_service.cancel(run)


def test_a_running_run_is_cancelled_in_the_middle_of_a_call(connect: Connect, person: User, sandbox: Sandbox) -> None:
    connection = connect(person)
    run = ask(connection)

    def cancel_once() -> None:
        if SyncRun.objects.get(pk=run.pk).state == RunState.RUNNING:
            sync_service.cancel(run)

    with after_each_call(Operation.TRANSACTIONS, cancel_once):
        work(run)
    assert run.state == RunState.CANCELLED
    assert Transaction.objects.count() == run.inserted == 0  # the page on its way was not booked
    assert connection.accounts.count() == 2
    assert sync(connection).state == RunState.SUCCEEDED
    assert differences(of_hub(connection), of_broker(sandbox.truth())) == []


@pytest.mark.parametrize("keep_history", [True, False], ids=["kept", "erased"])
def test_disconnecting_stops_a_sync_in_the_middle_of_a_call(connect: Connect, person: User, keep_history: bool) -> None:
    connection = connect(person)
    run = ask(connection)
    calls: list[int] = []

    def leave_at_the_third() -> None:
        calls.append(1)
        if len(calls) == 3:
            connection_manager.disconnect(connection=connection, actor=person, keep_history=keep_history)

    with after_each_call(Operation.TRANSACTIONS, leave_at_the_third):
        tasks.run(run.pk)
    assert len(calls) == 3
    booked = Transaction.objects.filter(run=run.pk).count()
    if keep_history:
        run.refresh_from_db()
        assert (run.state, run.inserted) == (RunState.CANCELLED, booked)
        assert booked > 0
    else:
        assert (booked, SyncRun.objects.count()) == (0, 0)
