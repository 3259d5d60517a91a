"""Rows that could not be booked come back as a file, are mended there, and are booked when it is uploaded again."""

import pytest
from django.test import Client

from aggregation.models import Transaction
from brokerhub.kernel.models import User
from connections.models import Account
from sync.models import ParkedRow
from tests.aggregation.factories import a_connection, an_account
from tests.sync.samples import fixture
from tests.sync.wizard import MIXED, download, import_now, ready, states, text_of


@pytest.fixture
def account(person: User) -> Account:
    return an_account(a_connection(person))


def test_rejected_rows_come_back_as_a_file_that_is_mended_and_uploaded_again(web: Client, account: Account) -> None:
    draft = ready(web, account, MIXED)
    web.post(f"/sync/import/{draft.pk}/choose", {"do": "leave_out", "line": "6"})
    run = import_now(web, draft)
    assert f"/sync/runs/{run.pk}/rejected.csv" in text_of(web, f"/sync/runs/{run.pk}/")
    file = download(web, run)
    parked = ParkedRow.objects.get()
    assert file.splitlines() == [
        "Row at the hub,Why it was not booked,Date,Action,Symbol,Description,Quantity,Price,Fees & Comm,Amount",
        f"{parked.pk},“13/45/2026” is not a date like 12/31/2025.,13/45/2026,Service Fee,,'=2+3,,,,'-$3.00",
        ",Left out by you,06/12/2026,Cash Dividend,KO,COCA COLA,,,,$5.00",
    ]
    again = ready(web, account, file)
    assert states(again) == {2: "error", 3: "valid"}
    mended = ready(web, account, file.replace("13/45/2026,Service", "06/13/2026,Service"))
    assert states(mended) == {2: "valid", 3: "valid"}
    assert import_now(web, mended).inserted == 2
    parked.refresh_from_db()
    assert parked.resolved_at is not None
    assert Transaction.objects.get(traded_on="2026-06-13").description == "=2+3"
    assert Transaction.objects.count() == 5


def test_rejected_rows_uploaded_unchanged_are_parked_once(web: Client, account: Account) -> None:
    run = import_now(web, ready(web, account, MIXED))
    again = import_now(web, ready(web, account, download(web, run)))
    assert (again.inserted, again.parked, ParkedRow.objects.count()) == (0, 1, 1)


def test_an_import_without_rejected_rows_offers_none(web: Client, account: Account) -> None:
    run = import_now(web, ready(web, account, fixture("schwab-brokerage.csv")))
    assert "rejected.csv" not in text_of(web, f"/sync/runs/{run.pk}/")
