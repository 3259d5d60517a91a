"""Everything held, as one portfolio."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from aggregation import charts
from aggregation.account_aggregator import Holding, portfolio
from aggregation.ledger import record_holdings
from aggregation.positions import reading as positions
from aggregation.positions.table import Asked
from brokerhub.kernel.models import User
from connections.brokers.records import AuthMethod
from connections.states import ConnectionState
from tests.aggregation.factories import (
    AAPL,
    BND,
    CALL,
    a_balance,
    a_connection,
    a_position,
    a_user,
    an_account,
    some_holdings,
)

pytestmark = pytest.mark.django_db


def hold(account, *positions, **fields):
    fields.setdefault("as_of", timezone.now())
    record_holdings(account=account, holdings=some_holdings(*positions, **fields), run_id=None)


def held(user: User, symbol: str) -> Holding:
    return next(holding for holding in portfolio(user).holdings if holding.instrument.symbol == symbol)


def test_the_same_share_in_two_accounts_is_one_holding_with_a_weighted_cost():
    user = a_user()
    connection = a_connection(user)
    hold(an_account(connection), a_position(quantity="10", average_cost=Decimal(100)))
    hold(an_account(connection), a_position(quantity="30", average_cost=Decimal(200)))
    aapl = held(user, "AAPL")
    assert (aapl.quantity, aapl.average_cost, aapl.market_value, aapl.gain) == (40, 175, 8000, 1000)
    assert aapl.gain_fraction == Decimal(1) / 7
    assert [lot.position.quantity for lot in aapl.lots] == [10, 30]


def test_an_unknown_cost_makes_the_average_and_the_gain_unknown_and_leaves_the_value():
    user = a_user()
    connection = a_connection(user)
    hold(an_account(connection), a_position())
    hold(an_account(connection), a_position(average_cost=None))
    aapl = held(user, "AAPL")
    assert (aapl.average_cost, aapl.cost, aapl.gain, aapl.gain_fraction) == (None,) * 4
    assert aapl.market_value == 4000
    assert portfolio(user).totals[0].gain is None


def test_long_in_one_account_and_short_in_another_have_no_average_cost_but_a_gain():
    user = a_user()
    connection = a_connection(user)
    hold(an_account(connection), a_position(quantity="10", average_cost=Decimal(150)))
    hold(an_account(connection), a_position(quantity="-4", average_cost=Decimal(250)))
    aapl = held(user, "AAPL")
    assert (aapl.quantity, aapl.average_cost, aapl.market_value, aapl.gain) == (6, None, 1200, 700)


def test_an_option_counts_with_its_multiplier_and_short_ones_gain_when_they_fall():
    user = a_user()
    hold(
        an_account(a_connection(user)), a_position(CALL, "-2", average_cost=Decimal("5.5"), market_value=Decimal(-800))
    )
    call = held(user, CALL.symbol)
    assert (call.cost, call.gain, call.instrument.title) == (-1100, 300, "AAPL 15 Jan 2027 240 Call")


def test_amounts_of_two_currencies_have_two_totals():
    user = a_user()
    account = an_account(a_connection(user))
    euros = a_balance(currency="EUR", cash=Decimal(70), net_asset_value=Decimal(70))
    hold(account, a_position(), balances=(a_balance(), euros))
    totals = {total.currency: total for total in portfolio(user).totals}
    assert (totals["USD"].net_asset_value, totals["EUR"].net_asset_value) == (2500, 70)
    assert (totals["EUR"].market_value, totals["EUR"].gain) == (0, 0)


def test_a_weight_is_a_share_of_the_net_asset_value_with_cash():
    user = a_user()
    hold(an_account(a_connection(user)), a_position())
    assert held(user, "AAPL").weight == Decimal("0.8")
    figure = charts.allocation(positions.held(portfolio(user), "USD").table(Asked(group="class")).sections)
    assert figure is not None
    assert dict(zip(figure.data[0].y, figure.data[0].x, strict=True)) == {"Stock": 0.8, "Cash": 0.2}


def test_the_boxes_tell_the_shares_of_the_table_also_beside_what_is_sold_short():
    user = a_user()
    short = a_position(CALL, "-2", average_cost=None, market_value=Decimal(-800))
    worth = a_balance(cash=Decimal(800), net_asset_value=Decimal(2000))
    hold(an_account(a_connection(user)), a_position(), short, balances=(worth,))
    sections = positions.held(portfolio(user), "USD").table(Asked(group="class")).sections
    boxes = charts.treemap(sections).data[0]
    shares = dict(zip(boxes.labels, boxes.text, strict=True))
    assert shares["AAPL"] == "100.0%"
    assert shares["Cash in USD"] == "40.0%"
    assert CALL.symbol not in shares


def test_an_account_that_does_not_tell_its_value_leaves_the_total_unknown():
    user = a_user()
    connection = a_connection(user)
    hold(an_account(connection))
    hold(an_account(connection), a_position(), balances=(a_balance(net_asset_value=None),))
    total = portfolio(user).totals[0]
    assert (total.net_asset_value, total.cash) == (None, 1000)
    assert held(user, "AAPL").weight is None


def test_the_label_says_how_many_accounts_are_as_of_today():
    user = a_user()
    connection = a_connection(user)
    for days in (0, 0, 0, 0, 3):
        hold(an_account(connection), as_of=timezone.now() - timedelta(days=days))
    fresh = portfolio(user).freshness
    assert (fresh.label, fresh.is_complete) == ("4 of 5 accounts as of today", False)
    assert fresh.oldest is not None
    assert fresh.oldest < timezone.now() - timedelta(days=2)
    an_account(connection)
    an_account(a_connection(user, method=AuthMethod.FILE))
    assert portfolio(user).freshness.label == "4 of 6 accounts as of today; 1 not reported yet"
    assert portfolio(user).freshness.by_file == 1


def test_today_is_today_where_the_person_lives(monkeypatch):
    user = a_user()
    user.timezone = "Pacific/Auckland"
    hold(an_account(a_connection(user)), as_of=datetime(2026, 11, 20, 10, 0, tzinfo=UTC))  # 23:00 in Auckland
    monkeypatch.setattr(timezone, "now", lambda: datetime(2026, 11, 20, 11, 30, tzinfo=UTC))  # half past midnight
    assert portfolio(user).freshness.current == 0


def test_accounts_of_connections_that_were_left_and_closed_accounts_are_not_counted():
    user = a_user()
    hold(an_account(a_connection(user, state=ConnectionState.DISCONNECTED)), a_position())
    hold(an_account(a_connection(user), closed_on=timezone.localdate()), a_position())
    assert portfolio(user).accounts == []


def test_nobody_sees_what_others_hold():
    hold(an_account(), a_position())
    whole = portfolio(a_user())
    assert (whole.accounts, whole.holdings, whole.totals) == ([], [], [])


def test_the_number_of_queries_is_the_same_for_one_position_and_fifty(django_assert_num_queries):
    user = a_user()
    connection = a_connection(user)
    for number in range(10):
        hold(an_account(connection), a_position(AAPL), a_position(BND), a_position(CALL))
        if number in (0, 9):
            with django_assert_num_queries(5):
                assert len(portfolio(user).holdings) == 3
