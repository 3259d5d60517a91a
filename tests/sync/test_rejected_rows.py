"""Rows that could not be booked come back as a file, are mended there, and are booked when it is uploaded again."""

import csv
import io
from decimal import Decimal

import pytest
from django.test import Client

from aggregation.models import Transaction
from brokerhub.kernel.models import User
from connections.models import Account
from sync.models import ParkedRow
from tests.aggregation.factories import a_connection, an_account
from tests.sync.importers.test_ibkr_flex_xml import trades
from tests.sync.importers.test_ofx import SECURITY, a_buy, document
from tests.sync.samples import fixture
from tests.sync.wizard import MIXED, answer, download, import_now, ready, states, text_of, upload


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


# --- Rows of markup ---------------------------------------------------------------------------------------------------
def table_of(file: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file)))


def as_file(rows: list[dict[str, str]]) -> str:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def test_rows_of_an_ofx_file_come_back_as_a_table_and_are_booked_where_they_waited(
    web: Client, person: User, account: Account
) -> None:
    an_account(a_connection(person))  # so that it is not the only one at the broker
    bad = a_buy(name="77").replace("<DTTRADE>20260610", "<DTTRADE>20261340")
    run = import_now(web, ready(web, account, document(a_buy(name="76"), bad, securities=SECURITY), "a.qfx"))
    assert (run.inserted, run.parked) == (1, 1)
    (row,) = rows = table_of(download(web, run))
    parked = ParkedRow.objects.get()
    assert row["Row at the hub"] == f"{parked.pk}"
    assert row["Why it was not booked"].startswith("“20261340")
    read = {name: row[name] for name in ("Settled", "What happened", "Symbol", "CUSIP", "Quantity", "Price", "Amount")}
    assert read == {
        "Settled": "2026-06-11",
        "What happened": "Buy",
        "Symbol": "TSM",
        "CUSIP": "874039100",
        "Quantity": "5",
        "Price": "100",
        "Amount": "-500.25",
    }
    assert (row["Currency"], row["Id at the broker"], row["Account"]) == ("USD", "77", "12-34")
    assert "DTTRADE=20261340120000" in row["As it came"]
    row["Date"] = "2026-06-12"
    draft = upload(web, as_file(rows))
    assert (draft.format, draft.found["proposals"]) == ("handed_back", {"12-34": account.pk})
    answer(web, draft, account_0=account.pk)
    assert import_now(web, draft).inserted == 1
    parked.refresh_from_db()
    assert parked.resolved_at is not None
    mended = Transaction.objects.get(traded_on="2026-06-12")
    assert (mended.kind, mended.quantity, mended.net_amount, mended.fees) == (
        "buy",
        5,
        Decimal("-500.25"),
        Decimal("0.25"),
    )
    assert mended.instrument == Transaction.objects.get(external_id="76").instrument
    good = import_now(web, ready(web, account, document(a_buy(name="77").replace("0610", "0612")), "b.qfx"))
    assert (good.inserted, good.parked) == (0, 0)  # the broker's id makes them one


def test_rows_of_a_flex_query_come_back_as_a_table_left_out_ones_whole(web: Client, account: Account) -> None:
    content = trades({"tradePrice": "dear", "proceeds": "x"}, {"transactionID": "72", "tradeDate": "20260602"})
    draft = ready(web, account, content, "flex.xml")
    good = next(line for line, state in states(draft).items() if state == "valid")
    web.post(f"/sync/import/{draft.pk}/choose", {"do": "leave_out", "line": good})
    run = import_now(web, draft)
    assert (run.inserted, run.parked, run.rejected) == (0, 1, 1)
    odd, left_out = rows = table_of(download(web, run))
    assert (odd["Date"], odd["What happened"], odd["Symbol"], odd["Fees"]) == ("2026-06-01", "Buy", "ACME", "1")
    assert (left_out["Why it was not booked"], left_out["Amount"]) == ("Left out by you", "-51")
    odd |= {"Price": "5", "Amount": "-51"}
    assert import_now(web, ready(web, account, as_file(rows))).inserted == 2
    assert not ParkedRow.objects.waiting().exists()
    assert set(Transaction.objects.values_list("external_id", "net_amount")) == {("71", -51), ("72", -51)}
    again = import_now(web, ready(web, account, trades({}, {"transactionID": "72", "tradeDate": "20260602"}), "f.xml"))
    assert again.inserted == 0
    assert Transaction.objects.in_books().count() == 2


def test_a_mended_row_has_to_say_what_happened_in_the_hubs_words(web: Client, account: Account) -> None:
    run = import_now(web, ready(web, account, document(a_buy(tag="BUYSTRANGE").replace("INVSELL", "INVBUY")), "a.qfx"))
    (row,) = table_of(download(web, run))
    assert row["What happened"] == ""
    for word, reason in {
        "": "Say what happened",
        "Purchased": "none of the hub&#x27;s words, which are Buy, Sell",
    }.items():
        draft = ready(web, account, as_file([row | {"What happened": word}]))
        assert reason in text_of(web, f"/sync/import/{draft.pk}/rows/")
    assert states(ready(web, account, as_file([row | {"What happened": "buy"}]))) == {2: "valid"}
