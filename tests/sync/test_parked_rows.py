"""Rows that wait for a rule: kept as they came, shown, and let go as soon as they are booked."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from brokerhub.kernel.models import User
from connections.brokers.records import ParkedRecord
from connections.models import Account
from sync import sync_service, tasks
from sync.importers import schwab_brokerage
from sync.models import ParkedRow, RunState, SyncRun, Trigger
from sync.parking import park, resolve
from tests.aggregation.factories import a_connection, a_record, an_account

HEADER = b'"Date","Action","Symbol","Description","Quantity","Price","Fees & Comm","Amount"\n'


@pytest.fixture
def account(person: User) -> Account:
    return an_account(a_connection(person))


def import_into(account: Account, content: bytes) -> SyncRun:
    run = sync_service.request_import(user=account.connection.user, account=account, name="a.csv", content=content)
    tasks.import_file(run.pk)
    run.refresh_from_db()
    return run


def a_run(account: Account) -> SyncRun:
    return SyncRun.objects.create(
        connection=account.connection, trigger=Trigger.SCHEDULE, mode="incremental", state=RunState.SUCCEEDED
    )


def test_a_row_of_a_file_waits_no_longer_once_the_hub_understands_it(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    twice = b'"06/10/2026","Service Fee","","FEE","","","","-$1.00"\n' * 2
    still_odd = b'"06/10/2026","Service Fee","","FEE","","","","one"\n'

    def refuse(text: str) -> tuple[Any, Any]:
        raise ValueError(f"“{text}” is a date this older hub cannot read")

    with monkeypatch.context() as older:
        older.setattr(schwab_brokerage, "parse_as_of", refuse)
        assert import_into(account, HEADER + twice + still_odd).parked == 3
    run = import_into(account, HEADER + twice + still_odd)
    assert (run.inserted, run.parked) == (2, 1)
    assert ParkedRow.objects.count() == 3
    assert [row.raw["Amount"] for row in ParkedRow.objects.waiting()] == ["one"]


def test_a_row_of_several_legs_waits_no_longer_once_its_legs_are_booked(account: Account) -> None:
    parked = [ParkedRecord(external_id=name, reason="unknown", raw={"activityId": name}) for name in ("77", "78")]
    park(run=a_run(account), account=account, parked=parked)
    resolve(account, [a_record("77:0"), a_record("77:1")])
    assert [row.external_id for row in ParkedRow.objects.waiting()] == ["78"]


def test_a_row_with_the_character_nul_is_kept_without_it(account: Account) -> None:
    odd = ParkedRecord(external_id="1", reason="unknown", raw={"text": "a\0b", "path": "C:\\u0000"})
    park(run=a_run(account), account=account, parked=[odd])
    assert ParkedRow.objects.get().raw == {"text": "ab", "path": "C:\\u0000"}


def test_a_run_leads_to_the_parked_rows_it_does_not_show(account: Account, sign_up: Callable[[User], Client]) -> None:
    """Only the first of many are on its page, and a row that waited before is not this run's."""
    web = sign_up(account.connection.user)
    odd = HEADER + b'"06/10/2026","Service Fee","","FEE","","","","one"\n' * 30
    first, again = import_into(account, odd), import_into(account, odd)
    assert (first.parked, again.parked, ParkedRow.objects.count()) == (30, 30, 30)
    for run in (first, again):
        assert "All rows that wait for a rule" in web.get(f"/sync/runs/{run.pk}/").content.decode()
