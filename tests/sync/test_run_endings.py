"""How a run waits, ends and says why."""

from datetime import timedelta
from itertools import pairwise

import pytest
import redis
from django.core.cache import cache
from django.db import OperationalError
from django.db import connection as database
from django.utils import timezone

from aggregation.models import Transaction
from brokerhub.kernel.models import User
from connections.brokers.calls import Operation
from connections.states import ConnectionState
from sync import planning, sync_service, tasks
from sync.models import ImportFile, RunState, SyncCursor, SyncRun
from sync.planning import MAX_ATTEMPTS
from tests.aggregation.factories import a_connection, an_account
from tests.journey.books import differences, of_broker, of_hub, sync
from tests.plugins.sandbox_server import Sandbox
from tests.sync.runs import Connect, after_each_call, ask, work
from tests.sync.samples import fixture


# --- Waiting ----------------------------------------------------------------------------------------------------------
def test_a_limited_run_waits_until_the_broker_said_and_frees_its_worker(
    connect: Connect, person: User, sandbox: Sandbox, redis_client: redis.Redis
) -> None:
    connection = connect(person)
    sandbox.fault("429", "transactions", after=2, times=1, retry_after=120)
    run = work(ask(connection))
    assert (run.state, run.wait_reason) == (RunState.WAITING, "rate limit")
    assert run.wait_until is not None
    assert timedelta(seconds=100) < run.wait_until - timezone.now() <= timedelta(seconds=120)
    connection.refresh_from_db()
    assert connection.state == ConnectionState.RATE_LIMITED
    redis_client.flushdb()
    assert sync_service.dispatch_due() == 0
    assert work(run).state == RunState.WAITING  # a message that comes early changes nothing
    assert ask(connection) == run
    SyncRun.objects.filter(pk=run.pk).update(wait_until=timezone.now())
    assert sync_service.dispatch_due() == 1
    assert work(run).state == RunState.SUCCEEDED
    connection.refresh_from_db()
    assert connection.state == ConnectionState.CONNECTED


def test_a_limit_that_is_met_again_in_vain_is_waited_for_ever_longer() -> None:
    """Many first syncs of one app share its calls: who is told "in a second" eight times has not waited for long."""
    now = timezone.now()
    soon, late = now + timedelta(seconds=2), now + timedelta(hours=2)
    assert planning.retry_at(1, soon) == soon
    waits = [planning.retry_at(attempts, soon) - now for attempts in range(2, MAX_ATTEMPTS)]
    assert all(later > earlier * 1.2 for earlier, later in pairwise(waits[:5]))
    assert sum(waits, timedelta()) > timedelta(minutes=20)
    assert planning.retry_at(3, late) == late


def test_a_waiting_run_is_cancelled_at_once(connect: Connect, person: User, sandbox: Sandbox) -> None:
    connection = connect(person)
    sandbox.fault("429", "account_numbers", retry_after=3600)
    run = work(ask(connection))
    assert run.state == RunState.WAITING
    sync_service.cancel(run)
    assert (run.state, run.wait_until) == (RunState.CANCELLED, None)


def test_a_broker_that_stays_away_is_given_up_with_the_reason(connect: Connect, person: User, sandbox: Sandbox) -> None:
    connection = connect(person)
    sandbox.fault("503")
    run = ask(connection)
    for _ in range(MAX_ATTEMPTS):
        assert run.state in {RunState.QUEUED, RunState.WAITING}
        SyncRun.objects.filter(pk=run.pk).update(wait_until=None)
        work(run)
    assert run.state == RunState.FAILED
    assert run.error.endswith(f"The hub tried {MAX_ATTEMPTS} times and stopped; the next sync tries again.")
    sandbox.clear_faults()
    cache.clear()  # the circuit breaker lets calls through again
    assert sync(connection).state == RunState.SUCCEEDED


def test_a_run_that_gets_further_each_time_is_never_given_up(
    connect: Connect, person: User, sandbox: Sandbox, redis_client: redis.Redis
) -> None:
    """One page a start is slower than MAX_ATTEMPTS starts allow, yet each start is an advance."""
    connection = connect(person)
    run = ask(connection)
    starts = 0
    while run.status.is_open:
        sandbox.fault("429", "transactions", after=1, times=1, retry_after=3600)
        SyncRun.objects.filter(pk=run.pk).update(wait_until=None)
        work(run)
        sandbox.clear_faults()
        redis_client.flushdb()  # a minute later: our own budget of calls is full again
        starts += 1
        assert run.attempts <= 1
    assert starts > MAX_ATTEMPTS
    assert run.state == RunState.SUCCEEDED
    assert differences(of_hub(connection), of_broker(sandbox.truth())) == []


def test_one_endpoint_that_is_away_does_not_hold_up_the_others(
    connect: Connect, person: User, sandbox: Sandbox
) -> None:
    connection = connect(person)
    number = sandbox.truth()["accounts"][0]["hash"]
    sandbox.fault("500", "accounts", after=1, times=3)  # not the list, but one account's positions with its retries
    run = work(ask(connection))
    assert run.state == RunState.WAITING
    states = {part: result["state"] for part, result in run.parts.items()}
    waiting = connection.accounts.get(external_id=number).pk
    assert [part for part, state in states.items() if state == "waiting"] == [f"holdings:{waiting}"]
    assert Transaction.objects.count() == run.inserted > 1000
    SyncRun.objects.filter(pk=run.pk).update(wait_until=None)
    assert work(run).state == RunState.SUCCEEDED
    assert differences(of_hub(connection), of_broker(sandbox.truth())) == []


def test_an_amount_that_no_book_can_hold_costs_its_part_and_not_the_others(
    connect: Connect, person: User, sandbox: Sandbox
) -> None:
    connection = connect(person)
    odd, fine = (connection.accounts.get(external_id=told["hash"]) for told in sandbox.truth()["accounts"])
    number = sandbox.truth()["accounts"][0]["number"]
    for kind in ("deposit", "withdrawal"):
        sandbox.backdate(number, kind=kind, days_ago=3, amount=str(10**19))
    run = work(ask(connection))
    assert run.state == RunState.PARTIAL
    states = {part: result["state"] for part, result in run.parts.items()}
    assert [part for part, state in states.items() if state == "failed"] == [f"transactions:{odd.pk}"]
    assert run.error == "Charles Schwab sent a value that the books cannot hold. Nothing of that answer was booked."
    assert fine.transactions.count() > 100
    connection.refresh_from_db()
    assert connection.state == ConnectionState.DEGRADED


# --- Ending -----------------------------------------------------------------------------------------------------------
def test_a_mistake_of_ours_is_told_plainly_and_not_hidden_from_the_task_log(person: User) -> None:
    account = an_account(a_connection(person))
    run = sync_service.request_import(
        user=person, account=account, name="a.csv", content=fixture("schwab-brokerage.csv")
    )
    ImportFile.objects.filter(run=run).delete()
    with pytest.raises(ImportFile.DoesNotExist):
        tasks.import_file(run.pk)
    run.refresh_from_db()
    assert (run.state, run.error_code) == (RunState.FAILED, "internal_error")
    assert run.error.startswith("Something went wrong on our side. It has been noted")


@pytest.mark.django_db(transaction=True)
def test_a_run_that_the_database_threw_out_goes_on_when_its_lease_is_over() -> None:
    """A deadlock looks the same from here as this wait for a lock that the database ends: nobody did wrong."""
    account = an_account()
    run = sync_service.request_import(
        user=account.connection.user, account=account, name="a.csv", content=fixture("schwab-brokerage.csv")
    )
    other = database.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SELECT 1 FROM connections_account WHERE id = %s FOR UPDATE", [account.pk])
        with database.cursor() as cursor:
            cursor.execute("SET lock_timeout = '20ms'")
        with pytest.raises(OperationalError, match="lock timeout"):
            tasks.import_file(run.pk)
        other.rollback()
    finally:
        other.close()
        database.close()
    run.refresh_from_db()
    assert (run.state, run.error, Transaction.objects.count()) == (RunState.RUNNING, "", 0)
    SyncRun.objects.filter(pk=run.pk).update(held_until=timezone.now() - timedelta(seconds=1))
    assert work(run).state == RunState.SUCCEEDED


def test_progress_says_account_and_window(connect: Connect, person: User) -> None:
    run = ask(connect(person))
    seen: list[tuple[str, int, int | None]] = []

    def look() -> None:
        run.refresh_from_db()
        seen.append((run.step, run.done, run.total))

    with after_each_call(Operation.TRANSACTIONS, look):
        work(run)
    assert seen[0] == ("Transactions of Individual ...345", 0, None)
    assert seen[1] == ("Transactions of Individual ...345: window 1 of 7", 1, 14)
    assert seen[-1] == ("Transactions of Rollover IRA ...314: window 6 of 7", 13, 14)


def test_an_account_the_broker_lists_no_more_keeps_its_rows_and_is_named(
    connect: Connect, person: User, sandbox: Sandbox
) -> None:
    connection = connect(person)
    sync(connection)
    rows = Transaction.objects.count()
    connect(person, accounts=[sandbox.truth()["accounts"][0]["number"]])
    run = sync(connection)
    assert run.state == RunState.SUCCEEDED
    assert run.warnings == [
        "Rollover IRA ...314 is not listed by Charles Schwab any more. Its last known figures are kept."
    ]
    assert Transaction.objects.count() == rows


def test_days_that_the_broker_no_longer_tells_are_named(connect: Connect, person: User) -> None:
    connection = connect(person)
    sync(connection)
    cursor = SyncCursor.objects.order_by("account_id").first()
    assert cursor is not None
    long_ago = cursor.covered_from - timedelta(days=100)
    SyncCursor.objects.filter(pk=cursor.pk).update(covered_from=long_ago, covered_to=long_ago)
    run = sync(connection)
    assert len(run.warnings) == 1
    assert "the broker does not go back that far any more" in run.warnings[0]
    moved = SyncCursor.objects.get(pk=cursor.pk)
    assert (moved.covered_from, moved.covered_to) == (cursor.covered_from, cursor.covered_to)
