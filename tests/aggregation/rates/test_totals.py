"""Everything in the person's own currency: what it comes to, by which rates, and what could not be counted."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from aggregation.account_aggregator import portfolio
from aggregation.ledger import record_holdings
from aggregation.models import ReferenceRate
from aggregation.rates.totals import total
from connections.brokers.records import AssetClass, Broker, InstrumentRecord
from tests.aggregation.factories import AAPL, a_balance, a_connection, a_position, a_user, an_account, some_holdings

pytestmark = pytest.mark.django_db

SAP = InstrumentRecord(asset_class=AssetClass.EQUITY, symbol="SAP", currency="EUR", name="SAP SE")


def published(days_ago: int = 0, **rates: str) -> None:
    on = timezone.now().date() - timedelta(days=days_ago)
    for currency, rate in rates.items():
        ReferenceRate.objects.create(currency=currency, on=on, per_euro=Decimal(rate), read_at=timezone.now())


def hold(account, *positions, **fields):
    record_holdings(account=account, holdings=some_holdings(*positions, as_of=timezone.now(), **fields), run_id=None)


def euros(value: str = "1000", **fields):
    return a_balance(currency="EUR", cash=Decimal(value), net_asset_value=Decimal(value), **fields)


@pytest.fixture
def user(client):
    user = a_user()
    client.force_login(user)
    return user


def page(client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def test_two_currencies_come_to_one_total_in_ones_own(user):
    published(USD="1.25")
    hold(an_account(a_connection(user)), a_position())
    hold(an_account(a_connection(user)), a_position(SAP, currency="EUR", day_change=Decimal(-10)), balances=(euros(),))
    whole = total(portfolio(user), "USD")
    assert (whole.net_asset_value, whole.cash) == (2500 + 1250, 500 + 1250)
    assert whole.day_change == Decimal("12.50") - Decimal("12.50")
    assert [(one.quote.currency, one.amount, one.converted, one.quote.source) for one in whole.used] == [
        ("EUR", 1000, 1250, "ecb")
    ]
    assert whole.missing == []
    assert total(portfolio(user), "EUR").net_asset_value == 3000


def test_a_currency_without_a_rate_is_left_out_and_named_with_its_amount(user):
    published(USD="1.25")
    account = an_account(a_connection(user))
    francs = a_balance(currency="CHF", cash=Decimal(70), net_asset_value=Decimal(70))
    hold(account, balances=(a_balance(), francs))
    whole = total(portfolio(user), "USD")
    assert whole.net_asset_value == 2500
    (gap,) = whole.missing
    assert (gap.account, gap.currency, gap.amount) == (account, "CHF", 70)
    assert "CHF" in gap.why


def test_what_a_broker_says_its_currencies_are_worth_comes_first(user):
    published(USD="1.25")
    abroad = an_account(a_connection(user, broker=Broker.IBKR), currency="EUR")
    dollars = a_balance(exchange_rate=Decimal("0.9"))
    hold(abroad, balances=(euros(exchange_rate=Decimal(1)), dollars))
    whole = total(portfolio(user), "EUR")
    assert whole.net_asset_value == 1000 + 2250
    assert whole.used[0].quote.source_label == "Interactive Brokers"


def test_an_account_of_one_currency_needs_no_rate_and_no_query(user, django_assert_num_queries):
    hold(an_account(a_connection(user)), a_position())
    whole = portfolio(user)
    with django_assert_num_queries(0):
        assert total(whole, "USD").net_asset_value == 2500


def test_nothing_reported_is_no_total(user):
    an_account(a_connection(user))
    assert total(portfolio(user), "USD").net_asset_value is None


@pytest.mark.parametrize("url", ["/", "/portfolio/"])
def test_pages_say_the_rate_its_source_and_its_day_and_what_is_not_counted(client, user, url):
    published(USD="1.25")
    hold(
        an_account(a_connection(user)),
        a_position(),
        balances=(a_balance(), euros(), a_balance(currency="CHF", net_asset_value=Decimal(70))),
    )
    text = page(client, url)
    today = timezone.now().date()
    assert "3,750.00 USD" in text
    assert f"EUR 1,000.00 EUR 1.25 1,250.00 USD European Central Bank {today.day} {today:%b %Y}" in text
    assert "Not counted Individual ...4321 , 70.00 CHF : There is no reference rate for CHF." in text
    assert (
        f'title="1 EUR = 1.25 USD (European Central Bank, {today.day} {today:%b %Y})"'
        in client.get(url).content.decode()
    )


def test_an_old_rate_says_that_it_is_old(client, user):
    published(12, USD="1.25")
    hold(an_account(a_connection(user)), balances=(euros(),))
    assert "Older than it should be" in page(client, "/")


def test_the_currency_is_chosen_for_one_look_by_the_address_and_for_good_by_the_switch(client, user):
    published(USD="1.25", GBP="0.80")
    hold(an_account(a_connection(user)), a_position())
    assert "1,600.00 GBP" in page(client, "/portfolio/?currency=gbp")
    assert "2,500.00 USD" in page(client, "/portfolio/")
    answer = client.post("/preferences/currency", {"currency": "GBP", "next": "/portfolio/"})
    assert (answer.status_code, answer["Location"]) == (302, "/portfolio/")
    assert "1,600.00 GBP" in page(client, "/portfolio/")
    assert "1,600.00 GBP" in page(client, "/portfolio/?currency=XXX")


@pytest.mark.parametrize("chosen", ["XAU", "", "usd"])
def test_a_currency_without_rates_cannot_be_chosen(client, user, chosen):
    assert client.post("/preferences/currency", {"currency": chosen}).status_code == 400
    user.refresh_from_db()
    assert user.currency == "USD"


def test_fifty_accounts_in_two_currencies_cost_the_queries_of_one(client, user):
    published(USD="1.25")
    login = a_connection(user)
    hold(an_account(login), a_position(AAPL), balances=(a_balance(), euros()))
    client.get("/portfolio/")
    with CaptureQueriesContext(database) as one:
        client.get("/portfolio/")
    for _ in range(20):
        hold(an_account(login), a_position(AAPL), balances=(a_balance(), euros()))
    with CaptureQueriesContext(database) as many:
        client.get("/portfolio/")
    assert len(many) == len(one)
