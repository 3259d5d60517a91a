"""The hub's books of a Robinhood login equal what is so there, as far as its official server tells it."""

from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest

from aggregation.models import Balance, Position, Transaction
from connections.brokers import robinhood
from sync.models import ParkedRow, RunState
from tests.journey.books import differences, number, sync

TOLD = {"order_buy", "order_sell", "reinvestment"}  # the rest of a history is in none of the tools
SHARES = {"stock", "etf"}
CENT = Decimal("0.01")


def sums(rows):
    """{(day, symbol, quantity, price): [how many, fees, net amounts]}: equal fills and the legs of a spread in one.

    The fees of a spread are told for its order only: they are compared by day, as the cash is.
    """
    fills: dict[tuple[Any, ...], int] = defaultdict(int)
    days: dict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    for kind, day, symbol, quantity, price, fees, net in rows:
        fills[kind, day, symbol, quantity.normalize(), price.normalize()] += 1
        days[day][0] += fees
        days[day][1] += net
    return {"fills": dict(fills), "days": dict(days)}


def symbol_of(row):
    assert row.instrument is not None
    return row.instrument.symbol


def of_hub(account):
    rows = Transaction.objects.in_books().filter(account=account).select_related("instrument")
    assert not rows.exclude(kind__in=["buy", "sell"]).exists()
    return sums(
        (row.kind, row.traded_on.isoformat(), symbol_of(row), row.quantity, row.price, row.fees, row.net_amount)
        for row in rows
    )


def of_broker(truth):
    return sums(
        (
            row["kind"],
            row["traded_on"],
            row["symbol"],
            number(row["quantity"]),
            number(row["price"]),
            number(row["fees"]),
            number(row["net_amount"]),
        )
        for row in truth["transactions"]
        if row["nature"] in TOLD and row["status"] == "posted"
    )


def agree(connection, sandbox, login):
    account = connection.accounts.get()
    [truth] = sandbox.truth(login, broker="robinhood")["accounts"]
    hub, broker = of_hub(account), of_broker(truth)
    assert differences(hub["fills"], broker["fills"]) == []
    drips = {row["traded_on"] for row in truth["transactions"] if row["nature"] == "reinvestment"}
    assert hub["days"].keys() == broker["days"].keys()
    for day, (fees, net) in broker["days"].items():
        assert hub["days"][day][0] == fees, day
        # The sum that was reinvested is told nowhere; quantity times price is within the cent of it.
        assert abs(hub["days"][day][1] - net) <= (CENT * 2 if day in drips else 0), day
    hold_the_same(account, truth)


def hold_the_same(account, truth):
    held = {
        position.instrument.symbol: (position.quantity, position.market_value)
        for position in Position.objects.held().filter(account=account).select_related("instrument")
    }
    assert held == {
        position["symbol"]: (
            number(position["quantity"]),
            number(position["market_value"]),
        )
        for position in truth["positions"]
    }
    balance = Balance.objects.get(account=account)
    assert (balance.cash, balance.net_asset_value) == (number(truth["cash"]), number(truth["value"]))


@pytest.mark.parametrize("login", ["maria", "james"])
def test_orders_positions_and_balances_equal_the_truth(connect_robinhood, person, sandbox, login):
    connection = connect_robinhood(person, login)
    run = sync(connection)
    assert (run.state, run.warnings) == (RunState.SUCCEEDED, [])
    assert run.fetched == run.inserted > 0
    assert not ParkedRow.objects.exists()
    agree(connection, sandbox, login)


@pytest.mark.usefixtures("unpaced")
def test_costs_are_what_was_paid_and_shares_settle_by_the_markets_rule(connect_robinhood, person, sandbox):
    connection = connect_robinhood(person)
    sync(connection)
    [truth] = sandbox.truth("james", broker="robinhood")["accounts"]
    costs = {p["symbol"]: number(p["average_cost"]) for p in truth["positions"] if p["asset_class"] in SHARES}
    for position in Position.objects.filter(instrument__symbol__in=costs).select_related("instrument"):
        assert position.average_cost == costs[position.instrument.symbol]
    settled = {
        (row["symbol"], row["traded_on"]): row["settled_on"]
        for row in truth["transactions"]
        if row["nature"] in TOLD and row["symbol"] in costs
    }
    rows = Transaction.objects.filter(instrument__symbol__in=costs).select_related("instrument")
    assert rows
    for row in rows:
        assert str(row.settled_on) == settled[symbol_of(row), row.traded_on.isoformat()]


@pytest.mark.usefixtures("unpaced")
def test_the_second_sync_changes_nothing(connect_robinhood, person, sandbox):
    connection = connect_robinhood(person)
    sync(connection)
    before = list(Transaction.objects.order_by("pk").values())
    run = sync(connection)
    assert (run.state, run.inserted, run.superseded) == (RunState.SUCCEEDED, 0, 0)
    assert list(Transaction.objects.order_by("pk").values()) == before


def tools_called(sandbox):
    return {call["operation"].removeprefix("mcp_") for call in sandbox.calls() if call["operation"].startswith("mcp_")}


@pytest.mark.usefixtures("unpaced")
def test_a_whole_sync_calls_reading_tools_only_and_ends_its_session(connect_robinhood, person, sandbox):
    connection = connect_robinhood(person, "maria")
    sync(connection)
    assert tools_called(sandbox) == robinhood.TOOLS - {"get_equity_historicals"}  # prices are read behind the syncs
    methods = [call["method"] for call in sandbox.calls("mcp")]
    opened = sum(1 for call in sandbox.calls("mcp") if call["method"] == "POST" and call["status"] == 202)
    assert methods.count("DELETE") == opened == 2, "one session of the sign-in, one of the run"


@pytest.mark.usefixtures("unpaced")
@pytest.mark.parametrize("kind", ["500", "reset", "401"])
def test_a_session_that_cannot_be_ended_spoils_no_run(connect_robinhood, person, sandbox, kind):
    connection = connect_robinhood(person)
    sandbox.fault(kind, "mcp", broker="robinhood", after=3)  # initialize, its notice, the list of tools
    run = sync(connection)
    assert (run.state, run.warnings) == (RunState.SUCCEEDED, [])
    assert [call["method"] for call in sandbox.calls("mcp")][-1] == "DELETE"
    agree(connection, sandbox, "james")
