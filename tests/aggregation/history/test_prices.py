"""Closes from a broker's price history, and the days that are rebuilt with them."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from aggregation.history import prices, taking
from aggregation.history.holdings import holdings_on
from aggregation.ledger import book
from aggregation.models import (
    AccountHistory,
    BalancePoint,
    ChangeReason,
    DailyPrice,
    Instrument,
    PointBasis,
    PointChange,
    PriceCoverage,
    Source,
)
from brokerhub.kernel.models import User
from connections.brokers.records import PriceRecord
from connections.models import Connection
from connections.sandbox.book import Account as SandboxAccount
from connections.sandbox.market import Market
from connections.sandbox.people import People
from connections.sandbox.valuation import valued, worth
from connections.sandbox.world import MARKET_SEED
from sync import sync_service
from sync.models import Trigger
from tests.aggregation.factories import AAPL, a_record, an_account
from tests.plugins.sandbox_server import Sandbox

pytestmark = pytest.mark.django_db


@pytest.fixture
def ira(connect: Callable[..., Connection], person: User, sandbox: Sandbox, unpaced: None) -> SandboxAccount:
    """Maria's IRA at Schwab is read; the same account, in the sandbox's own book."""
    connection = connect(person)
    sync_service.run_one(sync_service.request_sync(user=person, connection=connection, trigger=Trigger.MANUAL).pk)
    people = People(Market(MARKET_SEED))
    people.tell(timezone.now().date())
    return next(account for account in people.get("maria").at("schwab") if "IRA" in account.name)  # type: ignore[union-attr]


def test_days_gone_by_are_rebuilt_to_the_cent(ira: SandboxAccount, person: User, sandbox: Sandbox):
    """Four years, dividends reinvested: each day is what the broker's own book says of it."""
    now = timezone.now() + timedelta(minutes=1)
    taking.take_due(now)
    listed = Instrument.objects.filter(asset_class__in=("equity", "etf")).count()
    assert prices.read_due(now) == listed > 10  # everything with a price history that Maria ever held
    assert prices.read_due(now) == 0
    assert taking.take_due(now + timedelta(minutes=1)) == 2
    market = Market(MARKET_SEED)
    account = person.connections.get().accounts.get(name__contains="IRA")
    days = [date(2022, 3, 9), date(2023, 7, 4), date(2024, 6, 7), date(2024, 6, 10), date(2025, 11, 1)]
    points = {point.on: point for point in BalancePoint.objects.filter(account=account, on__in=days)}
    for day in days:
        past = ira.until(day)
        assert points[day].net_asset_value == worth(past, valued(past, market, day), market, day), day
        assert (points[day].basis, points[day].at_older_prices) == (PointBasis.REBUILT, 0)
    held = holdings_on([account], days[2])
    assert {point.instrument.symbol: point.quantity for point in held} == {
        symbol: holding.quantity for symbol, holding in ira.until(days[2]).holdings.items()
    }
    assert {change.reason for change in PointChange.objects.filter(account=account)} == {ChangeReason.PRICES}
    assert {call["method"] for call in sandbox.calls("pricehistory")} == {"GET"}
    nvidia = DailyPrice.objects.filter(instrument__symbol="NVDA")  # in the shares of each day, over its split of ten
    assert nvidia.get(on=days[2]).close == market.price("NVDA", days[2])
    assert nvidia.get(on=days[3]).close == market.price("NVDA", days[3]) < nvidia.get(on=days[2]).close / 8


def test_a_broker_that_is_away_leaves_the_days_for_later(ira: SandboxAccount, sandbox: Sandbox):
    sandbox.fault("500", "pricehistory")
    assert prices.read_due(timezone.now()) == 0
    sandbox.clear_faults()
    assert not DailyPrice.objects.exists()
    assert prices.read_due(timezone.now() + timedelta(hours=1)) > 0


def test_closes_that_contradict_ones_own_trades_are_left_out(person: User, db: None):
    account = an_account()
    on = date(2026, 3, 3)
    book(account=account, records=[a_record("1", traded_on=on, price=Decimal(100))], source=Source.API, run_id=None)
    apple, user = Instrument.objects.get(symbol=AAPL.symbol), account.connection.user
    told = [PriceRecord(on=on + timedelta(days=number), close=Decimal(10 + number)) for number in (-1, 0, 1, 2)]
    wish = prices.Wish(apple, on, on)
    PriceCoverage.objects.create(instrument=apple, source="schwab", asked_at=datetime.now(UTC))
    prices._keep(account.connection, wish, told, "", datetime.now(UTC))
    assert [price.on for price in DailyPrice.objects.order_by("on")] == [date(2026, 3, 4), date(2026, 3, 5)]
    assert PriceCoverage.objects.get().trouble == prices.CONTRADICTED
    assert AccountHistory.objects.get(account__connection__user=user).prices_at is not None
