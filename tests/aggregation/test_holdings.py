"""What the broker says is held replaces what it said before."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from aggregation.ledger import record_holdings
from aggregation.models import PointBasis
from connections.brokers.records import AssetClass, InstrumentRecord
from tests.aggregation.factories import (
    AS_OF,
    BND,
    CALL,
    a_balance,
    a_position,
    an_account,
    some_holdings,
)

pytestmark = pytest.mark.django_db


def test_positions_and_balances_are_what_the_broker_said():
    account = an_account()
    record_holdings(account=account, holdings=some_holdings(a_position(), a_position(CALL, "-2")), run_id=None)
    call = account.positions.get(instrument__asset_class="option")
    assert (call.quantity, call.market_value, call.as_of) == (-2, -40_000, AS_OF)
    balance = account.balances.get()
    assert (balance.cash, balance.net_asset_value, balance.buying_power) == (500, 2500, None)


def test_a_position_no_longer_reported_is_closed_and_opens_again():
    account = an_account()
    record_holdings(account=account, holdings=some_holdings(a_position(), a_position(BND)), run_id=None)
    later = AS_OF + timedelta(hours=1)
    record_holdings(account=account, holdings=some_holdings(a_position(), as_of=later), run_id=None)
    assert [position.instrument.symbol for position in account.positions.held()] == ["AAPL"]
    assert account.positions.get(instrument__symbol="BND").closed_at == later
    record_holdings(account=account, holdings=some_holdings(a_position(BND, "3"), as_of=later), run_id=None)
    assert list(account.positions.held().values_list("instrument__symbol", "quantity")) == [("BND", 3)]


def test_another_accounts_positions_are_left_alone():
    one, other = an_account(), an_account()
    record_holdings(account=one, holdings=some_holdings(a_position()), run_id=None)
    record_holdings(account=other, holdings=some_holdings(), run_id=None)
    assert one.positions.held().count() == 1


def test_unknown_stays_unknown():
    account = an_account()
    unknown = a_position(average_cost=None, price=None, market_value=None, day_change=None)
    record_holdings(account=account, holdings=some_holdings(unknown, balances=(a_balance(cash=None),)), run_id=None)
    position = account.positions.get()
    assert (position.average_cost, position.price, position.market_value, position.day_change) == (None,) * 4
    assert account.balances.get().cash is None


def test_an_instrument_reported_twice_is_one_position():
    account = an_account()
    parts = [a_position(quantity="10", average_cost=Decimal(100)), a_position(quantity="30", average_cost=Decimal(200))]
    record_holdings(account=account, holdings=some_holdings(*parts), run_id=None)
    position = account.positions.get()
    assert (position.quantity, position.average_cost, position.market_value) == (40, 175, 8000)


def test_a_currency_no_longer_reported_is_gone_from_the_balances():
    account = an_account()
    both = (a_balance(), a_balance(currency="EUR"))
    record_holdings(account=account, holdings=some_holdings(balances=both), run_id=None)
    record_holdings(account=account, holdings=some_holdings(), run_id=None)
    assert list(account.balances.values_list("currency", flat=True)) == ["USD"]


def test_the_day_of_a_balance_point_is_that_of_the_market():
    account = an_account()
    evening_in_new_york = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
    record_holdings(account=account, holdings=some_holdings(as_of=evening_in_new_york), run_id=None)
    point = account.points.get()
    assert (point.on, point.basis, point.net_asset_value) == (date(2026, 11, 20), "observed", 2500)


def test_the_last_word_of_a_day_is_the_days_point():
    account = an_account()
    for value in (1000, 1100):
        balances = (a_balance(net_asset_value=Decimal(value)),)
        record_holdings(account=account, holdings=some_holdings(balances=balances), run_id=None)
    assert account.points.get().net_asset_value == 1100


def test_a_value_the_broker_did_not_say_is_an_unknown_point():
    account = an_account()
    balances = (a_balance(net_asset_value=None),)
    record_holdings(account=account, holdings=some_holdings(balances=balances), run_id=None)
    point = account.points.get()
    assert (point.net_asset_value, point.basis) == (None, PointBasis.UNKNOWN)


def test_the_number_of_queries_is_the_same_for_one_position_and_fifty():
    counted = []
    for number in (1, 50):
        shares = [InstrumentRecord(asset_class=AssetClass.EQUITY, symbol=f"N{number}S{n}") for n in range(number)]
        account = an_account()
        with CaptureQueriesContext(connection) as queries:
            record_holdings(account=account, holdings=some_holdings(*map(a_position, shares)), run_id=None)
        assert account.positions.held().count() == number
        counted.append(len(queries))
    assert counted[0] == counted[1]
