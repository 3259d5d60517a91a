"""Tools of the MCP server: those that read, and those that trade, which are listed and refuse."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from connections.sandbox.book import ZERO, Account
from connections.sandbox.market import AssetClass
from connections.sandbox.robinhood.bars import get_equity_historicals
from connections.sandbox.robinhood.coins import GROUPS, crypto_account_id, held_coins
from connections.sandbox.robinhood.coins import STATES as COIN_STATES
from connections.sandbox.robinhood.holdings import OPTION, positions_of
from connections.sandbox.robinhood.listing import (
    SHARES,
    chain_id,
    is_coin,
    is_option,
    is_share,
    option_id,
    pair_id,
)
from connections.sandbox.robinhood.orders import (
    AGENTS,
    Order,
    dividend_before,
    execution_id,
    fee,
    notional,
    order_id,
    orders_of,
    placed_at,
    state_of,
    updated_at,
)
from connections.sandbox.robinhood.prices import (
    get_crypto_quotes,
    get_equity_quotes,
    get_option_instruments,
    get_option_quotes,
)
from connections.sandbox.robinhood.side import accounts_of
from connections.sandbox.robinhood.tool import Arguments, Tool, ToolError, page
from connections.sandbox.robinhood.wire import day, instant, number, uid
from connections.sandbox.valuation import total
from connections.sandbox.world import WORLD

GUIDES = "Amounts are US dollars as text. Follow next until it is empty."


def _account(login: str, arguments: Arguments, name: str = "account_number") -> Account:
    wanted = arguments[name]
    for account in accounts_of(login):
        if account.number == wanted:
            return account
    raise ToolError("NOT_FOUND: no such account")


# Accounts


def get_accounts(login: str, arguments: Arguments) -> dict[str, Any]:
    return {
        "accounts": [
            {
                "account_number": account.number, "rhs_account_number": account.number,
                "rhc_account_number": f"C{account.number}", "type": "margin" if account.margin else "cash",
                "brokerage_account_type": "individual", "nickname": "", "is_default": True, "agentic_allowed": False,
                "option_level": "option_level_3" if account.margin else "option_level_0", "affiliate": "RHF",
                "state": "active", "deactivated": account.is_closed, "permanently_deactivated": account.is_closed,
                "unsettled_funds": "0.0000",
            }
            for account in accounts_of(login)
        ]
    }  # fmt: skip


def get_portfolio(login: str, arguments: Arguments) -> dict[str, Any]:
    account = _account(login, arguments)
    held = positions_of(account)
    power = number(max(account.cash, ZERO), 2)
    none = dict.fromkeys(
        ("futures_value", "event_contracts_value", "mutual_funds_value", "fixed_income_value", "pending_deposits"),
        "0.00",
    )
    return {
        "total_value": number(account.cash + total(held), 2), "equity_value": number(total(held, *SHARES), 2),
        "options_value": number(total(held, OPTION), 2), "crypto_value": number(total(held, AssetClass.CRYPTO), 2),
        "cash": number(account.cash, 2), **none, "currency": "USD",
        "buying_power": {"buying_power": power, "unleveraged_buying_power": power, "display_currency": "USD"},
        "crypto_buying_power": power,
    }  # fmt: skip


# Positions


def get_equity_positions(login: str, arguments: Arguments) -> dict[str, Any]:
    account = _account(login, arguments)
    rows = [
        {
            "symbol": symbol, "quantity": number(holding.quantity, 8), "intraday_quantity": "0.00000000",
            "average_buy_price": number(holding.average_price),
            "shares_available_for_sells": number(max(holding.quantity, ZERO), 8),
            "type": "short" if holding.quantity < 0 else "long",
        }
        for symbol, holding in account.holdings.items()
        if is_share(symbol)
    ]  # fmt: skip
    return page("positions", rows, arguments)


def get_option_positions(login: str, arguments: Arguments) -> dict[str, Any]:
    """Without `nonzero` also those that are over. Strike and right are told by the contract only."""
    account = _account(login, arguments)
    known = {event.symbol for event in account.events if event.symbol and is_option(event.symbol)}
    symbols = sorted(symbol for symbol in known if symbol in account.holdings or not arguments.get("nonzero"))
    return page("positions", [_option_position(account, symbol) for symbol in symbols], arguments)


def _option_position(account: Account, symbol: str) -> dict[str, Any]:
    terms, holding = WORLD.market.known(symbol).terms, account.holdings.get(symbol)
    quantity, paid = (holding.quantity, holding.average_price) if holding else (ZERO, ZERO)
    pending = ("buy", "sell", "exercise", "assignment", "expiration")
    return {
        "option_id": option_id(symbol), "chain_id": chain_id(terms.underlying), "chain_symbol": terms.underlying,
        "type": "short" if quantity < 0 else "long", "quantity": number(abs(quantity)),
        "average_price": number(paid * 100 * (-1 if quantity < 0 else 1)), "expiration_date": day(terms.expires_on),
        "trade_value_multiplier": "100.0000", "intraday_average_open_price": "0.0000", "intraday_quantity": "0.0000",
        **{f"pending_{name}_quantity": "0.0000" for name in pending},
    }  # fmt: skip


def get_crypto_positions(login: str, arguments: Arguments) -> dict[str, Any]:
    account = _account(login, arguments, "rhs_account_number")
    rows = []
    for held in held_coins(account):
        coin, size, nothing = held.instrument, number(held.quantity, 18), number(ZERO, 18)
        bought = {
            "direct_quantity": size, "direct_cost_basis": number(held.quantity * held.holding.average_price, 18),
            "intraday_quantity": nothing, "intraday_cost_basis": nothing,
        }  # fmt: skip
        rows.append({
            "account_id": crypto_account_id(account),
            "currency": {"code": coin.symbol, "name": coin.name, "type": "cryptocurrency"},
            "currency_pair_id": pair_id(coin.symbol), "quantity": size, "quantity_transferable": size,
            "quantity_held_for_sell": nothing, "cost_bases": [bought],
        })  # fmt: skip
    return page("results", rows, arguments)


# Orders


def _orders(
    account: Account,
    arguments: Arguments,
    belongs: Callable[[str | None], bool],
    write: Callable[[Account, Order], dict[str, Any]],
    name: str = "orders",
) -> dict[str, Any]:
    start = _since(arguments)
    rows = [
        write(account, order)
        for order in orders_of(account, belongs)
        if (start is None or placed_at(order) >= start)
        and arguments.get("state") in (None, state_of(order))
        and arguments.get("symbol") in (None, order[0].symbol)
    ]
    return page(name, rows, arguments)


def _since(arguments: Arguments) -> datetime | None:
    if not (text := arguments.get("created_at_gte")):
        return None
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise ToolError("INVALID_ARGUMENT: created_at_gte") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def get_equity_orders(login: str, arguments: Arguments) -> dict[str, Any]:
    return _orders(_account(login, arguments), arguments, is_share, _equity_order)


def get_option_orders(login: str, arguments: Arguments) -> dict[str, Any]:
    return _orders(_account(login, arguments), arguments, is_option, _option_order)


def get_crypto_orders(login: str, arguments: Arguments) -> dict[str, Any]:
    account = _account(login, arguments, "rhs_account_number")
    told = {"rhs_account_number": account.number, "crypto_account_number": f"C{account.number}"}
    return told | _orders(account, arguments, is_coin, _crypto_order, "results")


def _common(account: Account, order: Order, places: int) -> dict[str, Any]:
    first = order[0]
    size = sum((abs(event.quantity) for event in order), ZERO)
    return {
        "id": order_id(account, order), "symbol": first.symbol, "side": "sell" if first.quantity < 0 else "buy",
        "type": "market" if size else "limit", "state": state_of(order),
        "quantity": number(size or first.memo, places), "cumulative_quantity": number(size, places),
        "average_price": number(first.price or ZERO, 8) if size else None, "fees": number(fee(order), 2),
        "created_at": instant(placed_at(order)), "last_transaction_at": instant(order[-1].at),
        "executions": [
            {
                "id": execution_id(account, event), "price": number(event.price or ZERO, 8),
                "quantity": number(abs(event.quantity), places), "timestamp": instant(event.at),
                "fees": number(event.fee_total, 2),
            }
            for event in order
            if event.quantity
        ],
    }  # fmt: skip


def _equity_order(account: Account, order: Order) -> dict[str, Any]:
    first = order[0]
    by_dollars = number(notional(first), 2) if first.note in ("dollars", "recurring") else None
    agent = "drip" if dividend_before(account, first) else AGENTS.get(first.note, "user")
    return _common(account, order, 8) | {"dollar_based_amount": by_dollars, "placed_agent": agent}


def _crypto_order(account: Account, order: Order) -> dict[str, Any]:
    """As a list has it: the executions are left out, and a fee is there only where one was charged."""
    first, identity, moved = order[0], order_id(account, order), sum((notional(event) for event in order), ZERO)
    size, paid = number(sum((abs(event.quantity) for event in order), ZERO), 18), fee(order)
    state = COIN_STATES.get(state_of(order), "filled")
    row = {
        "id": identity, "ref_id": uid("ref", identity), "account_id": crypto_account_id(account),
        "currency_pair_id": pair_id(first.symbol or ""), "currency_code": first.symbol,
        "side": "sell" if first.quantity < 0 else "buy", "type": "market", "state": state, "derived_state": state,
        "state_group": GROUPS.get(state, "closed"), "time_in_force": "gtc", "quantity": size,
        "cumulative_quantity": size, "average_price": number(first.price or ZERO, 8),
        "limit_price": None, "stop_price": None, "rounded_executed_notional": number(moved, 2),
        "net_rounded_executed_notional": number(abs(sum((event.cash for event in order), ZERO)), 2),
        "created_at": instant(placed_at(order)), "updated_at": instant(updated_at(order)), "canceled_at": None,
    }  # fmt: skip
    return row | ({"fee": number(paid, 2), "fee_rate": "0.60%"} if paid else {})


def _option_order(account: Account, order: Order) -> dict[str, Any]:
    premium = sum((event.cash + event.fee_total for event in order), ZERO)
    net = sum((event.cash for event in order), ZERO)
    first = order[0]
    return {
        "id": order_id(account, order), "chain_symbol": WORLD.market.known(first.symbol or "").terms.underlying,
        "state": state_of(order), "type": "limit", "direction": _side(premium),
        "quantity": number(min(abs(event.quantity) for event in order), 5),
        "processed_quantity": number(min(abs(event.quantity) for event in order), 5),
        "processed_premium": number(abs(premium), 2), "processed_premium_direction": _side(premium),
        "net_amount": number(abs(net), 2), "net_amount_direction": _side(net),
        "regulatory_fees": number(fee(order), 2), "contract_fees": "0.00", "placed_agent": "user",
        "created_at": instant(placed_at(order)), "updated_at": instant(updated_at(order)),
        "legs": [_leg(account, order, place) for place in range(len(order))],
    }  # fmt: skip


def _side(amount: Decimal) -> str:
    return "credit" if amount > 0 else "debit"


def _leg(account: Account, order: Order, place: int) -> dict[str, Any]:
    event = order[place]
    terms = WORLD.market.known(event.symbol or "").terms
    execution = {
        "id": execution_id(account, event), "price": number(event.price or ZERO, 8),
        "quantity": number(abs(event.quantity), 5), "timestamp": instant(event.at),
    }  # fmt: skip
    return {
        "option_id": option_id(event.symbol or ""), "option_type": terms.right.lower(),
        "strike_price": number(terms.strike), "expiration_date": day(terms.expires_on),
        "side": "sell" if event.quantity < 0 else "buy", "position_effect": "close" if event.closing else "open",
        "ratio_quantity": 1, "executions": [execution],
    }  # fmt: skip


def refuse_to_trade(login: str, arguments: Arguments) -> dict[str, Any]:
    raise ToolError("FORBIDDEN: trading is allowed only in an Agentic account, and there is none")


ACCOUNT, RHS_ACCOUNT = ("account_number",), ("rhs_account_number",)
FILTERS = ("state", "symbol", "created_at_gte", "cursor")
READING = (
    Tool("get_accounts", "List the user's accounts.", get_accounts),
    Tool("get_portfolio", "Value of one account.", get_portfolio, ACCOUNT),
    Tool("get_equity_positions", "Shares held.", get_equity_positions, ACCOUNT, ("cursor",)),
    Tool("get_equity_orders", "Orders of shares.", get_equity_orders, ACCOUNT, FILTERS),
    Tool("get_equity_quotes", "Last prices.", get_equity_quotes, ("symbols",)),
    Tool(
        "get_equity_historicals", "Bars of prices.", get_equity_historicals, ("symbols", "start_time"),
        ("end_time", "interval", "bounds", "adjustment_type"),
    ),
    Tool("get_option_positions", "Options held.", get_option_positions, ACCOUNT, ("nonzero", "cursor")),
    Tool("get_option_orders", "Orders of options.", get_option_orders, ACCOUNT, FILTERS),
    Tool(
        "get_option_instruments", "Option contracts.", get_option_instruments, (),
        ("ids", "chain_symbol", "state", "cursor"),
    ),
    Tool("get_option_quotes", "Prices of options.", get_option_quotes, ("instrument_ids",)),
    Tool("get_crypto_positions", "Coins held.", get_crypto_positions, RHS_ACCOUNT, ("cursor",)),
    Tool("get_crypto_orders", "Orders of coins.", get_crypto_orders, RHS_ACCOUNT, FILTERS),
    Tool("get_crypto_quotes", "Prices of coins.", get_crypto_quotes, ("symbols",), RHS_ACCOUNT),
)  # fmt: skip
TRADING = tuple(
    Tool(name, text, refuse_to_trade, ACCOUNT, ("symbol", "side", "quantity"), reads=False)
    for name, text in (
        ("place_equity_order", "Buy or sell shares."),
        ("cancel_equity_order", "Cancel an order of shares."),
        ("place_option_order", "Buy or sell options."),
        ("cancel_option_order", "Cancel an order of options."),
        ("place_crypto_order", "Buy or sell coins."),
        ("cancel_crypto_order", "Cancel an order of coins."),
    )
)
TOOLS = {tool.name: tool for tool in (*READING, *TRADING)}
READ_TOOLS = tuple(tool.name for tool in READING)
