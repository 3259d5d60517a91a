"""What a run reads, and how a second request joins and widens the first."""

from datetime import date, timedelta

import pytest

from aggregation.models import BookStatus, Transaction
from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.models import User
from connections.brokers.calls import Operation
from connections.models import Connection
from sync import planning, sync_service
from sync.models import Mode, RunState, SyncCursor, SyncRun, Trigger
from sync.scope import Scope
from tests.aggregation.factories import a_connection, an_account
from tests.journey.books import differences, of_broker, of_hub, sync
from tests.plugins.sandbox_server import Sandbox
from tests.sync.runs import Connect, after_each_call, ask, work

MARCH = (date(2026, 3, 1), date(2026, 3, 31))


def wish(connection: Connection, **what: object) -> SyncRun:
    return sync_service.request_sync(user=connection.user, connection=connection, trigger=Trigger.MANUAL, **what)  # type: ignore[arg-type]


def a_known_connection(person: User) -> Connection:
    connection = a_connection(person)
    today = date(2026, 11, 1)
    SyncCursor.objects.create(account=an_account(connection), covered_from=today, covered_to=today)
    return connection


@pytest.mark.parametrize(
    ("first", "second", "joined"),
    [
        (Scope(mode=Mode.INCREMENTAL), Scope(mode=Mode.INCREMENTAL, account_id=1), Scope(mode=Mode.INCREMENTAL)),
        (Scope(mode=Mode.RANGE, account_id=1), Scope(mode=Mode.RANGE, account_id=2), Scope(mode=Mode.RANGE)),
        (
            Scope(mode=Mode.RANGE, from_on=date(2026, 3, 1), to_on=date(2026, 3, 9)),
            Scope(mode=Mode.RANGE, from_on=date(2026, 1, 1), to_on=date(2026, 1, 9)),
            Scope(mode=Mode.RANGE, from_on=date(2026, 1, 1), to_on=date(2026, 3, 9)),
        ),
        (
            Scope(mode=Mode.INCREMENTAL),
            Scope(mode=Mode.RANGE, from_on=date(2026, 1, 1), to_on=date(2026, 1, 9)),
            Scope(mode=Mode.RANGE, from_on=date(2026, 1, 1)),
        ),
        (
            Scope(mode=Mode.REPAIR, from_on=date(2026, 1, 1), to_on=date(2026, 1, 9)),
            Scope(mode=Mode.BACKFILL),
            Scope(mode=Mode.REPAIR),
        ),
        (Scope(mode=Mode.INITIAL), Scope(mode=Mode.BACKFILL, account_id=1), Scope(mode=Mode.INITIAL)),
    ],
)  # fmt: skip
def test_two_wishes_make_one_that_reads_what_either_would(first: Scope, second: Scope, joined: Scope) -> None:
    assert first.joined(second) == joined
    assert joined.covers(first)
    assert joined.covers(second)


def test_a_wider_request_widens_the_open_run_and_a_narrower_one_leaves_it(person: User) -> None:
    connection = a_known_connection(person)
    first = ask(connection)
    wider = wish(connection, mode=Mode.BACKFILL)
    assert (wider.pk, wider.mode) == (first.pk, "backfill")
    narrower = wish(connection, mode=Mode.RANGE, account=connection.accounts.get(), days=MARCH)
    assert (narrower.pk, narrower.mode, narrower.account, narrower.from_on) == (first.pk, "backfill", None, None)
    assert [entry.text for entry in first.entries.all()] == ["Widened by a second request: Whole history"]


def test_a_run_widened_in_the_middle_reads_the_wider_days_too(
    connect: Connect, person: User, sandbox: Sandbox, unpaced: None
) -> None:
    connection = connect(person)
    sync(connection)
    run = ask(connection)
    widened: list[int] = []

    def widen() -> None:
        if not widened:
            widened.append(wish(connection, mode=Mode.RANGE, days=MARCH).pk)

    with after_each_call(Operation.TRANSACTIONS, widen):
        assert work(run).state == RunState.QUEUED
    assert widened == [run.pk]
    assert work(run).state == RunState.SUCCEEDED
    assert (run.mode, run.from_on, run.to_on, run.inserted) == ("range", MARCH[0], None, 0)
    assert run.fetched == run.matched > 0


def test_chosen_days_are_read_of_one_account_and_leave_the_rest_unread(
    connect: Connect, person: User, unpaced: None
) -> None:
    connection = connect(person)
    sync(connection)
    account, other = connection.accounts.all()
    Transaction.objects.all().delete()
    SyncCursor.objects.update(covered_from=date(2026, 9, 1))
    run = work(wish(connection, account=account, days=MARCH))
    assert run.state == RunState.SUCCEEDED
    days = Transaction.objects.values_list("traded_on", flat=True)
    assert MARCH[0] <= min(days) <= max(days) <= MARCH[1]
    assert not other.transactions.exists()
    assert {part.partition(":")[2] for part in run.parts} == {"", f"{account.pk}"}
    assert account.cursor.covered_from == date(2026, 9, 1)  # what lies between has not been read


def test_a_backfill_reads_all_there_is_and_extends_what_is_covered(
    connect: Connect, person: User, sandbox: Sandbox, unpaced: None
) -> None:
    connection = connect(person)
    sync(connection)
    Transaction.objects.filter(traded_on__lt=date(2026, 1, 1)).delete()
    SyncCursor.objects.update(covered_from=date(2026, 1, 1))
    run = work(wish(connection, mode=Mode.BACKFILL))
    assert run.state == RunState.SUCCEEDED
    assert run.inserted > 0
    assert differences(of_hub(connection), of_broker(sandbox.truth())) == []
    earliest = planning.market_today() - timedelta(days=6 * 365)
    assert {cursor.covered_from for cursor in SyncCursor.objects.all()} == {earliest}


def test_a_repair_replaces_what_differs_and_names_what_the_broker_does_not_tell(
    connect: Connect, person: User, sandbox: Sandbox, unpaced: None
) -> None:
    connection = connect(person)
    sync(connection)
    account = connection.accounts.all()[0]
    wrong, *_ = account.transactions.filter(kind="buy", traded_on__range=MARCH).order_by("pk")
    Transaction.objects.filter(pk=wrong.pk).update(net_amount=wrong.net_amount - 1, fingerprint=b"other")
    stray = Transaction.objects.get(pk=wrong.pk)
    stray.pk, stray.external_id, stray.content_key, stray.fingerprint = None, "999999999999", b"stray", b"stray"
    stray.save()
    run = work(wish(connection, mode=Mode.REPAIR, days=MARCH))
    assert (run.state, run.inserted, run.superseded, run.missing) == (RunState.SUCCEEDED, 0, 1, [stray.pk])
    wrong.refresh_from_db()
    assert wrong.status == BookStatus.SUPERSEDED
    assert wrong.superseded_by is not None
    assert any("not told by Charles Schwab any more" in warning for warning in run.warnings)
    stray.refresh_from_db()
    assert stray.status == BookStatus.POSTED


def test_days_that_make_no_sense_are_refused(person: User) -> None:
    connection = a_known_connection(person)
    tomorrow = planning.market_today() + timedelta(days=1)
    for what in (
        {"days": (MARCH[1], MARCH[0])},
        {"days": (tomorrow, None)},
        {"mode": Mode.RANGE},
        {"account": an_account()},
    ):
        with pytest.raises(NotAllowed):
            wish(connection, **what)
