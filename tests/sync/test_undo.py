"""Taking back a run and applying it again, on its page and by the API."""

from collections.abc import Callable
from datetime import date

import pytest
from django.test import Client

from aggregation.ledger import book
from aggregation.models import Source, Transaction
from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.models import User
from connections.brokers.records import ParkedRecord
from connections.models import Account, ConnectionEvent
from sync import sync_service, undoing
from sync.models import ParkedRow, RunState, SyncCursor, SyncRun, Trigger, WordRule
from sync.parking import park, resolve
from tests.aggregation.factories import a_connection, a_record, an_account
from tests.aggregation.test_undoing import a_run
from tests.sync.samples import fixture

pytestmark = pytest.mark.django_db


@pytest.fixture
def web(person: User, sign_up: Callable[[User], Client]) -> Client:
    return sign_up(person)


@pytest.fixture
def imported(web: Client, person: User) -> SyncRun:
    """A Schwab file imported by the person."""
    account = an_account(a_connection(person))
    run = sync_service.request_import(
        user=person, account=account, name="schwab.csv", content=fixture("schwab-brokerage.csv")
    )
    sync_service.run_one(run.pk)
    run.refresh_from_db()
    assert run.state == RunState.SUCCEEDED
    return run


def counting() -> int:
    return Transaction.objects.in_books().count()


def test_what_a_broker_told_is_not_taken_back_while_its_connection_is_being_read(person: User) -> None:
    account = an_account(a_connection(person))
    run = a_run(account, a_record("1"))
    under_way = sync_service.request_sync(user=person, connection=account.connection, trigger=Trigger.MANUAL)
    with pytest.raises(NotAllowed, match="being synced"):
        undoing.undo(run, actor=person)
    assert counting() == 1
    sync_service.cancel(under_way)
    undoing.undo(run, actor=person)
    assert counting() == 0


def test_a_file_is_taken_back_and_applied_again_on_its_page(web: Client, imported: SyncRun) -> None:
    page = f"/sync/runs/{imported.pk}/"
    rows = counting()
    assert "Take back…" in web.get(page).content.decode()
    asked = web.get(f"{page}undo").content.decode()
    assert f"{rows} transactions" in asked
    assert counting() == rows, "asking changes nothing"
    web.post(f"{page}undo", {"do": "undo"})
    assert counting() == 0
    assert "This run was taken back" in web.get(page).content.decode()
    assert "Apply again?" in web.get(f"{page}undo").content.decode()
    web.post(f"{page}undo", {"do": "reapply"})
    assert counting() == rows
    assert set(ConnectionEvent.objects.values_list("action", flat=True)) >= {"run_undone", "run_applied_again"}


def test_by_the_api_first_dry_then_for_good(web: Client, imported: SyncRun) -> None:
    place, rows = f"/api/v1/brokerage/sync/runs/{imported.pk}", counting()
    dry = web.post(f"{place}/undo?dry_run=1").json()
    assert (dry["leaving"], counting()) == (rows, rows)
    assert web.post(f"{place}/undo").json() == dry
    assert counting() == 0
    assert web.post(f"{place}/undo").status_code == 409
    assert web.post(f"{place}/reapply").json()["returning"] == rows
    assert web.post(f"{place}/reapply").status_code == 409


def test_a_stranger_meets_no_such_run(stranger: User, sign_up: Callable[[User], Client], imported: SyncRun) -> None:
    other = sign_up(stranger)
    assert other.get(f"/sync/runs/{imported.pk}/undo").status_code == 404
    assert other.post(f"/api/v1/brokerage/sync/runs/{imported.pk}/undo").status_code == 404
    assert counting()


def test_the_next_sync_reads_the_days_of_a_sync_taken_back(person: User) -> None:
    account: Account = an_account(a_connection(person))
    SyncCursor.objects.create(account=account, covered_from=date(2025, 1, 1), covered_to=date(2026, 4, 1))
    run = SyncRun.objects.create(
        connection=account.connection, trigger=Trigger.MANUAL, mode="incremental", state=RunState.SUCCEEDED
    )
    book(account=account, records=[a_record("1")], source=Source.API, run_id=run.pk)
    undoing.undo(run, actor=person)
    assert SyncCursor.objects.get(account=account).covered_to == date(2026, 3, 1)


def test_a_run_under_way_is_not_taken_back(web: Client, imported: SyncRun) -> None:
    SyncRun.objects.filter(pk=imported.pk).update(state=RunState.RUNNING)
    assert web.post(f"/api/v1/brokerage/sync/runs/{imported.pk}/undo").status_code == 409
    web.post(f"/sync/runs/{imported.pk}/undo", {"do": "undo"})
    assert counting()


ODD = [{"activityId": "77", "type": "ADR_FEE", "netAmount": -1.5, "tradeDate": "2026-06-10"}]


def a_run_that_parks(account: Account) -> SyncRun:
    """A sync that brought one row nobody understands, and nothing else."""
    run = SyncRun.objects.create(
        connection=account.connection, trigger=Trigger.MANUAL, mode="incremental", state=RunState.SUCCEEDED
    )
    park(run=run, account=account, parked=[ParkedRecord(external_id="77", reason="odd", raw=raw) for raw in ODD])
    return run


def waiting() -> int:
    return ParkedRow.objects.waiting().count()


def test_rows_without_a_rule_wait_no_longer_while_their_run_is_taken_back(web: Client, person: User) -> None:
    run = a_run_that_parks(an_account(a_connection(person)))
    row = ParkedRow.objects.get()
    page = f"/sync/runs/{run.pk}/"
    assert "1 row that no rule understands" in " ".join(web.get(f"{page}undo").content.decode().split())
    web.post(f"{page}undo", {"do": "undo"})
    assert waiting() == 0
    assert "No row is waiting" in web.get("/sync/parked/").content.decode()
    assert "was taken back" in web.get(f"/sync/parked/{row.pk}/").content.decode()
    assert "no rule" not in web.get("/").content.decode().lower()
    assert web.get("/api/v1/brokerage/parked?waiting=true").json()["results"] == []
    for query, count in {"": 1, "?undone=true": 1, "?undone=false": 0}.items():
        assert len(web.get(f"/sync/{query}").context["runs"]) == count, query
        assert len(web.get(f"/api/v1/brokerage/sync/runs{query}").json()["results"]) == count, query
    shown = web.get(page).content.decode()
    assert "Taken back" in shown
    assert "Positions and balances are what the broker last said" in shown
    web.post(f"{page}undo", {"do": "reapply"})
    assert waiting() == 1
    assert web.get(f"/api/v1/brokerage/sync/runs/{run.pk}").json()["undone_at"] is None


def test_a_row_that_another_run_told_too_goes_on_waiting(person: User) -> None:
    account = an_account(a_connection(person))
    first, second = a_run_that_parks(account), a_run_that_parks(account)
    assert undoing.undo(first, actor=person).parked == 0
    assert ParkedRow.objects.waiting().get().run == second
    assert undoing.undo(second, actor=person).parked == 1
    assert waiting() == 0
    third = a_run_that_parks(account)
    assert ParkedRow.objects.waiting().get().told_by == [first.pk, second.pk, third.pk]


def test_a_rule_made_meanwhile_books_the_rows_of_a_run_that_is_applied_again(person: User) -> None:
    account = an_account(a_connection(person))
    run = a_run_that_parks(account)
    undoing.undo(run, actor=person)
    WordRule.objects.create(user=person, broker="schwab", field="type", word="ADR_FEE", kind="fee")
    undoing.reapply(run, actor=person)
    assert (waiting(), counting()) == (0, 1)
    undoing.undo(run, actor=person)
    assert (waiting(), counting()) == (0, 0)
    undoing.reapply(run, actor=person)
    assert (waiting(), counting()) == (0, 1)


def test_a_row_waits_again_when_the_run_that_understood_it_is_taken_back(person: User) -> None:
    account = an_account(a_connection(person))
    a_run_that_parks(account)
    later = SyncRun.objects.create(
        connection=account.connection, trigger=Trigger.MANUAL, mode="incremental", state=RunState.SUCCEEDED
    )
    book(account=account, records=[a_record("77")], source=Source.API, run_id=later.pk)
    resolve(account, [a_record("77")], run=later)
    assert waiting() == 0
    undoing.undo(later, actor=person)
    assert waiting() == 1
    undoing.reapply(later, actor=person)
    assert waiting() == 0
