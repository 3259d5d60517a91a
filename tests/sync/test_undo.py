"""Taking back a run and applying it again, on its page and by the API."""

from collections.abc import Callable
from datetime import date

import pytest
from django.test import Client

from aggregation.ledger import book
from aggregation.models import Source, Transaction
from brokerhub.kernel.models import User
from connections.models import Account, ConnectionEvent
from sync import sync_service, undoing
from sync.models import RunState, SyncCursor, SyncRun, Trigger
from tests.aggregation.factories import a_connection, a_record, an_account
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
