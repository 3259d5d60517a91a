"""By how much a split has multiplied units, however a person's brokers tell it."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from aggregation.history.prices import splits_of
from aggregation.ledger import book
from aggregation.models import Instrument, Source
from brokerhub.kernel.models import User
from connections.brokers.records import TransactionKind as Kind
from tests.aggregation.factories import a_connection, a_record, an_account

pytestmark = pytest.mark.django_db
THE_EVENING_BEFORE, THE_DAY = date(2024, 6, 7), date(2024, 6, 10)


def told(user: User, *rows: tuple[Kind, date, int]) -> None:
    """An account of its own, with these rows: kind, day, units."""
    nothing: dict[str, Any] = {"price": None, "gross_amount": None, "net_amount": Decimal(0)}
    records = [
        a_record(
            f"{number}", kind=kind, traded_on=on, quantity=Decimal(units), **(nothing if kind is Kind.SPLIT else {})
        )
        for number, (kind, on, units) in enumerate(rows)
    ]
    book(account=an_account(a_connection(user)), records=records, source=Source.API, run_id=None)


def ratios(user: User) -> dict[date, Decimal]:
    return splits_of(Instrument.objects.get(symbol="AAPL"), user.pk)


def test_a_split_that_two_brokers_date_differently_counts_once_on_the_day_it_trades_anew(person: User) -> None:
    told(person, (Kind.BUY, date(2024, 1, 3), 10), (Kind.SPLIT, THE_EVENING_BEFORE, 90))
    told(person, (Kind.BUY, date(2024, 1, 3), 7), (Kind.SPLIT, THE_DAY, 63))
    assert ratios(person) == {THE_DAY: 10}


def test_two_splits_in_a_row_count_both(person: User) -> None:
    told(person, (Kind.BUY, date(2024, 1, 3), 10), (Kind.SPLIT, date(2024, 2, 1), 10), (Kind.SPLIT, THE_DAY, 20))
    assert ratios(person) == {date(2024, 2, 1): 2, THE_DAY: 2}


def test_what_is_bought_on_the_day_of_a_split_is_no_part_of_its_ratio(person: User) -> None:
    told(person, (Kind.BUY, date(2024, 1, 3), 10), (Kind.SPLIT, THE_DAY, 30), (Kind.BUY, THE_DAY, 4))
    assert ratios(person) == {THE_DAY: 4}


def test_without_units_the_evening_before_those_of_the_day_are_what_was_split(person: User) -> None:
    told(person, (Kind.BUY, THE_DAY, 10), (Kind.SPLIT, THE_DAY, 30))
    assert ratios(person) == {THE_DAY: 4}
