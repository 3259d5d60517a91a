"""Positions for programs: as they are, in another currency, put together, and on a day gone by."""

from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from aggregation.ledger import book, record_holdings
from aggregation.models import BalancePoint, PointBasis, PositionPoint, ReferenceRate, Source
from aggregation.rates.models import RatePublisher
from connections.brokers.records import AssetClass, Broker, InstrumentRecord
from tests.aggregation.factories import (
    AAPL,
    BND,
    CALL,
    a_balance,
    a_connection,
    a_position,
    a_record,
    a_user,
    an_account,
    some_holdings,
)

pytestmark = pytest.mark.django_db
URL = "/api/v1/brokers/positions"
SAP = InstrumentRecord(asset_class=AssetClass.EQUITY, symbol="SAP", currency="EUR", isin="DE0007164600")


@pytest.fixture
def account(caller):
    return an_account(a_connection(caller))


@pytest.fixture
def rates():
    today = timezone.now().date()
    for on in (today, date(2026, 6, 30)):
        ReferenceRate.objects.create(
            publisher=RatePublisher.ECB, currency="USD", on=on, per_euro=Decimal("1.25"), read_at=timezone.now()
        )


def hold(account, *positions, **fields):
    fields.setdefault("as_of", timezone.now())
    record_holdings(account=account, holdings=some_holdings(*positions, **fields), run_id=None)


def results(api, query: str = ""):
    answer = api.get(f"{URL}{query}")
    assert answer.status_code == 200, answer.content
    return answer.json()["results"]


def test_a_row_says_its_cost_in_all_beside_that_of_a_unit(api, account):
    hold(account, a_position(CALL, "-2", average_cost=Decimal("5.50"), market_value=Decimal(-800)))
    [row] = results(api)
    assert (row["average_cost"], row["cost"], row["unrealised_gain"], row["converted"]) == ("5.5", "-1100", "300", None)


def test_amounts_are_told_in_another_currency_with_the_rate_or_the_reason_why_not(api, account, rates):
    hold(account, a_position(), a_position(SAP, currency="EUR", market_value=Decimal(1000), average_cost=None))
    rows = {row["instrument"]["symbol"]: row["converted"] for row in results(api, "?currency=EUR")}
    assert (rows["AAPL"]["market_value"], rows["AAPL"]["rate"], rows["AAPL"]["rate_source"]) == ("1600", "0.8", "ecb")
    assert (rows["SAP"]["market_value"], rows["SAP"]["rate_source"]) == ("1000", None)
    assert rows["SAP"]["unrealised_gain"] is None
    unknown = results(api, "?currency=ISK")[0]["converted"]
    assert (unknown["market_value"], unknown["rate"]) == (None, None)
    assert "ISK" in unknown["why"]


def test_put_together_over_accounts_with_the_accounts_that_hold_it(api, account):
    other = an_account(a_connection(account.connection.user, broker=Broker.ROBINHOOD))
    hold(account, a_position(quantity="10", average_cost=Decimal(100)))
    hold(other, a_position(quantity="30", average_cost=Decimal(200)))
    groups = {group["label"]: group for group in results(api, "?group_by=instrument")}
    [aapl] = groups["AAPL"]["positions"]
    assert (aapl["quantity"], aapl["average_cost"], aapl["cost"], aapl["market_value"]) == ("40", "175", "7000", "8000")
    assert [part["account"]["id"] for part in aapl["accounts"]] == [account.pk, other.pk]
    assert groups["Cash in USD"]["positions"][0]["instrument"] is None
    assert sum(Decimal(group["weight"]) for group in groups.values()) == 1


@pytest.mark.parametrize(
    ("group_by", "labels"),
    [
        ("asset_class", {"Stock", "ETF", "Cash"}),
        ("currency", {"USD"}),
        ("broker", {"Charles Schwab", "Robinhood"}),
        ("account", {"Individual ...4321", "Crypto ...4321"}),
        ("underlying", {"Without options"}),
    ],
)
def test_groups_add_up_to_the_same_however_they_are_made(api, account, group_by, labels):
    other = an_account(a_connection(account.connection.user, broker=Broker.ROBINHOOD), name="Crypto")
    hold(account, a_position())
    hold(other, a_position(BND, "5"))
    groups = results(api, f"?group_by={group_by}")
    assert {group["label"] for group in groups} == labels
    assert sum(Decimal(group["market_value"]) for group in groups) == 4000
    one = results(api, f"?group_by={group_by}&broker=robinhood")
    assert sum(Decimal(group["market_value"]) for group in one) == 1500
    assert results(api, f"?group_by={group_by}&account={other.pk}") != groups


def test_a_day_gone_by_is_told_from_what_was_kept_of_it(api, account, rates):
    hold(account, a_position())
    on = date(2026, 6, 30)
    instrument = account.positions.get().instrument
    PositionPoint.objects.create(
        account=account, instrument=instrument, on=on, quantity=7, price=150, value=1050, currency="USD"
    )
    BalancePoint.objects.create(
        account=account,
        on=on,
        currency="USD",
        cash=50,
        net_asset_value=1100,
        basis=PointBasis.OBSERVED,
        as_of=datetime(2026, 6, 30, 21, tzinfo=ZoneInfo("UTC")),
    )
    [row] = results(api, "?as_of=2026-06-30&currency=EUR")
    assert (row["id"], row["quantity"], row["market_value"], row["average_cost"]) == (None, "7", "1050", None)
    assert (row["converted"]["market_value"], row["converted"]["rate_on"]) == ("840", "2026-06-30")
    groups = results(api, "?as_of=2026-06-30&group_by=asset_class")
    assert [(group["label"], group["market_value"]) for group in groups] == [("Stock", "1050"), ("Cash", "50")]


def test_a_day_nobody_kept_is_rebuilt_from_the_transactions(api, account):
    book(
        account=account,
        records=[a_record("1", traded_on=date(2026, 3, 2)), a_record("2", traded_on=date(2026, 8, 3))],
        source=Source.API,
        run_id=None,
    )
    hold(account, a_position(AAPL, "20"))
    [row] = results(api, "?as_of=2026-06-30")
    assert (row["instrument"]["symbol"], row["quantity"]) == ("AAPL", "10")
    assert results(api, "?as_of=2020-01-01") == []


@pytest.mark.parametrize("query", ["as_of=soon", "as_of=2999-01-01", "group_by=mood", "currency=dollars", "account=0"])
def test_what_cannot_be_asked_is_refused_in_words(api, account, query):
    answer = api.get(f"{URL}?{query}")
    assert (answer.status_code, answer.json()["attr"]) == (400, query.split("=")[0])


def test_today_has_no_evening_yet_where_the_person_lives(api, account):
    today = timezone.now().astimezone(ZoneInfo(account.connection.user.timezone)).date()
    assert api.get(f"{URL}?as_of={today}").status_code == 400


@pytest.mark.parametrize("query", ["?group_by=asset_class", "?as_of=2026-06-30", "?currency=EUR"])
def test_a_stranger_finds_nothing_and_one_account_costs_what_ten_cost(api, account, token_client, rates, query):
    counted = []
    for more in (0, 4):
        for _ in range(more):
            hold(an_account(account.connection), a_position(), a_position(BND))
        hold(account, a_position(), balances=(a_balance(),))
        api.get(f"{URL}{query}")
        with CaptureQueriesContext(connection) as queries:
            results(api, query)
        counted.append(len(queries))
    assert counted[0] == counted[1]
    assert results(token_client(a_user()), query) == []
    assert token_client(a_user()).get(f"{URL}{query}&account={account.pk}").status_code == 400
