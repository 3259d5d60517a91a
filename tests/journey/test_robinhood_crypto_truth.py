"""The hub's books of Robinhood's coins equal what is so there, as far as its official key tells it."""

from decimal import Decimal
from typing import Any

import pytest

from aggregation.models import Balance, Position, Transaction
from connections import connection_manager
from connections.brokers.base import KeysRefused
from connections.brokers.records import AuthMethod, Broker
from connections.errors import CountedTwice
from connections.models import Connection
from sync.models import ParkedRow, RunState
from tests.journey.books import differences, number, sync

CENT = Decimal("0.01")
METHOD = AuthMethod.ROBINHOOD_CRYPTO
COINS = {"BTC", "ETH", "SOL"}


pytestmark = pytest.mark.usefixtures("unpaced")


def true_coins(sandbox):
    """(positions, transactions) of maria's coins."""
    [account] = sandbox.truth(broker="robinhood")["accounts"]
    positions = {row["symbol"]: row for row in account["positions"] if row["asset_class"] == "crypto"}
    orders = {
        (row["traded_on"], row["symbol"], number(row["quantity"])): (
            row["kind"],
            number(row["price"]),
            number(row["fees"]),
            number(row["net_amount"]),
        )
        for row in account["transactions"]
        if row["nature"] in ("order_buy", "order_sell") and row["status"] == "posted" and row["symbol"] in COINS
    }
    return positions, orders


def agree(connection, sandbox):
    positions, orders = true_coins(sandbox)
    account = connection.accounts.get()
    held = Position.objects.held().filter(account=account).select_related("instrument")
    assert {row.instrument.symbol: row.quantity for row in held} == {
        symbol: number(row["quantity"]) for symbol, row in positions.items()
    }
    for row in held:
        told = positions[row.instrument.symbol]
        assert row.average_cost is None
        # The middle of bid and ask, which come in whole cents.
        assert abs(row.price - number(told["price"])) <= CENT
        assert abs(row.market_value - number(told["market_value"])) <= CENT * (1 + row.quantity)
    rows = Transaction.objects.in_books().filter(account=account).select_related("instrument")
    booked: dict[Any, Any] = {
        (row.traded_on.isoformat(), row.instrument.symbol, row.quantity): (
            row.kind,
            row.price,
            row.fees,
            row.net_amount,
        )
        for row in rows
        if row.instrument is not None
    }
    assert len(booked) == rows.count() > 0
    assert differences(booked, orders) == []


def test_coins_and_their_orders_equal_the_truth(connect_coins, person, sandbox):
    connection = connect_coins(person)
    run = sync(connection)
    assert (run.state, run.warnings) == (RunState.SUCCEEDED, [])
    assert run.fetched == run.inserted > 0
    assert not ParkedRow.objects.exists()
    agree(connection, sandbox)
    balance = Balance.objects.get(account__connection=connection)
    held = Position.objects.held().filter(account__connection=connection)
    assert (balance.cash, balance.net_asset_value) == (None, sum(position.market_value for position in held))
    before = list(Transaction.objects.order_by("pk").values())
    again = sync(connection)
    assert (again.state, again.inserted, again.superseded) == (RunState.SUCCEEDED, 0, 0)
    assert list(Transaction.objects.order_by("pk").values()) == before
    assert {call["method"] for call in sandbox.calls()} == {"GET"}


def test_a_key_switched_off_ends_the_run_and_a_new_one_mends_it_in_place(connect_coins, person, sandbox):
    connection = connect_coins(person)
    sync(connection)
    rows = Transaction.objects.count()
    sandbox.control("robinhood/keys", login="maria", disable=True)
    run = sync(connection)
    assert (run.state, run.error_code) == (RunState.FAILED, "needs_reauth")
    assert (connection.state, connection.reason_code) == ("needs_reauth", "keys_refused")
    again = connect_coins(person, connection=connection)
    assert again.pk == connection.pk
    assert sync(again).state == RunState.SUCCEEDED
    assert Transaction.objects.count() == rows
    assert connect_coins(person).pk == connection.pk, "another key of the same account is the same connection"
    assert Connection.objects.filter(user=person).count() == 1


def test_a_key_that_robinhood_does_not_know_stores_nothing_and_the_pair_stays_good(connect_coins, person, sandbox):
    connection = connection_manager.create_connection(user=person, broker=Broker.ROBINHOOD, method=METHOD)
    [shown] = connection_manager.prepare_keys(connection=connection)
    unknown = {"api_key": "rh-api-00000000-0000-4000-8000-00000000dead"}
    with pytest.raises(KeysRefused, match="does not accept the API key"):
        connection_manager.connect_with_keys(user=person, method=METHOD, keys=unknown, connection=connection)
    connection.refresh_from_db()
    assert (connection.state, connection.sealed_credentials) == ("pending_auth", b"")
    assert connection_manager.prepare_keys(connection=connection) == (shown,)
    assert connect_coins(person, connection=connection).state == "connected"


def test_the_same_account_by_two_ways_is_refused_because_it_would_count_twice(
    connect_coins, connect_robinhood, person, unpaced
):
    connect_robinhood(person, "maria")
    with pytest.raises(CountedTwice):
        connect_coins(person)


def test_leaving_says_what_is_left_to_do_at_robinhood(connect_coins, person):
    connection = connect_coins(person)
    connection_manager.disconnect(connection=connection, actor=person)
    connection.refresh_from_db()
    assert (connection.state, connection.sealed_credentials) == ("disconnected", b"")
    assert "delete the API key at Robinhood" in connection_manager.entry_for(connection).after_disconnect
