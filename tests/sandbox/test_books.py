"""The books balance: what Schwab's side reports as cash and positions follows from its own rows."""

from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest
import requests

from tests.plugins.sandbox_server import Sandbox
from tests.sandbox.schwab_app import App, sign_in

CASHLESS = ("MEMORANDUM", "SMA_ADJUSTMENT")
EVERY_KIND = {
    "buy", "sell", "dividend", "interest", "fee", "tax", "deposit", "withdrawal", "transfer_in", "transfer_out",
    "split", "option_exercise", "option_assignment", "option_expiration", "other",
}  # fmt: skip


def exact(response: requests.Response) -> Any:
    """The body with its numbers as they are printed, not as floats."""
    return response.json(parse_float=Decimal, parse_int=Decimal)


def rows_of(app: App, account: str) -> list[dict[str, Any]]:
    return [row for row in app.everything(account) if row["status"] == "VALID"]


def told(app: App, account: str) -> dict[str, Any]:
    body: dict[str, Any] = exact(app.get(f"/trader/v1/accounts/{account}", fields="positions"))["securitiesAccount"]
    return body


@pytest.mark.parametrize("login", ["maria", "james"])
def test_positions_are_the_sum_of_the_rows(sandbox: Sandbox, login: str) -> None:
    app = sign_in(sandbox, login)
    for account in app.hashes().values():
        summed: defaultdict[str, Decimal] = defaultdict(Decimal)
        for row in rows_of(app, account):
            for item in row["transferItems"]:
                if item["instrument"]["assetType"] != "CURRENCY":
                    summed[item["instrument"]["symbol"]] += Decimal(repr(item["amount"]))
        held = {
            position["instrument"]["symbol"]: position["longQuantity"] - position["shortQuantity"]
            for position in told(app, account)["positions"]
        }
        assert held == {symbol: quantity for symbol, quantity in summed.items() if quantity}
        assert held


@pytest.mark.parametrize("login", ["maria", "james"])
def test_cash_is_the_sum_of_the_net_amounts_to_the_cent(sandbox: Sandbox, login: str) -> None:
    app = sign_in(sandbox, login)
    for account in app.hashes().values():
        rows = [row for row in rows_of(app, account) if row["type"] not in CASHLESS]
        balances = told(app, account)["currentBalances"]
        cash = balances["cashBalance"] + balances.get("marginBalance", Decimal(0))
        assert cash == sum((Decimal(repr(row["netAmount"])) for row in rows), Decimal(0))


def test_the_value_is_cash_and_positions_together(sandbox: Sandbox) -> None:
    app = sign_in(sandbox)
    for account in app.hashes().values():
        body = told(app, account)
        balances = body["currentBalances"]
        worth = sum((position["marketValue"] for position in body["positions"]), Decimal(0))
        assert balances["liquidationValue"] == balances["cashBalance"] + worth


def test_the_net_amount_of_a_trade_is_the_sum_of_its_items(sandbox: Sandbox) -> None:
    app = sign_in(sandbox)
    trades = [row for account in app.hashes().values() for row in rows_of(app, account) if row["type"] == "TRADE"]
    assert len(trades) > 500
    for row in trades:
        costs = sum((Decimal(repr(item["cost"])) for item in row["transferItems"]), Decimal(0))
        assert costs == Decimal(repr(row["netAmount"])), row["activityId"]


def test_every_number_reads_back_as_the_exact_one(sandbox: Sandbox) -> None:
    app = sign_in(sandbox)
    by_id = {row["activityId"]: row for account in app.hashes().values() for row in app.everything(account)}
    for account in sandbox.truth("maria")["accounts"]:
        for event in account["transactions"]:
            row = by_id[int(event["activity_id"])]
            if row["type"] not in CASHLESS:
                assert Decimal(repr(row["netAmount"])) == Decimal(event["net_amount"])
            if event["quantity"] is not None:
                assert Decimal(repr(row["transferItems"][-1]["amount"])) == Decimal(event["quantity"])


def test_marias_five_years_show_everything_a_statement_can_show(sandbox: Sandbox) -> None:
    accounts = sandbox.truth("maria")["accounts"]
    events = [event for account in accounts for event in account["transactions"]]
    assert {event["kind"] for event in events} == EVERY_KIND
    assert {position["asset_class"] for account in accounts for position in account["positions"]} == {
        "stock", "etf", "option", "bond", "money_fund",
    }  # fmt: skip
    assert 600 <= len(events) <= 2_000
    assert len({event["activity_id"] for event in events}) == len(events)


def test_two_fills_of_one_order_differ_in_nothing_but_their_id(sandbox: Sandbox) -> None:
    events = sandbox.truth("maria")["accounts"][0]["transactions"]
    alike: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for event in events:
        if event["order_id"]:
            alike[tuple(str(value) for name, value in event.items() if name != "activity_id")].append(
                event["activity_id"]
            )
    twins = [ids for ids in alike.values() if len(ids) == 2]
    assert twins
    assert all(first != second for first, second in twins)


def test_the_split_multiplies_the_shares_and_moves_no_cash(sandbox: Sandbox) -> None:
    events = sandbox.truth("maria")["accounts"][0]["transactions"]
    (split,) = [event for event in events if event["kind"] == "split"]
    held = sum(
        Decimal(event["quantity"])
        for event in events
        if event["symbol"] == "NVDA" and event["quantity"] and event["occurred_at"] < split["occurred_at"]
    )
    assert Decimal(split["quantity"]) == held * 9
    assert split["net_amount"] == "0"


def test_an_assigned_or_exercised_option_moves_the_shares_at_the_strike(sandbox: Sandbox) -> None:
    events = sandbox.truth("maria")["accounts"][0]["transactions"]
    ended = [event for event in events if event["kind"] in ("option_assignment", "option_exercise")]
    assert {event["kind"] for event in ended} == {"option_assignment", "option_exercise"}
    for option in ended:
        strike = Decimal(option["symbol"][13:]) / 1000
        legs = [
            event
            for event in events
            if event["nature"].startswith("delivery") and event["occurred_at"] == option["occurred_at"]
        ]
        assert any(
            Decimal(leg["price"]) == strike
            and abs(Decimal(leg["quantity"])) == 100 * abs(Decimal(option["quantity"]))
            and leg["symbol"] == option["symbol"][:6].strip()
            for leg in legs
        )


def test_the_story_is_the_same_after_every_reset(sandbox: Sandbox) -> None:
    before = sandbox.truth("maria")["accounts"]
    sandbox.backdate("40012345", kind="buy", symbol="KO", quantity=3)
    sandbox.reset()
    assert sandbox.truth("maria")["accounts"] == before
