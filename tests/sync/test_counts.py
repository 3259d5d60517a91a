"""Nothing vanishes: fetched = inserted + matched + superseded + parked + rejected, in the database and in the rows."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db import connection as database
from django.db.models import F
from django.utils import timezone

from aggregation.models import Transaction
from brokerhub.kernel.models import User
from connections.brokers.calls import Operation
from sync import planning, sync_service, tasks, undoing
from sync.models import Mode, ParkedRow, RunState, SyncRun, Trigger
from tests.aggregation.factories import a_connection, an_account
from tests.plugins.sandbox_server import Sandbox
from tests.sync.runs import Connect, after_each_call, ask, work
from tests.sync.samples import fixture

OUTCOMES = ("inserted", "matched", "superseded", "parked", "rejected")


def test_the_database_itself_refuses_counts_that_do_not_add_up(person: User) -> None:
    run = SyncRun.objects.create(connection=a_connection(person), trigger=Trigger.MANUAL, mode=Mode.INITIAL)
    runs = SyncRun.objects.filter(pk=run.pk)
    wrong: list[dict[str, Any]] = [{name: F(name) + 1} for name in ("fetched", *OUTCOMES)]
    wrong += [{"fetched": 2, "inserted": 3, "matched": -1}]
    for changes in wrong:
        with pytest.raises(IntegrityError), transaction.atomic():
            runs.update(**changes)
    with pytest.raises(IntegrityError), transaction.atomic():
        SyncRun.objects.create(connection=run.connection, trigger=Trigger.IMPORT, mode=Mode.IMPORT, fetched=1)
    runs.update(fetched=15, **{name: place for place, name in enumerate(OUTCOMES, start=1)})
    with database.cursor() as cursor:
        cursor.execute("SELECT convalidated, contype FROM pg_constraint WHERE conname = 'nothing_vanishes'")
        assert cursor.fetchall() == [(True, "c")]


def adds_up(run: SyncRun) -> SyncRun:
    """Its counts make a sum, and are the rows that the books have by it."""
    run.refresh_from_db()
    assert run.fetched == sum(getattr(run, name) for name in OUTCOMES)
    own = Transaction.objects.filter(run=run, part_of=None).exclude(status="duplicate")
    assert own.count() == run.inserted + run.superseded
    return run


def wish(connection: Any, **what: Any) -> SyncRun:
    return sync_service.request_sync(user=connection.user, connection=connection, trigger=Trigger.MANUAL, **what)


def test_every_row_of_every_kind_of_run_has_one_outcome(
    connect: Connect, person: User, sandbox: Sandbox, unpaced: None
) -> None:
    connection = connect(person, "james")
    number = sandbox.truth("james")["accounts"][0]["number"]
    row = sandbox.backdate(number, login="james", kind="deposit", amount="10", days_ago=3)
    runs = {"first": adds_up(_interrupted(ask(connection)))}
    sandbox.correct(number, row["activity_id"], "amount", "11", login="james")
    runs["update"] = adds_up(work(ask(connection)))
    assert runs["update"].superseded == 1
    day = planning.market_today() - timedelta(days=60)
    runs["range"] = adds_up(work(wish(connection, days=(day, day + timedelta(days=30)))))
    runs["backfill"] = adds_up(_limited(wish(connection, mode=Mode.BACKFILL), sandbox))
    runs["repair"] = adds_up(work(wish(connection, mode=Mode.REPAIR)))
    assert runs["backfill"].matched == runs["repair"].matched == runs["repair"].fetched > 100
    sandbox.fault("schema_drift", "transactions", change="rename", field="type", to="kind")
    runs["partial"] = adds_up(work(ask(connection)))
    sandbox.clear_faults()
    runs["cancelled"] = adds_up(_cancelled(wish(connection, mode=Mode.BACKFILL)))
    before = {name: [getattr(run, count) for count in ("fetched", *OUTCOMES)] for name, run in runs.items()}
    undoing.undo(runs["first"], actor=person)
    undoing.reapply(runs["first"], actor=person)
    for name, run in runs.items():
        run.refresh_from_db()
        assert [getattr(run, count) for count in ("fetched", *OUTCOMES)] == before[name], "what was told stays told"
    states = {name: str(run.state) for name, run in runs.items()}
    assert {name for name, state in states.items() if state == "succeeded"} == set(runs) - {"partial", "cancelled"}
    assert (states["partial"], states["cancelled"]) == ("partial", "cancelled")
    assert runs["cancelled"].fetched > 0, "what was booked before stays counted"


def _interrupted(run: SyncRun) -> SyncRun:
    """Its worker dies after two answers; another one goes on."""
    answers: list[int] = []

    def die() -> None:
        answers.append(1)
        if len(answers) == 3:
            raise SystemExit("killed")

    with after_each_call(Operation.TRANSACTIONS, die), pytest.raises(SystemExit):
        tasks.run(run.pk)
    adds_up(run)
    SyncRun.objects.filter(pk=run.pk).update(held_until=timezone.now() - timedelta(seconds=1))
    return work(run)


def _limited(run: SyncRun, sandbox: Sandbox) -> SyncRun:
    """The broker's limit comes in the middle."""
    sandbox.fault("429", "transactions", after=2, times=1, retry_after=120)
    assert adds_up(work(run)).state == RunState.WAITING
    SyncRun.objects.filter(pk=run.pk).update(wait_until=timezone.now())
    return work(run)


def _cancelled(run: SyncRun) -> SyncRun:
    answers: list[int] = []

    def cancel() -> None:
        answers.append(1)
        if len(answers) == 3:
            sync_service.cancel(run)

    with after_each_call(Operation.TRANSACTIONS, cancel):
        return work(run)


def test_every_row_of_a_file_has_one_outcome(person: User) -> None:
    account = an_account(a_connection(person))
    content = fixture("schwab-brokerage.csv")

    def imported() -> SyncRun:
        run = sync_service.request_import(user=person, account=account, name="schwab.csv", content=content)
        return adds_up(work(run))

    first, again = imported(), imported()
    assert (first.inserted, again.inserted, again.fetched) == (first.fetched - first.parked, 0, first.fetched)
    assert first.parked == ParkedRow.objects.filter(run=first).count()
    undoing.undo(first, actor=person)
    third = imported()
    assert third.fetched == first.fetched
