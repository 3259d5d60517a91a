"""The books balance: what the private API tells about the past adds up to what it says is there now."""

from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest

from tests.plugins.sandbox_server import Sandbox
from tests.sandbox.robinhood.app import App, sign_in

COUNTED = ("filled", "partially_filled")


def amount(row: dict[str, Any], name: str = "amount") -> Decimal:
    value = row[name]
    return Decimal(value["amount"] if isinstance(value, dict) else value)


def signed(row: dict[str, Any], name: str, direction: str) -> Decimal:
    return amount(row, name) * (1 if row[direction] == "credit" else -1)


def filled(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["state"] in COUNTED]


def cash_of_orders(app: App) -> Decimal:
    total = Decimal(0)
    for row in filled(app.all("/orders/")):
        notional = amount(row, "executed_notional")
        total += (notional if row["side"] == "sell" else -notional) - amount(row, "fees")
    for row in filled(app.all("/options/orders/")):
        total += signed(row, "net_amount", "net_amount_direction")
    for row in filled(app.all("/orders/", "nummus")):
        fees = sum((Decimal(fee["fee_data"]["fee_amount"]) for fee in row["fees"]), Decimal(0))
        notional = amount(row, "rounded_executed_notional")
        total += (notional if row["side"] == "sell" else -notional) - fees
    return total


def cash_of_the_rest(app: App) -> Decimal:
    transfers = [row for row in app.all("/paymenthub/unified_transfers/", "bonfire") if row["state"] == "completed"]
    events = [row for row in app.all("/options/events/") if row["state"] == "confirmed"]
    dividends = [row for row in app.all("/dividends/") if row["state"] in ("paid", "reinvested")]
    return sum(
        (
            *(amount(row) * (1 if row["details"]["direction"] == "deposit" else -1) for row in transfers),
            *(signed(row, "total_cash_amount", "direction") for row in events),
            *(amount(row) for row in dividends),
            *(signed(row, "amount", "direction") for row in app.all("/accounts/sweeps/")),
            *(amount(row) for row in app.all("/accounts/stock_loan_payments/")),
            *(amount(row, "credit") - amount(row) for row in app.all("/cash_journal/margin_interest_charges/")),
            *(amount(row, "credit") - amount(row) for row in app.all("/subscription/subscription_fees/")),
            *(-amount(row) for row in app.all("/corp_actions/adr_fees/")),
        ),
        Decimal(0),
    )


@pytest.mark.parametrize("login", ["maria", "james"])
def test_cash_is_the_sum_of_all_records_to_the_cent(sandbox: Sandbox, login: str) -> None:
    app = sign_in(sandbox, login)
    (account,) = app.all("/accounts/", default_to_all_accounts="true")
    truth = sandbox.truth(login, "robinhood")["accounts"][0]
    assert Decimal(account["cash"]) == Decimal(truth["cash"]) == cash_of_orders(app) + cash_of_the_rest(app)


@pytest.mark.parametrize("login", ["maria", "james"])
def test_shares_are_the_sum_of_orders_deliveries_splits_and_transfers(sandbox: Sandbox, login: str) -> None:
    app = sign_in(sandbox, login)
    moved: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in filled(app.all("/orders/")):
        moved[row["instrument_id"]] += amount(row, "cumulative_quantity") * (1 if row["side"] == "buy" else -1)
    for row in app.all("/options/events/"):
        for part in row["equity_components"]:
            identity = part["instrument"].rstrip("/").rpartition("/")[2]
            moved[identity] += amount(part, "quantity") * (1 if part["side"] == "buy" else -1)
    for row in app.all("/corp_actions/v2/split_payments/"):
        moved[row["split"]["new_instrument_id"]] += amount(row, "new_shares") - amount(row, "old_shares")
    for row in app.get("/acats/", "bonfire", both_directions="true").json()["results"]:
        for asset in row["assets"]:
            moved[asset["instrument_id"]] += amount(asset, "quantity")
    held = {row["instrument_id"]: amount(row, "quantity") for row in app.all("/positions/", nonzero="true")}
    assert held
    assert held == {identity: quantity for identity, quantity in moved.items() if quantity}


def test_contracts_are_the_sum_of_legs_and_events(sandbox: Sandbox) -> None:
    app = sign_in(sandbox)
    moved: defaultdict[str, Decimal] = defaultdict(Decimal)
    for order in filled(app.all("/options/orders/")):
        for leg in order["legs"]:
            for execution in leg["executions"]:
                moved[leg["option"]] += amount(execution, "quantity") * (1 if leg["side"] == "buy" else -1)
    for row in app.all("/options/events/"):
        closed = amount(row, "quantity")
        moved[row["option"]] += closed if moved[row["option"]] < 0 else -closed
    held = {
        row["option"]: amount(row, "quantity") * (-1 if row["type"] == "short" else 1)
        for row in app.all("/options/positions/", nonzero="True")
    }
    assert {quantity > 0 for quantity in held.values()} == {True, False}
    assert held == {option: quantity for option, quantity in moved.items() if quantity}


@pytest.mark.parametrize("login", ["maria", "james"])
def test_coins_are_the_sum_of_their_orders(sandbox: Sandbox, login: str) -> None:
    app = sign_in(sandbox, login)
    moved: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in filled(app.all("/orders/", "nummus")):
        moved[row["currency_code"]] += amount(row, "cumulative_quantity") * (1 if row["side"] == "buy" else -1)
    held = {row["currency"]["code"]: amount(row, "quantity") for row in app.all("/holdings/", "nummus", nonzero="true")}
    assert held
    assert held == moved


def test_an_order_over_two_contracts_moves_what_its_legs_move(sandbox: Sandbox) -> None:
    app = sign_in(sandbox)
    spreads = [row for row in app.all("/options/orders/") if len(row["legs"]) == 2]
    assert len(spreads) > 10
    for order in spreads:
        legs = sum(
            amount(execution, "price") * amount(execution, "quantity") * 100 * (1 if leg["side"] == "sell" else -1)
            for leg in order["legs"]
            for execution in leg["executions"]
        )
        assert legs == signed(order, "processed_premium", "processed_premium_direction")
        fees = amount(order, "regulatory_fees")
        assert signed(order, "net_amount", "net_amount_direction") == legs - fees


def test_withholding_reinvestment_and_dividend_belong_together(sandbox: Sandbox) -> None:
    app = sign_in(sandbox)
    dividends, orders = app.all("/dividends/"), {row["id"]: row for row in app.all("/orders/")}
    withheld = [row for row in dividends if amount(row, "withholding")]
    reinvested = [row for row in dividends if row["state"] == "reinvested"]
    assert withheld
    assert reinvested
    for row in withheld:
        assert amount(row) == amount(row, "gross_amount") - amount(row, "withholding")
    for row in reinvested:
        order = orders[row["drip_order_id"]]
        assert (order["placed_agent"], order["drip_dividend_id"]) == ("drip", row["id"])
        assert amount(order, "executed_notional") == amount(row)


def test_marias_account_shows_what_the_app_can_show(sandbox: Sandbox) -> None:
    (account,) = sandbox.truth("maria", "robinhood")["accounts"]
    kinds = {event["kind"] for event in account["transactions"]}
    assert kinds >= {
        "buy", "sell", "dividend", "interest", "fee", "tax", "deposit", "withdrawal", "transfer_in", "split",
        "option_exercise", "option_assignment", "option_expiration",
    }  # fmt: skip
    assert {position["asset_class"] for position in account["positions"]} == {"stock", "etf", "option", "crypto"}
    assert any("." in position["quantity"] for position in account["positions"])
    app = sign_in(sandbox)
    assert {row["type"] for row in app.all("/options/events/")} == {"expiration", "assignment", "exercise"}
    assert {row["state"] for row in app.all("/orders/")} == {"filled", "cancelled"}
    assert {row["state"] for row in app.all("/ach/transfers/")} == {"completed", "failed"}
    assert any(len(row["executions"]) == 2 for row in app.all("/orders/"))
