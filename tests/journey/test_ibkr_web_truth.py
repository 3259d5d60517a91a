"""The hub's books equal what is so at Interactive Brokers, read by its Web API: two accounts, four currencies."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from aggregation.models import Balance, Position, Transaction
from connections import connection_manager
from connections.brokers.ibkr_flex import IbkrFlex
from connections.brokers.ibkr_web import IbkrWeb
from connections.brokers.records import AuthMethod
from connections.states import ConnectionState
from sync.models import RunState
from tests.journey.books import differences, number, sync

pytestmark = pytest.mark.usefixtures("unpaced")


def told_by_sandbox(sandbox):
    return {account["number"]: _of_truth(account) for account in sandbox.truth(broker="ibkr")["accounts"]}


def _of_truth(account):
    held = account["positions"]
    return {
        "currency": account["currency"],
        "cash": {currency: number(amount) for currency, amount in account["balances"].items()},
        "value": {
            currency: Decimal(amount)
            + sum(Decimal(each["market_value"]) for each in held if each["currency"] == currency)
            for currency, amount in account["balances"].items()
        },
        "positions": {
            each["symbol"]: (
                number(each["quantity"]),
                round(Decimal(each["average_cost"]), 2),
                number(each["market_value"]),
                each["currency"],
            )
            for each in held
        },
    }


def told_by_hub(connection):
    return {account.external_id: _of_hub(account) for account in connection.accounts.all()}


def _of_hub(account):
    balances = Balance.objects.filter(account=account)
    return {
        "currency": account.currency,
        "cash": dict(balances.values_list("currency", "cash")),
        "value": dict(balances.values_list("currency", "net_asset_value")),
        "positions": {
            held.instrument.symbol: (held.quantity, round(held.average_cost, 2), held.market_value, held.currency)
            for held in Position.objects.held().filter(account=account).select_related("instrument")
        },
    }


@pytest.mark.parametrize("way", ["oauth", "keys"])
def test_positions_and_cash_in_every_currency_are_exact(connect_ibkr, person, sandbox, way):
    connection = connect_ibkr(person, way)
    run = sync(connection)
    assert (run.state, run.error) == (RunState.SUCCEEDED, "")
    assert connection.state == ConnectionState.CONNECTED
    told = told_by_hub(connection)
    assert {currency for account in told.values() for currency in account["cash"]} == {"CHF", "EUR", "GBP", "USD"}
    assert len(told) == 2
    assert differences(told, told_by_sandbox(sandbox)) == []
    operations = {call["operation"] for call in sandbox.calls() if call["broker"] == "ibkr"}
    assert not operations & {"init", "tickle", "auth_status", "trades", "iserver_accounts", "unknown_route"}


@pytest.fixture
def one_year(monkeypatch):
    """As if the broker went back no further than a Flex query's own period."""
    for connector in (IbkrFlex, IbkrWeb):
        monkeypatch.setattr(connector, "history", timedelta(days=360))


@pytest.mark.usefixtures("one_year")
def test_a_flex_connection_that_signs_in_keeps_its_history_and_gains_the_positions_of_now(
    connect_ibkr, flex_keys, person, sandbox
):
    first = connection_manager.connect_with_keys(user=person, method=AuthMethod.IBKR_FLEX, keys=flex_keys)
    assert sync(first).state == RunState.SUCCEEDED
    history = set(Transaction.objects.in_books().values_list("pk", "external_id"))
    connection = connect_ibkr(person, "oauth")
    assert (connection.pk, connection.method, connection.history_method) == (first.pk, "ibkr_oauth", "ibkr_flex")
    run = sync(connection)
    assert (run.state, run.inserted, run.error) == (RunState.SUCCEEDED, 0, "")
    assert set(Transaction.objects.in_books().values_list("pk", "external_id")) == history
    assert differences(told_by_hub(connection), told_by_sandbox(sandbox)) == []
    sandbox.control(
        "corrections", login="maria", account="U7712345", backdated={"kind": "fee", "amount": "7.5", "days_ago": 9}
    )
    assert sync(connection).inserted == 1


PASSING: list[tuple[str, str, dict[str, Any]]] = [
    ("500", "ledger", {"times": 2}),
    ("reset", "positions", {"times": 2}),
    ("html", "summary", {"times": 1}),
    ("truncated_json", "positions", {"times": 1}),
    ("429", "accounts", {"times": 1, "retry_after": 120}),
    ("410", "accounts", {"times": 1}),
    ("410", "ledger", {"times": 1}),
    ("401", "positions", {"times": 1}),
    ("broker_error", "accounts", {"times": 1, "code": "hidden"}),
    ("empty_page", "positions", {"times": 1}),
]


def test_faults_that_pass_leave_the_books_exact(connect_ibkr, person, sandbox):
    connection = connect_ibkr(person, "oauth")
    for kind, operation, how in PASSING:
        sandbox.fault(kind, operation, broker="ibkr", **how)
        assert sync(connection).state == RunState.SUCCEEDED, (kind, operation)
        assert connection.state == ConnectionState.CONNECTED, (kind, operation)
        assert differences(told_by_hub(connection), told_by_sandbox(sandbox)) == []
        sandbox.clear_faults()
