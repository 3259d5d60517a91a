"""The hub's books equal what is so at Interactive Brokers, read by its Web API: two accounts, four currencies."""

from decimal import Decimal

import pytest

from aggregation.models import Balance, Position
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
            currency: number(amount)
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
