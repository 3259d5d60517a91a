"""An amount in another currency: by which rate, of which day, and what is said when there is none."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from aggregation.models import ReferenceRate
from aggregation.rates.exchange import BrokerRates, Converted, Exchange, Gap

pytestmark = pytest.mark.django_db

FRIDAY, SUNDAY = date(2026, 11, 20), date(2026, 11, 22)


def published(on: date = FRIDAY, **rates: str) -> None:
    for currency, rate in rates.items():
        ReferenceRate.objects.create(
            currency=currency, on=on, per_euro=Decimal(rate), read_at=datetime(2026, 11, 20, 16, tzinfo=UTC)
        )


def convert(amount, currency, into, on=FRIDAY, **more):
    return Exchange.load([currency, into], last=on).convert(Decimal(amount), currency, into, on=on, **more)


@pytest.mark.parametrize(
    ("currency", "into", "amount"),
    [("EUR", "USD", "110"), ("USD", "EUR", "100"), ("USD", "GBP", "88"), ("GBP", "CHF", None)],
)
def test_rates_cross_over_the_euro(currency, into, amount):
    published(USD="1.10", GBP="0.88")
    found = convert(100 if currency == "EUR" else 110, currency, into)
    assert (found.amount if isinstance(found, Converted) else None) == (None if amount is None else Decimal(amount))


def test_an_amount_in_its_own_currency_is_itself_without_a_source():
    found = convert("12.34", "XYZ", "XYZ")
    assert isinstance(found, Converted)
    assert (found.amount, found.rate, found.source) == (Decimal("12.34"), 1, "")


def test_on_a_weekend_the_rates_of_friday_hold_and_are_not_late():
    published(USD="1.10")
    found = convert(1, "EUR", "USD", SUNDAY)
    assert isinstance(found, Converted)
    assert (found.rate_on, found.source, found.quote.late) == (FRIDAY, "ecb", 0)


def test_a_rate_that_is_older_than_it_should_be_says_by_how_much():
    published(date(2026, 11, 12), USD="1.10")
    found = convert(1, "EUR", "USD")
    assert isinstance(found, Converted)
    assert (found.rate_on, found.quote.late) == (date(2026, 11, 12), 8)


def test_a_rate_of_another_time_is_a_gap_that_names_the_currency():
    published(date(2026, 10, 1), USD="1.10")
    published(date(2026, 11, 23), USD="1.20")
    found = convert(1, "EUR", "USD")
    assert isinstance(found, Gap)
    assert "USD" in found.why


def test_the_past_is_told_at_the_rates_of_the_past_by_one_query(django_assert_num_queries):
    published(date(2026, 11, 18), USD="1.20", GBP="0.80")
    published(date(2026, 11, 19), USD="1.10", GBP="0.88")
    with django_assert_num_queries(1):
        exchange = Exchange.load(["USD", "GBP", "EUR"], first=date(2026, 11, 18), last=FRIDAY)
        found = [exchange.convert(Decimal(1), "GBP", "USD", on=date(2026, 11, day)) for day in (18, 19, 20)]
    assert [one.amount for one in found if isinstance(one, Converted)] == [
        Decimal("1.5"),
        Decimal("1.25"),
        Decimal("1.25"),
    ]


def test_both_halves_of_a_cross_rate_are_of_the_same_day():
    published(date(2026, 11, 19), USD="1.20", GBP="0.80")
    published(FRIDAY, USD="1.10")
    found = convert(1, "GBP", "USD")
    assert isinstance(found, Converted)
    assert (found.rate, found.rate_on, found.quote.late) == (Decimal("1.5"), date(2026, 11, 19), 1)


def test_a_brokers_own_rates_come_first_and_reach_all_currencies_it_tells():
    published(USD="1.10", GBP="0.88")
    told = BrokerRates("ibkr", "EUR", FRIDAY, {"USD": Decimal("0.9"), "GBP": Decimal("1.15")})
    for currency, into, rate in [("GBP", "EUR", "1.15"), ("EUR", "USD", None), ("GBP", "USD", None)]:
        found = convert(1, currency, into, broker=told)
        assert isinstance(found, Converted)
        assert found.source == "ibkr"
        assert rate is None or found.rate == Decimal(rate)
    elsewhere = convert(1, "GBP", "CHF", broker=told)
    assert isinstance(elsewhere, Gap)


def test_a_brokers_rate_of_long_ago_gives_way_to_the_reference_rate():
    published(USD="1.10")
    told = BrokerRates("ibkr", "EUR", date(2026, 11, 2), {"USD": Decimal("0.9")})
    found = convert(11, "USD", "EUR", broker=told)
    assert isinstance(found, Converted)
    assert (found.source, found.amount) == ("ecb", 10)
