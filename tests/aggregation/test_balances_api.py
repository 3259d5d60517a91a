"""Accounts and balances for programs, now and on a day gone by, in their own currency and in another."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from aggregation.ledger import record_holdings
from aggregation.manual import keeping
from aggregation.models import BalancePoint, PointBasis, ReferenceRate
from connections.brokers.records import Broker
from tests.aggregation.factories import a_balance, a_connection, an_account, some_holdings

pytestmark = pytest.mark.django_db
FRIDAY = date(2026, 3, 6)


@pytest.fixture
def api(token_client, caller):
    return token_client(caller)


@pytest.fixture
def account(caller):
    account = an_account(a_connection(caller))
    hold(account, a_balance(), a_balance(currency="EUR", cash=Decimal(100), net_asset_value=Decimal(100)))
    return account


def hold(account, *balances):
    record_holdings(account=account, holdings=some_holdings(as_of=timezone.now(), balances=balances), run_id=None)


def published(on: date | None = None, **rates: str) -> None:
    on = on or timezone.now().date()
    for currency, rate in rates.items():
        ReferenceRate.objects.create(currency=currency, on=on, per_euro=Decimal(rate), read_at=timezone.now())


def a_point(account, on: date, currency: str, value: str, basis=PointBasis.REBUILT) -> None:
    amount = Decimal(value)
    BalancePoint.objects.create(
        account=account, on=on, currency=currency, cash=amount / 2, net_asset_value=amount, basis=basis,
        as_of=datetime(2026, 3, 6, 22, tzinfo=UTC),
    )  # fmt: skip


def rows(api, path: str):
    answer = api.get(f"/api/v1/brokers/{path}")
    assert answer.status_code == 200, answer.json()
    return answer.json()["results"]


def test_balances_are_told_in_another_currency_with_the_rate_its_source_and_its_day(api, account):
    published(USD="1.25")
    dollars, euros = sorted(rows(api, "balances?currency=EUR"), key=lambda row: row["currency"], reverse=True)
    today = timezone.now().date().isoformat()
    assert dollars["converted"] == {
        "currency": "EUR",
        "cash": "400",
        "market_value": "1600",
        "net_asset_value": "2000",
        "rate": "0.8",
        "rate_source": "ecb",
        "rate_on": today,
        "rate_late_days": 0,
        "why": None,
    }
    assert (euros["converted"]["rate"], euros["converted"]["rate_source"]) == ("1", None)
    assert (dollars["on"], dollars["basis"]) == (None, "observed")
    assert {row["converted"] for row in rows(api, "balances")} == {None}


def test_without_a_rate_the_amounts_are_null_and_say_why(api, account):
    found = {row["currency"]: row["converted"] for row in rows(api, "balances?currency=GBP")}
    assert found["USD"]["net_asset_value"] is found["USD"]["rate"] is None
    assert found["USD"]["why"] == "There is no reference rate for USD."


def test_a_brokers_own_rate_comes_first(api, caller):
    published(USD="1.25")
    abroad = an_account(a_connection(caller, broker=Broker.IBKR), currency="EUR")
    hold(abroad, a_balance(exchange_rate=Decimal("0.9")))
    (row,) = rows(api, f"balances?currency=EUR&account={abroad.pk}")
    assert (row["converted"]["rate"], row["converted"]["rate_source"]) == ("0.9", "ibkr")


def test_an_account_says_what_it_comes_to_and_what_is_not_in_it(api, account):
    published(USD="1.25")
    (row,) = rows(api, "accounts?currency=USD")
    assert row["total"] == {"currency": "USD", "cash": "625", "net_asset_value": "2625", "not_counted": []}
    (row,) = rows(api, "accounts?currency=GBP")
    assert [gap["currency"] for gap in row["total"]["not_counted"]] == ["EUR", "USD"]
    assert row["total"]["net_asset_value"] is None
    (row,) = rows(api, f"accounts?account={account.pk}")
    assert (row["total"], row["kept_by"]) == (None, "broker")


def test_an_account_kept_by_hand_says_so(api, caller):
    pension = keeping.open_account(user=caller, name="Pension", institution="", currency="USD", kind="cash")
    assert [row["kept_by"] for row in rows(api, "accounts")] == ["file"]
    keeping.set_cash(pension, currency="USD", amount=Decimal(5))
    assert [row["kept_by"] for row in rows(api, "accounts")] == ["hand"]


def test_a_day_gone_by_is_told_from_the_daily_values_at_the_rates_of_that_day(api, account):
    published(FRIDAY, USD="1.10")
    published(USD="1.25")
    a_point(account, FRIDAY, "USD", "1100")
    a_point(account, FRIDAY - timedelta(days=1), "USD", "900")
    a_point(account, FRIDAY - timedelta(days=2), "EUR", "50", PointBasis.OBSERVED)
    a_point(account, FRIDAY - timedelta(days=9), "CHF", "7")
    found = {row["currency"]: row for row in rows(api, f"balances?as_of={FRIDAY}&currency=EUR")}
    assert found.keys() == {"USD", "EUR"}
    assert (found["USD"]["net_asset_value"], found["USD"]["market_value"], found["USD"]["basis"]) == (
        "1100",
        "550",
        "rebuilt",
    )
    assert (found["USD"]["converted"]["net_asset_value"], found["USD"]["converted"]["rate_on"]) == (
        "1000",
        "2026-03-06",
    )
    assert (found["USD"]["on"], found["EUR"]["on"]) == ("2026-03-06", "2026-03-04")
    assert found["USD"]["settled_cash"] is None
    (row,) = rows(api, f"accounts?as_of={FRIDAY + timedelta(days=1)}&currency=EUR")
    assert row["total"]["net_asset_value"] == "1050"
    assert [balance["net_asset_value"] for balance in row["balances"]] == ["50", "1100"]
    assert rows(api, "balances?as_of=2020-01-01") == []


@pytest.mark.parametrize(
    ("query", "attr"),
    [
        ("currency=XXX", "currency"),
        ("currency=usd", "currency"),
        ("as_of=yesterday", "as_of"),
        ("as_of=2999-01-01", "as_of"),
    ],
)
@pytest.mark.parametrize("path", ["accounts", "balances"])
def test_what_cannot_be_asked_is_refused_by_name(api, account, path, query, attr):
    answer = api.get(f"/api/v1/brokers/{path}?{query}")
    assert (answer.status_code, answer.json()["attr"]) == (400, attr)


@pytest.mark.parametrize("path", ["accounts?currency=GBP&as_of=2026-03-06", "balances?currency=GBP&as_of=2026-03-06"])
def test_any_number_of_accounts_costs_the_same_queries(api, account, path):
    a_point(account, FRIDAY, "USD", "1")
    counted = []
    for more in (0, 12):
        for _ in range(more):
            another = an_account(account.connection)
            hold(another, a_balance())
            a_point(another, FRIDAY, "USD", "1")
        rows(api, path)
        with CaptureQueriesContext(connection) as queries:
            found = rows(api, path)
        counted.append((len(queries), len(found)))
    assert counted[0][0] == counted[1][0]
    assert counted[1][1] == counted[0][1] + 12
