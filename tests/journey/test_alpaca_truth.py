"""The hub's books of an Alpaca account equal what is so there, to the cent and the last digit of a coin."""

from collections import defaultdict
from decimal import Decimal
from typing import Any

from aggregation.models import Balance, Position, Transaction
from sync.models import ParkedRow, RunState
from tests.journey.books import differences, number, sync

ZERO = Decimal(0)


def sums(rows):
    """{"rows": how often each happened, "cash": {day: net amount}, "held": {symbol: quantity}}.

    Alpaca tells the fees of executions as rows of their own and a split as two, so amounts and splits are summed up.
    """
    told: dict[tuple[Any, ...], int] = defaultdict(int)
    cash: dict[str, Decimal] = defaultdict(Decimal)
    held: dict[str, Decimal] = defaultdict(Decimal)
    for kind, day, symbol, quantity, price, net in rows:
        cash[day] += net
        if quantity:
            held[symbol] += quantity
        if kind in {"buy", "sell"}:
            told[kind, day, symbol, quantity.normalize(), price.normalize()] += 1
        elif kind not in {"fee", "split"}:
            told[kind, day, symbol, net.normalize()] += 1
    return {"rows": dict(told), "cash": dict(cash), "held": {symbol: held[symbol] for symbol in held if held[symbol]}}


def of_hub(account):
    rows = Transaction.objects.in_books().filter(account=account).select_related("instrument")
    return sums(
        (
            row.kind,
            row.traded_on.isoformat(),
            row.instrument and row.instrument.symbol,
            row.quantity,
            row.price,
            row.net_amount,
        )
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
            number(row["net_amount"]),
        )
        for row in truth["transactions"]
        if row["status"] == "posted"
    )


def agree(connection, sandbox):
    account = connection.accounts.get()
    [truth] = sandbox.truth("james", broker="alpaca")["accounts"]
    assert differences(of_hub(account), of_broker(truth)) == []
    held = {
        position.instrument.symbol: (position.quantity, position.market_value, position.price)
        for position in Position.objects.held().filter(account=account).select_related("instrument")
    }
    assert held == {
        position["symbol"]: (number(position["quantity"]), number(position["market_value"]), number(position["price"]))
        for position in truth["positions"]
    }
    balance = Balance.objects.get(account=account)
    assert (balance.cash, balance.net_asset_value) == (number(truth["cash"]), number(truth["value"]))


def test_everything_that_happened_is_in_the_books_and_a_second_sync_changes_nothing(connect_alpaca, person, sandbox):
    connection = connect_alpaca(person)
    run = sync(connection)
    assert (run.state, run.warnings) == (RunState.SUCCEEDED, [])
    assert run.fetched == run.inserted > 200
    assert not ParkedRow.objects.exists()
    agree(connection, sandbox)
    kinds = set(Transaction.objects.values_list("kind", flat=True))
    assert {"tax", "split", "option_assignment", "option_exercise", "option_expiration", "transfer_in"} <= kinds
    before = list(Transaction.objects.order_by("pk").values())
    again = sync(connection)
    assert (again.state, again.inserted, again.superseded) == (RunState.SUCCEEDED, 0, 0)
    assert list(Transaction.objects.order_by("pk").values()) == before


def test_what_the_positions_say_follows_from_the_rows(connect_alpaca, person):
    connection = connect_alpaca(person)
    sync(connection)
    account = connection.accounts.get()
    held = Position.objects.held().filter(account=account).select_related("instrument")
    assert of_hub(account)["held"] == {row.instrument.symbol: row.quantity for row in held}
    assert sum(of_hub(account)["cash"].values(), ZERO) == Balance.objects.get(account=account).cash


def test_a_row_that_is_dated_back_and_one_that_is_taken_back_arrive_later(connect_alpaca, person, sandbox):
    connection = connect_alpaca(person)
    sync(connection)
    [truth] = sandbox.truth("james", broker="alpaca")["accounts"]
    sandbox.backdate(truth["number"], login="james", kind="buy", symbol="KO", quantity=2, days_ago=12)
    interest = [row for row in truth["transactions"] if row["kind"] == "interest"][-1]
    sandbox.correct(truth["number"], interest["activity_id"], "status", login="james")
    assert sync(connection).state == RunState.SUCCEEDED
    agree(connection, sandbox)
