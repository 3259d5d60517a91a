"""Realised gains and income: the pages, their files and the API tell the same."""

import csv
import json
from datetime import UTC, date, datetime
from decimal import Decimal as D

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from aggregation.ledger import book
from aggregation.models import Source
from aggregation.rates.models import RatePublisher, ReferenceRate
from connections.brokers.records import AssetClass, InstrumentRecord
from connections.brokers.records import TransactionKind as Kind
from tests.aggregation.factories import a_connection, a_user, an_account
from tests.aggregation.lots.test_reading import KO, told

pytestmark = pytest.mark.django_db
AT = datetime(2026, 11, 20, 15, tzinfo=UTC)
SAP = InstrumentRecord(asset_class=AssetClass.EQUITY, symbol="SAP", currency="EUR")


@pytest.fixture
def user(client):
    user = a_user()
    client.force_login(user)
    return user


@pytest.fixture
def account(user):
    """Two sales in dollars, one in euros, one of shares nobody knows the cost of; dividends, interest, tax."""
    account = an_account(a_connection(user), currency="USD")
    rows = [
        told(Kind.BUY, "2023-03-01", 10, -500),
        told(Kind.SELL, "2024-06-03", -4, 320),
        told(Kind.SELL, "2025-06-03", -6, 240),
        told(Kind.BUY, "2024-01-02", 10, -1000, SAP, currency="EUR"),
        told(Kind.SELL, "2024-07-01", -10, 1500, SAP, currency="EUR"),
        told(Kind.TRANSFER_IN, "2024-02-01", 7, 0, InstrumentRecord(asset_class=AssetClass.EQUITY, symbol="PFE")),
        told(Kind.SELL, "2025-02-03", -7, 210, InstrumentRecord(asset_class=AssetClass.EQUITY, symbol="PFE")),
        told(Kind.DIVIDEND, "2024-04-01", None, 12),
        told(Kind.TAX, "2024-04-01", None, -3, subtype="withholding"),
        told(Kind.DIVIDEND, "2025-04-01", None, 6),
        told(Kind.INTEREST, "2024-04-15", None, 2, None),
        told(Kind.INTEREST, "2024-06-15", None, -5, None, subtype="margin"),
        told(Kind.DIVIDEND, "2024-05-02", None, 20, SAP, currency="EUR"),
    ]
    book(account=account, records=rows, source=Source.API, run_id=None)
    rates = {date(2024, 1, 2): "1.10", date(2024, 7, 1): "1.20", date(2024, 5, 2): "1.05"}
    ReferenceRate.objects.bulk_create(
        ReferenceRate(publisher=RatePublisher.ECB, currency="USD", on=on, per_euro=D(rate), read_at=AT)
        for on, rate in rates.items()
    )
    return account


def rows_of(answer):
    return json.loads(b"".join(answer.streaming_content))


def test_each_amount_is_converted_at_the_rate_of_its_own_day(client, account, user, token_client):
    answer = token_client(user).get("/api/v1/brokers/gains").json()
    # 320 - 200 and 240 - 300 dollars; 1,500 euros at 1.20 less 1,000 at 1.10; the seven others are in no sum
    assert answer["total"] == {
        "currency": "USD", "proceeds": "2360", "basis": "1600", "gain": "760", "short_term": "700", "long_term": "60",
        "lots": 3, "unknown_lots": 1, "missing_rates": [],
    }  # fmt: skip
    assert [(each["year"], each["sum"]["gain"]) for each in answer["per_year"]] == [(2025, "-60"), (2024, "820")]
    assert [(row["instrument"]["symbol"], row["gain"], row["unknown_because"]) for row in answer["results"]] == [
        ("KO", "-60", ""), ("PFE", None, "transferred"), ("SAP", "500", ""), ("KO", "120", ""),
    ]  # fmt: skip


def test_without_a_rate_a_gain_is_in_no_sum_and_the_page_says_why(client, account, user, token_client):
    ReferenceRate.objects.all().delete()
    total = token_client(user).get("/api/v1/brokers/gains?year=2024").json()["total"]
    assert (total["gain"], total["unknown_lots"]) == ("120", 1)
    assert total["missing_rates"] == ["There is no reference rate for USD."]
    assert "There is no reference rate for USD." in client.get("/portfolio/gains/?year=2024").content.decode()


def test_the_page_lists_the_unknown_apart_and_says_what_to_do(client, account):
    page = client.get("/portfolio/gains/").content.decode()
    known, _, unknown = page.partition("Sold at an unknown gain")
    assert "not tax advice" in known
    assert "SAP" in known
    assert "Came from another account without its cost" in unknown
    assert "Connect the account it came from" in unknown


def test_the_method_changes_which_lots_go_and_not_what_was_paid(client, user, token_client):
    account = an_account(a_connection(user))
    rows = [
        told(Kind.BUY, "2023-03-01", 10, -500),
        told(Kind.BUY, "2023-04-03", 10, -900),
        told(Kind.SELL, "2024-06-03", -10, 1000),
    ]
    book(account=account, records=rows, source=Source.API, run_id=None)
    program = token_client(user)
    gains = {
        method: program.get(f"/api/v1/brokers/gains?method={method}").json()["total"]["gain"]
        for method in ("fifo", "lifo", "highest", "specific")
    }
    assert gains == {"fifo": "500", "lifo": "100", "highest": "100", "specific": "500"}
    (lot,) = program.get("/api/v1/brokers/lots?method=lifo").json()["results"]
    assert (lot["quantity"], lot["basis"], lot["basis_per_unit"], lot["opened_on"]) == ("10", "500", "50", "2023-03-01")


def test_income_by_month_instrument_and_account(account, user, token_client):
    answer = token_client(user).get("/api/v1/brokers/income?year=2024").json()
    assert answer["total"] == {
        "currency": "USD", "dividends": "33", "interest": "2", "interest_paid": "-5", "tax": "-3",
        "capital_returned": "0", "net": "27", "missing_rates": [],
    }  # fmt: skip
    assert [(each["month"], each["sum"]["net"]) for each in answer["per_month"]] == [
        ("2024-04", "11"), ("2024-05", "21"), ("2024-06", "-5"),
    ]  # fmt: skip
    named = {
        each["instrument"] and each["instrument"]["symbol"]: each["sum"]["net"] for each in answer["per_instrument"]
    }
    assert named == {"SAP": "21", "KO": "9", None: "-3"}
    in_euros = token_client(user).get("/api/v1/brokers/income?year=2024&currency=EUR").json()
    assert in_euros["total"]["currency"] == "EUR"


def test_months_without_a_payment_are_there_too(account, user, token_client):
    months = [each["month"] for each in token_client(user).get("/api/v1/brokers/income").json()["per_month"]]
    assert len(months) == 13
    assert months == sorted(months)


def test_the_income_page_draws_and_tells_the_same(client, account):
    page = client.get("/portfolio/income/?year=2024").content.decode()
    assert 'data-chart="income"' in page
    assert "Interest on cash" in page
    assert "After taxes and fees" in page


def test_files_hold_every_row(client, account):
    gains = rows_of(client.get("/portfolio/gains.json"))
    assert [row["gain"] for row in gains] == ["-60", None, "500", "120"]
    text = b"".join(client.get("/portfolio/gains.csv?year=2024").streaming_content).decode("utf-8-sig")
    assert [row["gain"] for row in csv.DictReader(text.splitlines())] == ["500", "120"]
    income = rows_of(client.get("/portfolio/income.json?year=2024"))
    assert {(row["what"], row["amount"], row["converted"]) for row in income} >= {("dividends", "20", "21")}
    assert rows_of(client.get("/portfolio/lots.json")) == []


@pytest.mark.parametrize(
    "query", ["method=best", "year=soon", "currency=XXX", "account=999999", "limit=0", "offset=-1"]
)
def test_what_cannot_be_understood_is_refused_by_name(user, token_client, query):
    answer = token_client(user).get(f"/api/v1/brokers/gains?{query}")
    assert answer.status_code == 400
    assert answer.json()["attr"] == query.partition("=")[0]


def test_a_page_asked_for_nonsense_shows_everything_and_says_so(client, account):
    page = client.get("/portfolio/gains/?currency=dollars").content.decode()
    assert "is not one of the available choices" in page
    assert "SAP" in page


def test_pages_of_lots_lead_on_and_back(user, token_client):
    account = an_account(a_connection(user))
    rows = [told(Kind.BUY, f"2023-03-{day:02}", day, -500) for day in range(1, 8)]
    book(account=account, records=rows, source=Source.API, run_id=None)
    program = token_client(user)
    first = program.get("/api/v1/brokers/lots?limit=5").json()
    second = program.get(first["next"]).json()
    assert [row["quantity"] for row in first["results"] + second["results"]] == [str(n) for n in range(1, 8)]
    assert (first["previous"], second["next"]) == (None, None)
    assert program.get(second["previous"]).json()["results"] == first["results"]


def test_nothing_of_others_is_shown(account, client, token_client):
    stranger = a_user()
    program = token_client(stranger)
    assert program.get("/api/v1/brokers/gains").json()["results"] == []
    assert program.get("/api/v1/brokers/income").json()["per_account"] == []
    assert program.get(f"/api/v1/brokers/lots?account={account.pk}").status_code == 400
    client.force_login(stranger)
    assert "No sales yet" in client.get("/portfolio/gains/").content.decode()
    assert "No income yet" in client.get("/portfolio/income/").content.decode()


@pytest.mark.parametrize("address", ["/portfolio/gains/", "/portfolio/income/", "/portfolio/gains/?method=specific"])
def test_more_rows_ask_no_more_queries(client, account, address):
    def queries():
        with CaptureQueriesContext(
            database,
        ) as asked:
            assert client.get(address).status_code == 200
        return len(asked)

    queries()  # what only the first page of a process asks
    few = queries()
    more = [told(Kind.SELL, f"2025-09-{day:02}", -1, 30, KO, subtype="short") for day in range(1, 29)]
    more += [told(Kind.DIVIDEND, f"2025-10-{day:02}", None, 3) for day in range(1, 29)]
    book(account=account, records=more, source=Source.API, run_id=None)
    assert queries() == few


@pytest.fixture
def sale(user):
    account = an_account(a_connection(user))
    rows = [
        told(Kind.BUY, "2023-03-01", 10, -500, id="old"),
        told(Kind.BUY, "2023-04-03", 10, -900, id="new"),
        told(Kind.SELL, "2024-06-03", -10, 1000, id="sale"),
    ]
    book(account=account, records=rows, source=Source.API, run_id=None)
    return account.transactions.get(external_id="sale")


def test_a_person_picks_the_lots_of_a_sale_and_the_choice_is_kept(client, sale, user, token_client):
    lot = sale.account.transactions.get(external_id="new")
    address = f"/portfolio/gains/{sale.pk}/lots/"
    assert f'name="lot-{lot.pk}"' in client.get(address).content.decode()
    answer = client.post(address, {f"lot-{lot.pk}": "6"}, follow=True)
    assert "Your choice of lots is kept." in answer.content.decode()
    program = token_client(user)
    assert program.get("/api/v1/brokers/gains?method=specific").json()["total"]["gain"] == "260"
    assert program.get("/api/v1/brokers/gains").json()["total"]["gain"] == "500"
    assert 'value="6"' in client.get(address).content.decode()
    client.post(address, {f"lot-{lot.pk}": ""})
    assert program.get("/api/v1/brokers/gains?method=specific").json()["total"]["gain"] == "500"


def test_a_pick_holds_when_the_broker_corrects_the_rows(client, sale, user, token_client):
    lot = sale.account.transactions.get(external_id="new")
    client.post(f"/portfolio/gains/{sale.pk}/lots/", {f"lot-{lot.pk}": "10"})
    corrected = [
        told(Kind.BUY, "2023-04-03", 10, -910, id="new"),
        told(Kind.SELL, "2024-06-03", -10, 1005, id="sale"),
    ]
    book(account=sale.account, records=corrected, source=Source.API, run_id=None)
    assert token_client(user).get("/api/v1/brokers/gains?method=specific").json()["total"]["gain"] == "95"


@pytest.mark.parametrize(("units", "why"), [("11", "There were not 11 units"), ("many", "many is not a number")])
def test_a_pick_that_cannot_be_is_refused_with_the_reason(client, sale, units, why):
    lot = sale.account.transactions.get(external_id="new")
    answer = client.post(f"/portfolio/gains/{sale.pk}/lots/", {f"lot-{lot.pk}": units})
    assert answer.status_code == 400
    assert why in answer.content.decode()


def test_nobody_picks_lots_of_others(client, sale):
    client.force_login(a_user())
    assert client.get(f"/portfolio/gains/{sale.pk}/lots/").status_code == 404
