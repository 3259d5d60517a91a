"""A part of the history is read without the years before it, and is the same part of the whole."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from aggregation.history import service
from aggregation.history.models import ReportedValue
from aggregation.history.service import Asked
from aggregation.models import BalancePoint, PointBasis, ReferenceRate
from brokerhub.kernel.models import User
from connections.models import Account
from tests.aggregation.factories import a_connection, an_account

pytestmark = pytest.mark.django_db
START, DAYS = date(2025, 1, 1), 90
NOW = datetime(2025, 6, 1, tzinfo=UTC)


def a_random_account(chance: Random, owner: User) -> Account:
    """Begins and ends on some day, with gaps, unknown days, unknown and known payments, in one currency or two."""
    account = an_account(a_connection(owner))
    first = chance.randrange(DAYS // 2)
    last = chance.choice([DAYS, chance.randrange(first + 2, DAYS)])
    for currency in chance.choice([["USD"], ["EUR"], ["USD", "EUR"]]):
        BalancePoint.objects.bulk_create(
            a_random_point(chance, account, START + timedelta(days=number), currency)
            for number in range(first, last)
            if chance.random() > 0.1
        )
    told = [START + timedelta(days=number) for number in range(first, last) if chance.random() < 0.05]
    ReportedValue.objects.bulk_create(
        ReportedValue(account=account, on=on, currency="USD", net_asset_value=chance.randrange(999), told_at=NOW)
        for on in told
    )
    return account


def a_random_point(chance: Random, account: Account, on: date, currency: str) -> BalancePoint:
    value = None if chance.random() < 0.05 else Decimal(chance.randrange(10_000)) / 100
    flow = chance.choices([Decimal(0), Decimal(chance.randrange(-500, 900)), None], weights=[90, 9, 1])[0]
    basis = PointBasis.UNKNOWN if value is None else chance.choice([PointBasis.OBSERVED, PointBasis.REBUILT])
    return BalancePoint(
        account=account, on=on, currency=currency, net_asset_value=value, cash=value, flow=flow, basis=basis, as_of=NOW
    )


@pytest.mark.parametrize("seed", range(8))
def test_a_part_of_the_history_is_that_part_of_the_whole(person: User, seed: int):
    chance = Random(seed)
    ReferenceRate.objects.bulk_create(
        ReferenceRate(currency="USD", on=START + timedelta(days=number), per_euro=Decimal("1.1"), read_at=NOW)
        for number in range(DAYS)
    )
    accounts = [a_random_account(chance, person) for _ in range(3)]
    whole = service.history(accounts, Asked(currency="USD"))
    for number in range(0, DAYS + 10, 7):
        first = START + timedelta(days=number)
        part = service.history(accounts, Asked(currency="USD", first=first))
        assert part.points == [point for point in whole.points if point.on >= first]
        returns = service.History(Asked(currency="USD", first=first), accounts, whole.lines)
        assert (part.total, part.by_account, part.joined) == (returns.total, returns.by_account, returns.joined)


def test_last_month_does_not_read_ten_years(person: User):
    account = an_account(a_connection(person))
    BalancePoint.objects.bulk_create(
        BalancePoint(
            account=account,
            on=START - timedelta(days=number),
            currency="USD",
            net_asset_value=number,
            basis=PointBasis.OBSERVED,
            as_of=NOW,
        )
        for number in range(3650)
    )
    with CaptureQueriesContext(connection) as asked:
        found = service.history([account], Asked(currency="USD", first=START - timedelta(days=30)))
    assert len(asked) <= 6
    assert len(found.points) == 31
    assert len(found.lines[0].days) < 40
