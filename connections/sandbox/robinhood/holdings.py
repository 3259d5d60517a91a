"""Accounts, portfolios and what is held: shares, options, coins."""

from decimal import Decimal
from typing import Any

from django.http import HttpRequest

from connections.sandbox.book import ZERO, Account
from connections.sandbox.gate import Exchange, Refusal, operation
from connections.sandbox.market import AssetClass
from connections.sandbox.robinhood.listing import (
    NOT_FOUND,
    SHARES,
    account_url,
    chain_id,
    is_option,
    is_share,
    option_id,
    option_url,
    share_id,
    share_url,
)
from connections.sandbox.robinhood.side import ROBINHOOD, accounts_of, caller
from connections.sandbox.robinhood.wire import api, asked_for, day, instant, money, number, page, uid
from connections.sandbox.valuation import Valued, total, valued
from connections.sandbox.world import WORLD

OPTION, CRYPTO = AssetClass.OPTION, AssetClass.CRYPTO
NO, NOTHING = "0.0000", "0.00000000"
CONTRACT = 100


def selected(request: HttpRequest, *methods: str) -> list[Account]:
    """The caller's accounts, narrowed by `account_number` or `account_numbers`. Raises Refusal."""
    accounts = accounts_of(caller(request, *methods))
    wanted = asked_for(request, "account_number", "account_numbers")
    return [account for account in accounts if wanted is None or account.number in wanted]


def one(request: HttpRequest, account_number: str) -> Account:
    """Raises Refusal: another person's account is not found."""
    for account in accounts_of(caller(request)):
        if account.number == account_number:
            return account
    raise Refusal(404, NOT_FOUND)


def positions_of(account: Account) -> list[Valued]:
    return valued(account, WORLD.market, WORLD.clock.today())


def opened_at(account: Account) -> str:
    return instant(account.events[0].at if account.events else WORLD.clock.now())


@operation(ROBINHOOD, "accounts")
def accounts(request: HttpRequest, exchange: Exchange) -> Any:
    return page(request, [_account(request, account) for account in selected(request)])


@operation(ROBINHOOD, "accounts")
def account_detail(request: HttpRequest, exchange: Exchange, account_number: str) -> Any:
    return _account(request, one(request, account_number))


def _account(request: HttpRequest, account: Account) -> dict[str, Any]:
    cash, owner = number(account.cash), WORLD.people.owner_of(account.number)
    power = number(max(account.cash, ZERO))
    balances = {
        "unsettled_funds": NO, "unsettled_debit": NO, "uncleared_deposits": NO, "pending_deposit": NO,
        "instant_allocated": NO, "instant_used": NO,
    }  # fmt: skip
    margin = {
        "unallocated_margin_cash": cash, "margin_limit": "5000.0000", "overnight_buying_power": power,
        "day_trade_buying_power": power, "settled_amount_borrowed": number(max(-account.cash, ZERO)),
        "outstanding_interest": NO, "leverage_enabled": True, **balances,
    }  # fmt: skip
    return {
        "url": account_url(request, account), "account_number": account.number,
        "rhs_account_number": account.number, "user": api(request, "/user/"),
        "user_id": uid("user", owner.login if owner else ""), "type": "margin" if account.margin else "cash",
        "brokerage_account_type": "individual", "state": "active", "nickname": "", "affiliate": "RHF",
        "management_type": "self_directed", "is_default": True, "is_original": True, "cash": cash,
        "portfolio_cash": cash, "buying_power": power, "crypto_buying_power": number(max(account.cash, ZERO), 2),
        "cash_available_for_withdrawal": power, "cash_held_for_orders": NO, "unsettled_funds": NO,
        "unsettled_debit": NO, "uncleared_deposits": NO, "sma": "0", "max_ach_early_access_amount": "1000.00",
        "cash_balances": None if account.margin else {"cash": cash, "buying_power": power, **balances},
        "margin_balances": margin if account.margin else None,
        "option_level": "option_level_3" if account.margin else "option_level_0", "drip_enabled": True,
        "sweep_enabled": True, "sweep_enrolled": True, "cash_management_enabled": True,
        "deactivated": account.is_closed, "permanently_deactivated": account.is_closed, "withdrawal_halted": False,
        "deposit_halted": False,
        "only_position_closing_trades": False, "locked": False, "created_at": opened_at(account),
        "updated_at": instant(account.events[-1].posted_at) if account.events else opened_at(account),
    }  # fmt: skip


@operation(ROBINHOOD, "portfolios")
def portfolios(request: HttpRequest, exchange: Exchange) -> Any:
    return page(request, [_portfolio(request, account) for account in selected(request)])


@operation(ROBINHOOD, "portfolios")
def portfolio(request: HttpRequest, exchange: Exchange, account_number: str) -> Any:
    return _portfolio(request, one(request, account_number))


def _portfolio(request: HttpRequest, account: Account) -> dict[str, Any]:
    """Brokerage only: coins are no part of it."""
    held = positions_of(account)
    market, before = total(held, *SHARES, OPTION), total(held, *SHARES, OPTION, previous=True)
    equity, equity_before = number(account.cash + market), number(account.cash + before)
    return {
        "url": api(request, f"/portfolios/{account.number}/"), "account": account_url(request, account),
        "start_date": opened_at(account)[:10], "equity": equity, "market_value": number(market),
        "extended_hours_equity": None, "extended_hours_market_value": None, "extended_hours_portfolio_equity": None,
        "last_core_equity": equity, "last_core_market_value": number(market), "last_core_portfolio_equity": equity,
        "equity_previous_close": "0", "adjusted_equity_previous_close": equity_before,
        "portfolio_equity_previous_close": equity_before, "withdrawable_amount": number(max(account.cash, ZERO)),
        "unwithdrawable_deposits": NO, "unwithdrawable_grants": NO, "excess_margin": equity,
        "excess_maintenance": equity, "display_currency": "USD",
    }  # fmt: skip


@operation(ROBINHOOD, "live")
def live(request: HttpRequest, exchange: Exchange, account_number: str) -> Any:
    account = one(request, account_number)
    held, cash = positions_of(account), number(account.cash, 2)
    zeros = dict.fromkeys(
        ("futures_cash", "futures_market_value", "event_contracts_cash", "event_contracts_market_value",
         "pending_deposits", "early_access_amount"), "0.00",
    )  # fmt: skip
    return {
        "account_number": account.number, "currency": "USD", "cash": cash, "brokerage_cash": cash,
        "equity_market_value": number(total(held, *SHARES), 2), "option_market_value": number(total(held, OPTION), 2),
        "forex_market_value": number(total(held, CRYPTO), 2), "margin_used": number(max(-account.cash, ZERO), 2),
        "last_core_portfolio_equity": number(account.cash + total(held, *SHARES, OPTION), 2), **zeros,
    }  # fmt: skip


@operation(ROBINHOOD, "unified")
def unified(request: HttpRequest, exchange: Exchange) -> Any:
    """The default account as a whole: one object, not a list."""
    account = accounts_of(caller(request))[0]
    held = positions_of(account)
    market, coins = total(held, *SHARES, OPTION), total(held, CRYPTO)
    cash, worth = money(max(account.cash, ZERO)), money(account.cash + market + coins)
    before = money(account.cash + total(held, previous=True))
    return {
        "account_buying_power": cash, "crypto_buying_power": cash, "options_buying_power": cash,
        "uninvested_cash": money(account.cash), "withdrawable_cash": cash, "portfolio_equity": worth,
        "total_equity": worth, "total_market_value": money(market + coins), "previous_close": before,
        "portfolio_previous_close": before, "cash_held_for_orders": money(ZERO), "near_margin_call": False,
        "crypto": {"equity": money(coins), "market_value": money(coins), "opened_at": opened_at(account)},
        "equities": {
            "equity": money(account.cash + market), "market_value": money(market), "opened_at": opened_at(account),
            "rhs_account_number": account.number, "apex_account_number": None, "active_subscription_id": None,
        },
    }  # fmt: skip


@operation(ROBINHOOD, "accounts")
def transfer_accounts(request: HttpRequest, exchange: Exchange) -> Any:
    rows = [
        {
            "account_id": account.number, "account_name": account.name, "account_number": account.number,
            "type": "rhs_account", "status": "approved", "is_external": False, "display_title": account.name,
            "withdrawable_cash": money(max(account.cash, ZERO)),
        }
        for account in selected(request)
    ]  # fmt: skip
    return {"results": rows}


@operation(ROBINHOOD, "accounts")
def user(request: HttpRequest, exchange: Exchange) -> Any:
    login = caller(request)
    person = WORLD.people.get(login)
    return {
        "id": uid("user", login), "username": login, "email": f"{login}@example.test",
        "first_name": person.first_name if person else "", "last_name": person.last_name if person else "",
        "created_at": min((opened_at(account) for account in accounts_of(login)), default=None),
    }  # fmt: skip


# Positions


@operation(ROBINHOOD, "positions")
def positions(request: HttpRequest, exchange: Exchange) -> Any:
    """With `nonzero=true` only what is held; otherwise also what once was."""
    rows = []
    for account in selected(request):
        held = account.holdings
        symbols = set(held) if wants_nonzero(request) else {event.symbol for event in account.events}
        rows += [_position(request, account, symbol) for symbol in sorted(filter(is_share, symbols), key=str)]
    return page(request, rows)


def wants_nonzero(request: HttpRequest) -> bool:
    return request.GET.get("nonzero", "").lower() == "true"


def _position(request: HttpRequest, account: Account, symbol: str | None) -> dict[str, Any]:
    assert symbol is not None
    holding, identity = account.holdings.get(symbol), share_id(symbol)
    quantity = holding.quantity if holding else ZERO
    average = holding.average_price if holding else ZERO
    size = number(abs(quantity), 8)
    none_held = dict.fromkeys(
        ("intraday_quantity", "shares_held_for_buys", "shares_held_for_sells", "shares_held_for_stock_grants",
         "shares_held_for_options_events", "shares_held_for_options_collateral", "shares_held_for_asset_transfer",
         "ipo_allocated_quantity"), NOTHING,
    )  # fmt: skip
    times = [event.at for event in account.events if event.symbol == symbol]
    return {
        "url": api(request, f"/positions/{account.number}/{identity}/"), "account": account_url(request, account),
        "account_number": account.number, "symbol": symbol, "instrument": share_url(request, symbol),
        "instrument_id": identity, "type": "short" if quantity < 0 else "long", "brokerage_account_type": "individual",
        "quantity": number(quantity, 8), "average_buy_price": number(average),
        "pending_average_buy_price": number(average), "clearing_average_cost": number(average),
        "clearing_cost_basis": number(average * quantity), "clearing_direction": "long",
        "clearing_running_quantity": size, "intraday_average_buy_price": NO, "shares_available_for_sells": size,
        "shares_available_for_exercise": size, **none_held, "avg_cost_affected": False, "is_pnl_accurate": True,
        "created_at": instant(min(times)), "updated_at": instant(max(times)),
    }  # fmt: skip


@operation(ROBINHOOD, "option_positions")
def option_positions(request: HttpRequest, exchange: Exchange) -> Any:
    rows = []
    for account in selected(request):
        held = account.holdings
        symbols = set(held) if wants_nonzero(request) else {event.symbol for event in account.events}
        rows += [_option_position(request, account, symbol) for symbol in sorted(filter(is_option, symbols), key=str)]
    return page(request, rows)


def _option_position(request: HttpRequest, account: Account, symbol: str | None) -> dict[str, Any]:
    """The average price is per contract, negative for what was sold; the size never is."""
    assert symbol is not None
    terms, holding = WORLD.market.known(symbol).terms, account.holdings.get(symbol)
    quantity = holding.quantity if holding else ZERO
    average = (holding.average_price * CONTRACT if holding else ZERO) * (-1 if quantity < 0 else 1)
    identity = uid(account.number, "option position", symbol)
    times = [event.at for event in account.events if event.symbol == symbol]
    zeros = dict.fromkeys(
        ("intraday_quantity", "intraday_average_open_price", "pending_buy_quantity", "pending_sell_quantity",
         "pending_exercise_quantity", "pending_assignment_quantity", "pending_expiration_quantity"), NO,
    )  # fmt: skip
    return {
        "id": identity, "url": api(request, f"/options/positions/{identity}/"),
        "account": account_url(request, account), "account_number": account.number,
        "chain_id": chain_id(terms.underlying), "chain_symbol": terms.underlying,
        "option": option_url(request, symbol), "option_id": option_id(symbol),
        "type": "short" if quantity < 0 else "long", "quantity": number(abs(quantity)),
        "average_price": number(average), "trade_value_multiplier": "100.0000",
        "expiration_date": day(terms.expires_on), **zeros, "clearing_cost_basis": number(average * abs(quantity)),
        "clearing_running_quantity": number(abs(quantity)), "clearing_direction": "debit" if quantity > 0 else "credit",
        "opened_at": instant(min(times)), "created_at": instant(min(times)), "updated_at": instant(max(times)),
    }  # fmt: skip


@operation(ROBINHOOD, "option_positions")
def aggregate_positions(request: HttpRequest, exchange: Exchange) -> Any:
    """Each contract stands for itself here, also a leg of a spread."""
    rows = []
    for account in selected(request):
        for symbol, holding in account.holdings.items():
            if is_option(symbol):
                rows.append(_aggregate(request, account, symbol, holding.quantity, holding.average_price))
    return page(request, rows)


def _aggregate(
    request: HttpRequest, account: Account, symbol: str, quantity: Decimal, price: Decimal
) -> dict[str, Any]:
    terms, position = WORLD.market.known(symbol).terms, _option_position(request, account, symbol)
    side, right = position["type"], terms.right.lower()
    leg = {
        "id": uid(account.number, "leg", symbol), "position": position["url"], "position_type": side,
        "option": position["option"], "option_id": position["option_id"], "option_type": right,
        "strike_price": number(terms.strike), "expiration_date": day(terms.expires_on), "ratio_quantity": 1,
    }  # fmt: skip
    return {
        "id": uid(account.number, "aggregate", symbol), "chain": api(request, f"/options/chains/{leg['id']}/"),
        "account": position["account"], "symbol": terms.underlying, "strategy": f"{side}_{right}",
        "average_open_price": number(price * CONTRACT), "quantity": number(abs(quantity)),
        "direction": "debit" if quantity > 0 else "credit", "intraday_quantity": NO,
        "intraday_average_open_price": NO, "trade_value_multiplier": "100.0000",
        "strategy_code": f"{position['option_id']}_{'L' if quantity > 0 else 'S'}1", "legs": [leg],
        "created_at": position["created_at"], "updated_at": position["updated_at"],
    }  # fmt: skip
