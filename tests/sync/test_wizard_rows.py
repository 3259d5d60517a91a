"""The preview of a file: what becomes of each row, mended, left out and taken in again."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from rest_framework.test import APIClient

from aggregation import ledger
from aggregation.models import PossibleDuplicate, Source, Transaction
from brokerhub.kernel.models import User
from connections.brokers.records import TransactionKind
from connections.models import Account
from sync import drafts
from tests.aggregation.factories import a_connection, a_record, an_account
from tests.sync.wizard import MIXED, SCHWAB, import_now, ready, states, text_of

K = TransactionKind


@pytest.fixture
def account(person: User) -> Account:
    return an_account(a_connection(person))


def test_each_row_has_its_state_and_the_filters_count_them(web: Client, account: Account) -> None:
    import_now(web, ready(web, account, SCHWAB + '"06/10/2026","Service Fee","","FEE","","","","-$1.00"\n'))
    draft = ready(web, account, MIXED)
    assert states(draft) == {2: "duplicate", 3: "valid", 4: "warning", 5: "error", 6: "valid"}
    page = text_of(web, f"/sync/import/{draft.pk}/rows/")
    assert "Import 3 rows" in page
    for label, count in [("All", 5), ("New", 2), ("New, worth a look", 1), ("Cannot be read", 1), ("Known already", 1)]:
        assert f'>{label} <span class="pill__count">{count}</span>' in page
    assert "“13/45/2026” is not a date like 12/31/2025." in page
    only = text_of(web, f"/sync/import/{draft.pk}/rows/?state=error")
    assert (only.count('id="line-'), 'id="line-5"' in only) == (1, True)
    run = import_now(web, draft)
    assert (run.inserted, run.matched, run.parked, run.rejected) == (3, 1, 1, 0)


def test_rows_are_left_out_and_taken_in_again_one_by_one_or_all_of_a_kind(web: Client, account: Account) -> None:
    draft = ready(web, account, MIXED)
    address = f"/sync/import/{draft.pk}/choose"
    web.post(address, {"do": "leave_out", "line": ["2", "5"]})
    web.post(address, {"do": "leave_out", "state": "warning", "all": "on"})
    assert "Import 2 rows" in text_of(web, f"/sync/import/{draft.pk}/rows/")
    web.post(address, {"do": "take_in", "line": "5"})
    assert drafts.count_rows(draft)["left_out"] == 2
    run = import_now(web, draft)
    assert (run.fetched, run.inserted, run.parked, run.rejected) == (5, 2, 1, 2)


def test_a_cell_is_mended_beside_the_file_which_stays_as_it_was(web: Client, account: Account) -> None:
    draft = ready(web, account, MIXED)
    address = f"/sync/import/{draft.pk}/rows/5/"
    page = text_of(web, address)
    assert 'value="13/45/2026"' in page
    assert ">Fees &amp; Comm<" in page
    assert web.post(address + "?state=error", {"cell_0": "06/13/2026"}).headers["Location"].endswith("error#line-5")
    assert states(draft)[5] == "valid"
    assert "Mended by you" in text_of(web, address)
    draft.refresh_from_db()
    assert bytes(draft.content) == MIXED.encode()
    run = import_now(web, draft)
    assert (run.inserted, run.parked) == (5, 0)
    assert bytes(run.file.content) == MIXED.encode()
    assert run.file.fixes == {"5": {"0": "06/13/2026"}}
    assert Transaction.objects.get(traded_on="2026-06-13").raw["Date"] == "06/13/2026"


def test_a_cell_put_back_as_it_was_is_mended_no_more(web: Client, account: Account) -> None:
    draft = ready(web, account, MIXED)
    for text in ("06/13/2026", "13/45/2026"):
        web.post(f"/sync/import/{draft.pk}/rows/5/", {"cell_0": text})
    draft.refresh_from_db()
    assert (draft.fixes, states(draft)[5]) == ({}, "error")


def test_lines_stay_where_they_are_when_a_cell_of_several_lines_is_mended(web: Client, account: Account) -> None:
    rows = (
        '"06/10/2026","Service Fee","","a\nb\r\nc","","","","-$1.00"\n"06/11/2026","Service Fee","","d","","","","x"\n'
    )
    draft = ready(web, account, SCHWAB + rows)
    assert states(draft) == {2: "valid", 5: "error"}
    web.post(f"/sync/import/{draft.pk}/rows/2/", {"cell_3": "one line"})
    web.post(f"/sync/import/{draft.pk}/rows/5/", {"cell_7": "-$2.00"})
    assert states(draft) == {2: "valid", 5: "valid"}
    import_now(web, draft)
    assert set(Transaction.objects.values_list("description", flat=True)) == {"one line", "d"}


def test_the_edit_of_a_row_comes_as_a_fragment_or_as_a_page(web: Client, account: Account) -> None:
    draft = ready(web, account, MIXED)
    address = f"/sync/import/{draft.pk}/rows/5/"
    assert web.get(address, headers={"HX-Request": "true"}).content.decode().lstrip().startswith("<tr")
    assert "<html" in web.get(address).content.decode()
    assert web.get(f"/sync/import/{draft.pk}/rows/1/").status_code == 404


def test_a_cell_takes_one_line_of_text(web: Client, account: Account) -> None:
    draft = ready(web, account, MIXED)
    page = web.post(f"/sync/import/{draft.pk}/rows/5/", {"cell_0": "a\nb"})
    assert "A cell takes one line of plain text." in page.content.decode()
    draft.refresh_from_db()
    assert draft.fixes == {}


def test_many_rows_come_page_by_page_at_the_same_cost(
    web: Client, account: Account, django_assert_max_num_queries: Any
) -> None:
    rows = "".join(f'"06/10/2026","Service Fee","","FEE","","","","-${n}.00"\n' for n in range(1, 121))
    draft = ready(web, account, SCHWAB + rows)
    with django_assert_max_num_queries(16):
        page = text_of(web, f"/sync/import/{draft.pk}/rows/?page=3")
    assert "Page 3 of 3" in page
    assert page.count('id="line-') == 20


# --- Possible duplicates ----------------------------------------------------------------------------------------------
BOUGHT = '"06/11/2026","Buy","AAPL","APPLE INC","10","$180.25","","-$1802.50"\n'
PAID = '"06/12/2026","Cash Dividend","AAPL","APPLE INC","","","","$4.80"\n'


def told_by_the_broker(account: Account) -> Transaction:
    """A purchase and a dividend of the tenth, as the feed has them."""
    bought = a_record("1", traded_on=date(2026, 6, 10), settled_on=date(2026, 6, 11))
    cash: dict[str, Any] = {"quantity": None, "price": None, "gross_amount": None, "net_amount": Decimal("4.80")}
    paid = replace(bought, external_id="2", kind=K.DIVIDEND, settled_on=None, **cash)
    ledger.book(account=account, records=[bought, paid], source=Source.API, run_id=None)
    return Transaction.objects.get(external_id="1")


def test_a_row_much_like_one_of_the_books_says_which_and_why_and_nothing_is_written(
    web: Client, account: Account
) -> None:
    bought = told_by_the_broker(account)
    draft = ready(web, account, SCHWAB + BOUGHT + PAID + '"06/12/2026","Service Fee","","FEE","","","","-$1.00"\n')
    assert states(draft) == {2: "possible", 3: "possible", 4: "valid"}
    page = text_of(web, f"/sync/import/{draft.pk}/rows/?state=possible")
    assert "2 of them may be duplicates:" in page
    assert "waits under" in page
    assert f'<a href="/portfolio/transactions/{bought.pk}/">10 Jun 2026, Buy AAPL</a>' in page
    assert "from the broker. The date of one is the settlement date of the other." in page
    assert (Transaction.objects.count(), PossibleDuplicate.objects.count()) == (2, 0)
    run = import_now(web, draft)
    assert (run.inserted, PossibleDuplicate.objects.waiting().count()) == (3, 2)  # counted, and asked about


def test_possible_duplicates_are_left_out_all_at_once_and_taken_in_one_by_one(web: Client, account: Account) -> None:
    told_by_the_broker(account)
    draft = ready(web, account, SCHWAB + BOUGHT + PAID + '"13/45/2026","Service Fee","","FEE","","","","-$1.00"\n')
    address = f"/sync/import/{draft.pk}/"
    web.post(f"{address}choose", {"state": "possible", "all": "on", "do": "leave_out"})
    assert "There is nothing new in this file." in text_of(web, f"{address}rows/")
    web.post(f"{address}rows/4/", {"cell_0": "06/13/2026"})  # checked again, and they stay what they are
    assert states(draft) == {2: "possible", 3: "possible", 4: "valid"}
    web.post(f"{address}choose", {"line": "3", "do": "take_in"})
    run = import_now(web, draft)
    assert (run.inserted, run.rejected, PossibleDuplicate.objects.waiting().count()) == (2, 1, 1)


def test_a_dry_run_names_the_row_of_the_books(account: Account, token_client: Callable[..., APIClient]) -> None:
    bought = told_by_the_broker(account)
    file = SimpleUploadedFile("export.csv", (SCHWAB + BOUGHT).encode())
    program = token_client(account.connection.user)
    answer = program.post(
        "/api/v1/brokerage/import?dry_run=1", {"file": file, "account": account.pk}, format="multipart"
    ).json()
    assert answer["counts"]["possible"] == 1
    (row,) = answer["rows"]
    assert row["resembles"] == [
        {
            "id": bought.pk,
            "date": "2026-06-10",
            "kind": "buy",
            "symbol": "AAPL",
            "quantity": "10",
            "net_amount": "-1802.5",
            "currency": "USD",
            "source": "api",
            "reasons": ["The date of one is the settlement date of the other"],
        }
    ]
    assert not PossibleDuplicate.objects.exists()


def test_an_order_that_the_books_have_as_executions_names_each_of_them(web: Client, account: Account) -> None:
    parts = [
        a_record(f"{units}", traded_on=date(2026, 6, 11), quantity=units, net_amount=net, gross_amount=net)
        for units, net in ((Decimal(4), Decimal("-721.00")), (Decimal(6), Decimal("-1081.50")))
    ]
    ledger.book(account=account, records=parts, source=Source.API, run_id=None)
    draft = ready(web, account, SCHWAB + BOUGHT)
    assert states(draft) == {2: "possible"}
    assert sorted(other["quantity"] for other in draft.rows.get().resembles) == ["4", "6"]
    assert not PossibleDuplicate.objects.exists()
