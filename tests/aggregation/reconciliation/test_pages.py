"""The page, its buttons, the exports and the API, as a person and an integrator meet them."""

import csv
import io
import json
from datetime import date
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from aggregation.ledger import book, record_holdings
from aggregation.models import Break, Correction, Source, Transaction, TransferLink
from aggregation.reconciliation import transfers
from aggregation.reconciliation.comparing import compare, reconcile_due, request
from brokerhub.kernel.models import Scope
from connections.brokers.records import TransactionKind as Kind
from tests.aggregation.factories import (
    AAPL,
    BND,
    a_balance,
    a_connection,
    a_position,
    a_record,
    an_account,
    some_holdings,
)

PAGE = "/portfolio/reconcile/"
API = "/api/v1/brokers/reconciliation"


@pytest.fixture
def account(person):
    """Ten shares in the books, ten at the broker, and all the money."""
    account = an_account(a_connection(person))
    deposit = a_record("d", kind=Kind.DEPOSIT, instrument=None, quantity=None, net_amount=Decimal("2302.50"))
    book(account=account, records=[deposit, a_record("b")], source=Source.API, run_id=None)
    report(account)
    return account


def report(account, units="10", cash="500.00", *others):
    holdings = some_holdings(a_position(AAPL, units), *others, balances=(a_balance(cash=Decimal(cash)),))
    record_holdings(account=account, holdings=holdings, run_id=None)
    compare(account)


def text_of(web):
    return " ".join(web.get(PAGE).content.decode().split())


def test_before_any_account_the_page_says_where_to_begin(web):
    assert "Nothing to compare yet" in text_of(web)


def test_when_everything_agrees_the_page_says_so(web, account):
    text = text_of(web)
    assert "Everything agrees" in text
    assert "2 positions and amounts of cash in 1 account" in text


def test_a_difference_is_put_right_with_one_click_and_taken_back_with_another(web, account):
    report(account, "10", "495.05")
    text = text_of(web)
    assert "1 difference in 1 of 1 account" in text
    [found] = Break.objects.live()
    place = next(n for n, fix in enumerate(found.findings[0]["fixes"]) if fix["action"] == "book")
    address = f"/portfolio/reconcile/breaks/{found.pk}/"
    answer = web.post(address, {"do": f"0-{place}", "fingerprint": found.fingerprint}, follow=True)
    text = " ".join(answer.content.decode().split())
    assert "Done, and it agrees." in text
    assert "Everything agrees" in text
    assert Transaction.objects.in_books().get(source=Source.MANUAL).net_amount == Decimal("-4.95")
    correction = Correction.objects.get()
    web.post(f"/portfolio/reconcile/corrections/{correction.pk}/undo")
    assert "1 difference in 1 of 1 account" in text_of(web)


def test_an_ignored_difference_is_set_aside_with_its_reason_and_can_be_heeded(web, account):
    report(account, "10", "495.05")
    [found] = Break.objects.live()
    address = f"/portfolio/reconcile/breaks/{found.pk}/"
    web.post(address, {"do": "ignore", "why": "Sandwich money", "fingerprint": found.fingerprint})
    text = text_of(web)
    assert "Everything agrees" in text
    assert "Sandwich money" in text
    web.post(address, {"do": "heed"})
    assert "1 difference" in text_of(web)


def test_all_of_one_cause_are_booked_in_one_go(web, person):
    account = an_account(a_connection(person))
    report(account, "10", "500", a_position(BND, "7"))
    assert "Start from what the broker reports" in text_of(web)
    web.post(f"/portfolio/reconcile/accounts/{account.pk}/", {"cause": "missing_history"})
    assert "Everything agrees" in text_of(web)
    assert Transaction.objects.in_books().filter(subtype="opening").count() == 3


@pytest.mark.parametrize("cost", ["ninety", "-3", "NaN"])
def test_a_cost_that_is_none_is_refused_with_words(web, person, cost):
    account = an_account(a_connection(person))
    report(account)
    found = Break.objects.live().get(instrument__symbol="AAPL")
    answer = web.post(f"/portfolio/reconcile/breaks/{found.pk}/", {"do": "0-0", "cost": cost}, follow=True)
    assert "Write it like 91.20" in answer.content.decode()
    assert not Correction.objects.exists()


@pytest.mark.parametrize("wish", ["", "x", "7-0", "0-x", "0-99"])
def test_a_fix_there_is_none_of_changes_nothing(web, account, wish):
    report(account, "10", "495.05")
    [found] = Break.objects.live()
    assert web.post(f"/portfolio/reconcile/breaks/{found.pk}/", {"do": wish}).status_code in (302, 404)
    assert not Correction.objects.exists()


def test_the_overview_names_what_does_not_agree(web, account):
    assert "Does not agree" not in web.get("/").content.decode()
    report(account, "10", "495.05")
    page = web.get("/").content.decode()
    assert "1 difference" in page
    assert PAGE in page


def test_an_account_kept_by_file_is_not_compared(web, person):
    report(an_account(a_connection(person, method="file")))  # a person's own word on what is held
    text = text_of(web)
    assert not Break.objects.exists()
    assert "Not compared yet" in text
    assert "Kept by file" in text


def test_two_sides_of_a_transfer_are_shown_and_can_be_parted(web, person, account):
    other = an_account(a_connection(person, broker="robinhood", label="Robinhood"))
    for owner, kind, units in ((account, Kind.TRANSFER_OUT, -4), (other, Kind.TRANSFER_IN, 4)):
        leg = a_record("t", kind=kind, traded_on=date(2026, 5, 4), quantity=Decimal(units), net_amount=Decimal(0))
        book(account=owner, records=[leg], source=Source.API, run_id=None)
    transfers.match(person.pk)
    assert "Transfers between your accounts" in text_of(web)
    link = TransferLink.objects.get()
    web.post(f"/portfolio/reconcile/transfers/{link.pk}/", {"do": "confirm"})
    link.refresh_from_db()
    assert link.state == "confirmed"
    web.post(f"/portfolio/reconcile/transfers/{link.pk}/", {"do": "reject"})
    assert "Transfers between your accounts" not in text_of(web)


def test_the_page_costs_the_same_for_one_difference_as_for_many(web, person, account, django_assert_num_queries):
    report(account, "11")
    web.get(PAGE)  # the first visit also reads what is kept for the next
    with CaptureQueriesContext(connection) as few:
        web.get(PAGE)
    others = [a_position(AAPL, "12"), a_position(BND, "7")]
    for number in range(4):
        more = an_account(a_connection(person, label=f"Schwab {number}"))
        book(account=more, records=[a_record("b")], source=Source.API, run_id=None)
        record_holdings(account=more, holdings=some_holdings(*others), run_id=None)
        compare(more)
    with django_assert_num_queries(len(few)):
        web.get(PAGE)
    assert Break.objects.live().count() >= 10


def test_exports_hold_every_difference(web, account):
    report(account, "11", "495.05")
    rows = list(csv.DictReader(io.StringIO(web.get("/portfolio/reconcile.csv").getvalue().decode("utf-8-sig"))))
    assert {(row["what"], row["difference"]) for row in rows} == {("AAPL", "1"), ("cash", "-4.95")}
    told = json.loads(web.get("/portfolio/reconcile.json").getvalue())
    assert [row["cause"] for row in told] == [row["cause"] for row in rows]


def test_what_changes_the_books_is_compared_by_the_worker(account):
    report(account)
    request([account.pk])
    book(account=account, records=[a_record("c", traded_on=date(2026, 3, 9))], source=Source.API, run_id=None)
    assert reconcile_due() == 1
    assert Break.objects.live().count() == 2
    assert reconcile_due() == 0


# --- The API ----------------------------------------------------------------------------------------------------------
def test_the_api_tells_causes_and_carries_out_a_fix(token_client, person, account):
    report(account, "10", "495.05")
    api = token_client(person)
    [told] = api.get(API).json()["results"]
    assert (told["difference"], told["currency"], told["is_alarm"]) == ("-4.95", "USD", True)
    place = next(n for n, fix in enumerate(told["findings"][0]["fixes"]) if fix["action"] == "book")
    stale = api.post(f"{API}/{told['id']}/fix", {"fix": place, "fingerprint": "0" * 64}, format="json")
    assert (stale.status_code, stale.json()["code"]) == (409, "conflict")
    wish = {"fix": place, "fingerprint": told["fingerprint"]}
    mended = api.post(f"{API}/{told['id']}/fix", wish, format="json")
    assert mended.json()["state"] == "resolved"
    assert api.get(API).json()["results"] == []
    [state] = api.get(f"{API}/accounts").json()["results"]
    assert (state["alarms"], state["items"], state["is_due"]) == (0, 2, False)
    [correction] = api.get(f"{API}/corrections").json()["results"]
    assert api.post(f"{API}/corrections/{correction['id']}/undo").json()["undone_at"]
    assert api.post(f"{API}/corrections/{correction['id']}/undo").status_code == 409
    [again] = api.get(API).json()["results"]
    assert again["difference"] == "-4.95"


def test_the_api_ignores_and_heeds(token_client, person, account):
    report(account, "10", "495.05")
    api = token_client(person)
    [told] = api.get(API).json()["results"]
    assert api.post(f"{API}/{told['id']}/ignore", {"why": "Known"}, format="json").json()["ignored_why"] == "Known"
    assert [row["is_alarm"] for row in api.get(f"{API}?state=ignored").json()["results"]] == [False]
    assert api.post(f"{API}/{told['id']}/heed").json()["state"] == "open"
    assert api.get(f"{API}?cause=tax").json()["results"] == []


def test_reading_does_not_suffice_for_a_fix(token_client, person, account):
    report(account, "10", "495.05")
    found = Break.objects.live().get()
    answer = token_client(person, Scope.PORTFOLIO_READ).post(f"{API}/{found.pk}/fix", {})
    assert answer.status_code == 403
