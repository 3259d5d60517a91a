"""The monthly statement, as page, file and by API."""

import csv
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from aggregation.ledger import book
from aggregation.models import BalancePoint, DailyPrice, Instrument, PointBasis, ReferenceRate, ReportedValue, Source
from aggregation.reconciliation.statements import of_month
from connections.brokers.records import TransactionKind as Kind
from tests.aggregation.factories import AAPL, a_connection, a_record, a_user, an_account

MARCH = date(2026, 3, 1)


@pytest.fixture
def account(person):
    """1,000 paid in in February, ten shares bought for 100 each in March and worth 112 at its end, and a dividend."""
    account = an_account(a_connection(person))
    rows = [
        a_record("d", kind=Kind.DEPOSIT, traded_on=date(2026, 2, 10), instrument=None, quantity=None,
                 net_amount=Decimal(1500)),
        a_record("b", traded_on=date(2026, 3, 4), quantity=Decimal(10), price=Decimal(100), fees=Decimal("1.50"),
                 gross_amount=Decimal(-1000), net_amount=Decimal("-1001.50")),
        a_record("i", kind=Kind.DIVIDEND, traded_on=date(2026, 3, 20), quantity=None, price=None,
                 taxes=Decimal("1.20"), net_amount=Decimal("6.80")),
        a_record("w", kind=Kind.WITHDRAWAL, traded_on=date(2026, 3, 25), instrument=None, quantity=None,
                 net_amount=Decimal(-200)),
    ]  # fmt: skip
    book(account=account, records=rows, source=Source.API, run_id=None)
    return account


def close(account, on, price):
    thing = Instrument.objects.get(symbol=AAPL.symbol)
    DailyPrice.objects.create(
        user=account.connection.user, instrument=thing, on=on, close=Decimal(price), currency="USD", source="schwab"
    )


def test_each_part_is_stated_and_together_they_are_the_end(web, account):
    close(account, date(2026, 3, 31), "112")
    text = " ".join(web.get(f"/portfolio/reconcile/statements/{account.pk}/?month=2026-03").content.decode().split())
    assert "Statement for March 2026" in text
    rows = web.get(f"/portfolio/reconcile/statements/{account.pk}.csv?month=2026-03").getvalue().decode("utf-8-sig")
    told = {row["part"]: Decimal(row["amount"]) for row in csv.DictReader(io.StringIO(rows))}
    wanted = {"start": "1500", "external": "-200", "income": "8", "price_gain": "120", "fees": "-1.5", "taxes": "-1.2"}
    assert told == {**{part: Decimal(amount) for part, amount in wanted.items()}, "end": Decimal("1425.3")}
    assert sum(amount for part, amount in told.items() if part != "end") == told["end"]


def test_a_position_without_a_price_is_left_out_and_named(web, account):
    page = " ".join(web.get(f"/portfolio/reconcile/statements/{account.pk}/?month=2026-03").content.decode().split())
    assert "1 position left out" in page
    [usd] = of_month(account, MARCH).currencies
    assert (usd.end, usd.unvalued, usd.price_gain, usd.apart) == (Decimal("305.30"), Decimal(-1000), 0, 0)


def test_two_currencies_are_stated_each_and_together(account):
    close(account, date(2026, 3, 31), "112")
    for on, rate in ((date(2026, 2, 27), "1.10"), (date(2026, 3, 10), "1.15"), (date(2026, 3, 31), "1.20")):
        ReferenceRate.objects.create(currency="USD", on=on, per_euro=Decimal(rate), read_at=datetime.now(UTC))
    for on in (date(2026, 3, 4), date(2026, 3, 20), date(2026, 3, 25)):
        ReferenceRate.objects.create(currency="USD", on=on, per_euro=Decimal("1.15"), read_at=datetime.now(UTC))
    euros = a_record("e", kind=Kind.DEPOSIT, traded_on=date(2026, 3, 10), instrument=None, quantity=None,
                     net_amount=Decimal(100), currency="EUR")  # fmt: skip
    book(account=account, records=[euros], source=Source.API, run_id=None)
    made = of_month(account, MARCH)
    assert [each.currency for each in made.currencies] == ["EUR", "USD"]
    assert made.whole is not None
    assert (made.whole.external, made.whole.fx_gain, made.whole.apart) == (Decimal(-85), Decimal(5), 0)
    assert made.whole.end == Decimal("1425.30") + 120


def test_a_statement_costs_the_same_for_many_rows_as_for_few(account, django_assert_num_queries):
    close(account, date(2026, 3, 31), "112")
    with django_assert_num_queries(10):
        of_month(account, MARCH)
    more = [
        a_record(f"m{number}", traded_on=date(2026, 3, 5), quantity=Decimal(1), price=Decimal(100),
                 net_amount=Decimal(-100))
        for number in range(30)
    ]  # fmt: skip
    book(account=account, records=more, source=Source.API, run_id=None)
    with django_assert_num_queries(10):
        assert not of_month(account, MARCH).unvalued


@pytest.mark.parametrize("month", ["2026-13", "x", "2999-01", "1900-01"])
def test_a_month_there_is_none_of_is_not_there(web, account, month):
    assert web.get(f"/portfolio/reconcile/statements/{account.pk}/?month={month}").status_code == 404


def test_the_api_states_the_same(token_client, person, account):
    close(account, date(2026, 3, 31), "112")
    api = token_client(person)
    told = api.get(f"/api/v1/brokers/reconciliation/statements/{account.pk}?month=2026-03").json()
    [usd] = told["currencies"]
    assert (usd["end"], usd["price_gain"], usd["apart"], told["whole"]) == ("1425.3", "120", "0", None)
    assert usd["reported"] is None  # the broker has said nothing of that day
    assert token_client(a_user()).get(f"/api/v1/brokers/reconciliation/statements/{account.pk}").status_code == 404


def test_the_brokers_own_figure_stands_beside_that_of_the_books(token_client, web, person, account):
    """Of each currency by its report of the last day, of all together by what it says of days gone by."""
    close(account, date(2026, 3, 31), "112")
    last: Any = {"on": date(2026, 3, 31), "net_asset_value": Decimal("1425.31")}
    euros = a_record("e", kind=Kind.DEPOSIT, traded_on=date(2026, 3, 10), instrument=None, quantity=None,
                     net_amount=Decimal(100), currency="EUR")  # fmt: skip
    book(account=account, records=[euros], source=Source.API, run_id=None)
    for on in (date(2026, 2, 28), *(date(2026, 3, day) for day in (4, 10, 20, 25, 31))):
        ReferenceRate.objects.create(currency="USD", on=on, per_euro=Decimal("1.20"), read_at=datetime.now(UTC))
    BalancePoint.objects.create(account=account, currency="USD", basis=PointBasis.OBSERVED, as_of=datetime.now(UTC),
                                **last)  # fmt: skip
    ReportedValue.objects.create(account=account, on=last["on"], currency="USD", net_asset_value=Decimal("1545.30"),
                                 told_at=datetime.now(UTC))  # fmt: skip
    told = token_client(person).get(f"/api/v1/brokers/reconciliation/statements/{account.pk}?month=2026-03").json()
    assert [(each["currency"], each["end"], each["reported"]) for each in told["currencies"]] == [
        ("EUR", "100", None),
        ("USD", "1425.3", "1425.31"),
    ]
    assert (told["whole"]["end"], told["whole"]["reported"]) == ("1545.3", "1545.3")
    rows = web.get(f"/portfolio/reconcile/statements/{account.pk}.json?month=2026-03").getvalue()
    said = [(row["scope"], row["amount"]) for row in json.loads(rows) if row["part"] == "reported"]
    assert said == [("all currencies", "1545.3"), ("USD", "1425.31")]
