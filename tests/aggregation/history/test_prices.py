"""Closes from a broker's price history, and the days that are rebuilt with them."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from aggregation.history import prices, taking
from aggregation.history.holdings import holdings_on
from aggregation.history.reading import pasts
from aggregation.history.walk import PriceSource
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
    Transaction,
)
from brokerhub.kernel.models import User
from connections import connection_manager
from connections.brokers import robinhood_prices, robinhood_private
from connections.brokers.base import Grant, TellsPrices
from connections.brokers.records import AssetClass, InstrumentRecord, PriceRecord
from connections.brokers.records import TransactionKind as Kind
from connections.brokers.robinhood import Robinhood
from connections.brokers.robinhood_login import RobinhoodLogin
from connections.models import Connection
from connections.sandbox.book import Account as SandboxAccount
from connections.sandbox.market import Market
from connections.sandbox.people import People
from connections.sandbox.valuation import valued, worth
from connections.sandbox.world import MARKET_SEED
from connections.tokens import FreshGrant
from sync import sync_service
from sync.models import Trigger
from tests.aggregation.factories import AAPL, a_connection, a_record, an_account
from tests.plugins.sandbox_server import Sandbox

pytestmark = pytest.mark.django_db
SPLIT_ON = date(2024, 6, 10)


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


def test_robinhood_tells_the_same_closes_by_both_its_ways(
    connect_robinhood: Callable[..., Connection], person: User, sandbox: Sandbox, unpaced: None
):
    """And they are those of the market, in the shares of each day as soon as the person's splits are known."""
    connection = connect_robinhood(person, "maria")
    sync_service.run_one(sync_service.request_sync(user=person, connection=connection, trigger=Trigger.MANUAL).pk)
    now, market = timezone.now() - timedelta(hours=1), Market(MARKET_SEED)  # before anything of this test was booked
    listed = Instrument.objects.filter(asset_class__in=("equity", "etf")).count()
    assert prices.read_due(now) == listed > 0
    assert prices.read_due(now) == 0
    assert {call["operation"] for call in sandbox.calls("mcp_get_equity_historicals")} != set()
    told = list(DailyPrice.objects.select_related("instrument"))
    unlike = [each for each in told if each.close != market.price(each.instrument.symbol, each.on)]
    assert {each.instrument.symbol for each in unlike} == {"NVDA"}  # whose split this way does not tell
    assert all(each.close * 10 == market.price("NVDA", each.on) for each in unlike)
    account, nvidia = connection.accounts.first(), Instrument.objects.get(symbol="NVDA")
    held = Transaction.objects.in_books().filter(instrument=nvidia, traded_on__lt=SPLIT_ON)
    added = 9 * sum((row.quantity or Decimal(0) for row in held), Decimal(0))
    assert account is not None
    split = a_record("split", kind=Kind.SPLIT, traded_on=SPLIT_ON, quantity=added, price=None, net_amount=Decimal(0),
                     instrument=InstrumentRecord(asset_class=AssetClass.EQUITY, symbol="NVDA"))  # fmt: skip
    book(account=account, records=[split], source=Source.MANUAL, run_id=None)
    later = timezone.now() + timedelta(minutes=2)
    assert (prices.read_due(later), prices.read_due(later)) == (1, 0)
    closes_of_nvidia = DailyPrice.objects.filter(instrument=nvidia)
    assert all(each.close == market.price("NVDA", each.on) for each in closes_of_nvidia)
    assert len(told) > 100 * listed

    sandbox.control("robinhood/logins", login="maria", way="none")
    grant = RobinhoodLogin().open({"username": "maria", "password": "sandbox"}, {})
    assert isinstance(grant, Grant)
    private = robinhood_private.connector(None, FreshGrant(grant))
    official = connection_manager.connector_for(connection)
    assert isinstance(official, TellsPrices)
    since, until = now.date() - timedelta(days=4 * 365), now.date() - timedelta(days=1)
    for symbol in ("NVDA", "AAPL"):  # one of them was split
        closes = official.prices(symbol, since=since, until=until)
        assert private.prices(symbol, since=since, until=until) == closes
        assert len(closes) > 4 * 250 - 10
    assert official.prices("NOTLISTED", since=since, until=until) == []
    assert private.prices("NOTLISTED", since=since, until=until) == []


def test_a_server_without_the_tool_tells_no_prices_and_another_broker_is_asked(
    connect_robinhood: Callable[..., Connection], person: User, sandbox: Sandbox, unpaced: None
):
    connection = connect_robinhood(person, "maria")
    connector, at = connection_manager.connector_for(connection), datetime(2026, 3, 9, 12, tzinfo=UTC)
    assert isinstance(connector, Robinhood)
    account = an_account(connection)
    record = a_record("1", traded_on=date(2026, 3, 3), price=Decimal(100))
    book(account=account, records=[record], source=Source.API, run_id=None)
    (wish,) = prices.wishes_of(connection, connector, at)
    connector.mcp._offered = {}
    assert prices._fetch(connection, connector, wish, at) is False
    assert "no prices of days gone by" in PriceCoverage.objects.get().trouble
    assert not list(prices.wishes_of(connection, connector, at + timedelta(hours=19)))
    assert list(prices.wishes_of(connection, connector, at + timedelta(hours=21)))
    schwab = a_connection(person)
    assert not list(prices.wishes_of(schwab, connector, at + timedelta(hours=3)))
    assert list(prices.wishes_of(schwab, connector, at + timedelta(hours=5)))


def bar(on: str, close: str, **more: object) -> dict[str, object]:
    return {"begins_at": f"{on}T00:00:00Z", "close_price": close, "interpolated": False, **more}


def test_a_day_that_was_filled_in_is_no_close():
    bars = [bar("2026-03-02", "10.5"), bar("2026-03-03", "10.5", interpolated=True), bar("2026-03-04", "11")]
    told = robinhood_prices.closes(bars, since=date(2026, 3, 1), until=date(2026, 3, 3))
    assert told == [PriceRecord(on=date(2026, 3, 2), close=Decimal("10.5"))]
    with pytest.raises(ValueError, match="no price"):
        robinhood_prices.closes([bar("2026-03-02", "0")], since=date.min, until=date.max)


@pytest.mark.parametrize(("days", "span"), [(1, "year"), (358, "year"), (359, "5year"), (9_000, "5year")])
def test_the_app_is_asked_for_a_year_or_five(days: int, span: str):
    today = date(2026, 11, 23)
    assert robinhood_prices.span(today - timedelta(days=days), today) == span


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
    PriceCoverage.objects.create(user=user, instrument=apple, source="schwab", asked_at=datetime.now(UTC))
    prices._keep(account.connection, wish, told, "", datetime.now(UTC))
    assert [price.on for price in DailyPrice.objects.order_by("on")] == [date(2026, 3, 4), date(2026, 3, 5)]
    assert PriceCoverage.objects.get().trouble == prices.CONTRADICTED
    assert AccountHistory.objects.get(account__connection__user=user).prices_at is not None


def test_closes_are_each_persons_own(db: None):
    """One person's wrong split, or another share of the same name, says nothing about another's account."""
    on, at = date(2026, 3, 3), datetime.now(UTC)
    mine, another = an_account(), an_account()  # each of somebody else
    for account in (mine, another):
        row = a_record("1", traded_on=on, price=Decimal(100))
        book(account=account, records=[row], source=Source.API, run_id=None)
    apple = Instrument.objects.get(symbol=AAPL.symbol)
    wish = prices.Wish(apple, on, on)
    for account, close in ((mine, Decimal(101)), (another, Decimal(99))):
        assert prices._claim(apple, account.connection, at)
        prices._keep(account.connection, wish, [PriceRecord(on=on, close=close)], "", at)
    told = {
        pk: [price.value for price in past.tracks[apple.pk].prices if price.source == PriceSource.CLOSE]
        for account in (mine, another)
        for pk, past in pasts([account.pk]).items()
    }
    assert told == {mine.pk: [Decimal(101)], another.pk: [Decimal(99)]}
