"""Coins on the host nummus, by the app's token: 18 places, and times with New York's offset."""

from decimal import Decimal
from typing import Any

from django.http import HttpRequest

from connections.sandbox.book import ZERO, Account, Nature
from connections.sandbox.gate import Exchange, operation
from connections.sandbox.market import COINS, AssetClass
from connections.sandbox.robinhood.holdings import opened_at, positions_of, selected
from connections.sandbox.robinhood.listing import is_coin, pair_id
from connections.sandbox.robinhood.orders import (
    Order,
    execution_id,
    fee,
    notional,
    order_id,
    orders_of,
    placed_at,
    state_of,
    updated_at,
)
from connections.sandbox.robinhood.side import ROBINHOOD, caller
from connections.sandbox.robinhood.wire import DOLLAR_ID, asked_for, eastern, number, page, since, uid
from connections.sandbox.valuation import Valued, total

PLACES = 18
INCREMENT = "0.000000010000000000"
STATES = {"cancelled": "canceled", "confirmed": "open"}
GROUPS = {"open": "open"}


def crypto_account_id(account: Account) -> str:
    return uid(account.number, "crypto account")


def held_coins(account: Account) -> list[Valued]:
    return [held for held in positions_of(account) if held.instrument.asset_class is AssetClass.CRYPTO]


def _currency(symbol: str) -> dict[str, str]:
    return {
        "id": uid("currency", symbol), "code": symbol, "name": COINS[symbol].name, "type": "cryptocurrency",
        "increment": INCREMENT,
    }  # fmt: skip


@operation(ROBINHOOD, "crypto_accounts")
def accounts(request: HttpRequest, exchange: Exchange) -> Any:
    rows = [
        {
            "id": crypto_account_id(account), "account_number": f"C{account.number}",
            "rhs_account_number": account.number, "apex_account_number": None, "account_type": "individual",
            "status": "active", "status_reason_code": "", "is_default": True, "user_id": uid("user", account.number),
            "created_at": opened_at(account), "updated_at": opened_at(account),
        }
        for account in selected(request)
    ]  # fmt: skip
    return page(request, rows)


@operation(ROBINHOOD, "crypto_accounts")
def portfolios(request: HttpRequest, exchange: Exchange) -> Any:
    rows = []
    for account in selected(request):
        held = held_coins(account)
        worth, before = number(total(held), 2), number(total(held, previous=True), 2)
        rows.append({
            "id": uid(account.number, "crypto portfolio"), "account_id": crypto_account_id(account), "equity": worth,
            "market_value": worth, "previous_close": before, "extended_hours_equity": worth,
            "extended_hours_market_value": worth, "updated_at": opened_at(account),
        })  # fmt: skip
    return page(request, rows)


@operation(ROBINHOOD, "currency_pairs")
def currency_pairs(request: HttpRequest, exchange: Exchange) -> Any:
    caller(request)
    dollar = {"id": DOLLAR_ID, "code": "USD", "name": "US Dollar", "type": "fiat", "increment": "0.010000"}
    rows = [
        {
            "id": pair_id(symbol), "symbol": f"{symbol}-USD", "name": f"{coin.name} to US Dollar",
            "asset_currency": _currency(symbol), "quote_currency": dollar, "tradability": "tradable",
            "min_order_size": "0.000001", "max_order_size": "20.0000", "min_order_price_increment": "0.010000",
            "min_order_quantity_increment": INCREMENT, "display_only": False,
        }
        for symbol, coin in COINS.items()
    ]  # fmt: skip
    return page(request, rows)


@operation(ROBINHOOD, "crypto_holdings")
def holdings(request: HttpRequest, exchange: Exchange) -> Any:
    rows = []
    for account in selected(request):
        for held in held_coins(account):
            rows.append(_holding(account, held.instrument.symbol, held.quantity, held.holding.average_price))
    return page(request, rows)


def _holding(account: Account, symbol: str, quantity: Decimal, average: Decimal) -> dict[str, Any]:
    size, cost = number(quantity, PLACES), number(quantity * average, PLACES)
    zero = number(ZERO, PLACES)
    times = [event.at for event in account.events if event.symbol == symbol]
    unused = ("quantity_held", "quantity_held_for_buy", "quantity_held_for_sell", "quantity_staked")
    empty = (
        "direct_reward_cost_basis", "direct_reward_quantity", "direct_transfer_cost_basis", "direct_transfer_quantity",
        "intraday_cost_basis", "intraday_quantity", "marked_cost_basis", "marked_quantity",
    )  # fmt: skip
    basis = {
        "id": uid(account.number, "cost basis", symbol), "currency_id": DOLLAR_ID, "direct_cost_basis": cost,
        "direct_quantity": size, **dict.fromkeys(empty, zero),
    }  # fmt: skip
    return {
        "id": uid(account.number, "coin", symbol), "account_id": crypto_account_id(account),
        "currency": _currency(symbol), "currency_pair_id": pair_id(symbol), "quantity": size,
        "quantity_available": size, **dict.fromkeys(unused, zero), "quantity_transferable": size,
        "cost_bases": [basis], "tax_lot_cost_bases": [], "created_at": eastern(min(times)),
        "updated_at": eastern(max(times)),
    }  # fmt: skip


@operation(ROBINHOOD, "crypto_orders")
def orders(request: HttpRequest, exchange: Exchange) -> Any:
    start, groups = since(request, "updated_at", "created_at"), asked_for(request, "state_group")
    rows = [
        _order(account, order)
        for account in selected(request)
        for order in orders_of(account, is_coin)
        if start is None or updated_at(order) >= start
    ]
    return page(request, [row for row in rows if groups is None or row["state_group"] in groups])


def _order(account: Account, order: Order) -> dict[str, Any]:
    first, identity = order[0], order_id(account, order)
    assert first.symbol is not None
    state = STATES.get(state_of(order), "filled")
    size, moved = sum((abs(event.quantity) for event in order), ZERO), sum((notional(event) for event in order), ZERO)
    paid, price = fee(order), number(first.price or ZERO, 2)
    ratio = number(paid / moved, 4) if moved else "0.0000"
    fee_row = {
        "fee_structure": "fee_tier",
        "fee_data": {"fee_type": "taker", "fee_amount": number(paid, 2), "fee_ratio": ratio},
    }
    executions = [
        {
            "id": execution_id(account, event), "effective_price": number(event.price or ZERO, 2),
            "quantity": number(abs(event.quantity), PLACES), "notional": number(notional(event), 2),
            "fee_ratio": ratio, "liquidity_role": "taker", "timestamp": eastern(event.at),
        }
        for event in order
        if event.quantity
    ]  # fmt: skip
    return {
        "id": identity, "ref_id": uid("ref", identity), "account_id": crypto_account_id(account),
        "currency_pair_id": pair_id(first.symbol), "currency_code": first.symbol,
        "side": "sell" if first.nature is Nature.ORDER_SELL else "buy", "type": "market", "time_in_force": "gtc",
        "state": state, "state_group": GROUPS.get(state, "closed"), "derived_state": state, "price": price,
        "entered_price": price, "limit_price": None, "stop_price": None, "quantity": number(size, PLACES),
        "cumulative_quantity": number(size, PLACES), "average_price": number(first.price or ZERO, PLACES),
        "rounded_executed_notional": number(moved, 2), "total_executed_notional": number(moved, 2),
        "fees": [fee_row] if paid else [], "executions": executions, "cancel_url": None,
        "canceled_at": eastern(first.posted_at) if state == "canceled" else None, "initiator_type": None,
        "created_at": eastern(placed_at(order)), "updated_at": eastern(updated_at(order)),
    }  # fmt: skip
