"""Orders of shares and of options, and what became of options."""

from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeAlias

from django.http import HttpRequest

from connections.sandbox.book import ZERO, Account, Event, Nature, Status
from connections.sandbox.gate import Exchange, Refusal, operation
from connections.sandbox.market import CENT
from connections.sandbox.robinhood.holdings import selected
from connections.sandbox.robinhood.listing import (
    NOT_FOUND,
    account_url,
    chain_id,
    is_option,
    is_share,
    option_id,
    option_url,
    share_id,
    share_url,
)
from connections.sandbox.robinhood.side import ROBINHOOD
from connections.sandbox.robinhood.wire import api, asked_for, day, instant, money, number, page, since, uid
from connections.sandbox.world import WORLD

ORDERS = (Nature.ORDER_BUY, Nature.ORDER_SELL, Nature.REINVESTMENT)
DELIVERIES = (Nature.DELIVERY_BUY, Nature.DELIVERY_SELL)
ENDINGS = {Nature.EXPIRATION: "expiration", Nature.ASSIGNMENT: "assignment", Nature.EXERCISE: "exercise"}
AGENTS = {"recurring": "recurring"}
Order: TypeAlias = list[Event]  # its executions; an order nobody took has one without a quantity


def orders_of(account: Account, belongs: Callable[[str | None], bool]) -> list[Order]:
    """Newest first. Executions of one order share its number; a reinvestment is an order of its own."""
    grouped: dict[int, Order] = {}
    for event in account.events:
        is_order = event.nature in ORDERS or (event.nature is Nature.MEMORANDUM and event.order)
        if is_order and belongs(event.symbol):
            grouped.setdefault(event.order or event.id, []).append(event)
    return sorted(grouped.values(), key=lambda order: (order[-1].at, order[-1].id), reverse=True)


def order_id(account: Account, order: Order) -> str:
    return uid(account.number, "order", order[0].order or order[0].id)


def execution_id(account: Account, event: Event) -> str:
    return uid(account.number, "execution", event.id)


def notional(event: Event) -> Decimal:
    """What the execution moved before fees, unsigned."""
    return abs(event.cash + event.fee_total)


def fee(order: Order, *names: str) -> Decimal:
    """Sum of the named fees (none named: of all)."""
    return sum((paid for event in order for name, paid in event.fees if not names or name in names), ZERO)


def state_of(order: Order) -> str:
    if any(event.status is Status.INVALID for event in order):
        return "voided"
    if order[0].nature is Nature.MEMORANDUM:
        return "confirmed" if order[0].status is Status.PENDING else "cancelled"
    return "filled"


def placed_at(order: Order) -> datetime:
    return order[0].placed_at or order[0].at


def updated_at(order: Order) -> datetime:
    return max(event.updated_at for event in order)


# Shares


@operation(ROBINHOOD, "orders")
def orders(request: HttpRequest, exchange: Exchange) -> Any:
    return page(request, list(_chosen(request, is_share, share_order)))


@operation(ROBINHOOD, "orders")
def order_detail(request: HttpRequest, exchange: Exchange, wanted: str) -> Any:
    for account in selected(request):
        for order in orders_of(account, is_share):
            if order_id(account, order) == wanted:
                return share_order(request, account, order)
    raise Refusal(404, NOT_FOUND)


def _chosen(
    request: HttpRequest,
    belongs: Callable[[str | None], bool],
    write: Callable[[HttpRequest, Account, Order], dict[str, Any]],
) -> Iterator[dict[str, Any]]:
    """Filters by time and state work; what is not known is ignored."""
    start, states = since(request, "updated_at", "created_at"), asked_for(request, "state", "states")
    for account in selected(request):
        for order in orders_of(account, belongs):
            if start and updated_at(order) < start:
                continue
            if states is None or state_of(order) in states:
                yield write(request, account, order)


def share_order(request: HttpRequest, account: Account, order: Order) -> dict[str, Any]:
    first, identity, state = order[0], order_id(account, order), state_of(order)
    assert first.symbol is not None
    size = sum((abs(event.quantity) for event in order), ZERO)
    is_sale, moved = first.quantity < 0, sum((notional(event) for event in order), ZERO)
    dividend = dividend_before(account, first)
    by_dollars = first.note in ("dollars", "recurring")
    is_limit = not size
    asked_size = first.memo if is_limit else size
    return {
        "id": identity, "ref_id": uid("ref", identity), "url": api(request, f"/orders/{identity}/"),
        "account": account_url(request, account),
        "position": api(request, f"/positions/{account.number}/{share_id(first.symbol)}/"), "cancel": None,
        "instrument": share_url(request, first.symbol), "instrument_id": share_id(first.symbol),
        "side": "sell" if is_sale else "buy", "position_effect": "close" if first.closing else "open",
        "type": "limit" if is_limit else "market", "trigger": "immediate", "time_in_force": "gfd",
        "market_hours": "regular_hours", "extended_hours": False, "state": state, "derived_state": state,
        "quantity": number(asked_size, 8), "cumulative_quantity": number(size, 8),
        "price": number(first.price, 8) if first.price is not None else None, "stop_price": None,
        "average_price": number(_average(order), 8) if size else None, "fees": number(fee(order), 2),
        "sec_fees": number(fee(order, "SEC_FEE"), 2), "taf_fees": number(fee(order, "TAF_FEE"), 2),
        "cat_fees": "0.00", "sales_taxes": [],
        "executions": [_execution(account, event) for event in order] if size else [],
        "executed_notional": money(moved) if size else None,
        "total_notional": money(moved if size else (asked_size * (first.price or ZERO)).quantize(CENT)),
        "dollar_based_amount": money(moved) if by_dollars else None,
        "placed_agent": "drip" if dividend else AGENTS.get(first.note, "user"),
        "drip_dividend_id": dividend_id(account, dividend) if dividend else None,
        "investment_schedule_id": uid(account.number, "schedule") if first.note == "recurring" else None,
        "is_ipo_access_order": False, "tax_lot_selection_type": "fifo", "trailing_peg": None, "reject_reason": None,
        "last_transaction_at": instant(order[-1].at), "created_at": instant(placed_at(order)),
        "updated_at": instant(updated_at(order)),
    }  # fmt: skip


def _average(order: Order) -> Decimal:
    size = sum((abs(event.quantity) for event in order), ZERO)
    return sum((abs(event.quantity) * (event.price or ZERO) for event in order), ZERO) / size


def _execution(account: Account, event: Event) -> dict[str, Any]:
    return {
        "id": execution_id(account, event), "price": number(event.price or ZERO, 8),
        "quantity": number(abs(event.quantity), 8), "rounded_notional": number(notional(event), 2),
        "timestamp": instant(event.at), "trade_execution_date": day(event.traded_on),
        "settlement_date": day(event.settled_on), "fees": number(event.fee_total, 2),
        "sec_fee": number(fee([event], "SEC_FEE"), 2), "taf_fee": number(fee([event], "TAF_FEE"), 2),
        "cat_fee": "0.00", "sales_taxes": [],
    }  # fmt: skip


def dividend_id(account: Account, event: Event) -> str:
    return uid(account.number, "dividend", event.id)


def dividend_before(account: Account, event: Event) -> Event | None:
    """The dividend whose money a reinvestment spent."""
    if event.nature is not Nature.REINVESTMENT:
        return None
    return next(
        (
            other
            for other in account.events
            if other.nature is Nature.DIVIDEND and (other.symbol, other.traded_on) == (event.symbol, event.traded_on)
        ),
        None,
    )


# Options


@operation(ROBINHOOD, "option_orders")
def option_orders(request: HttpRequest, exchange: Exchange) -> Any:
    return page(request, list(_chosen(request, is_option, option_order)))


def option_order(request: HttpRequest, account: Account, order: Order) -> dict[str, Any]:
    """Price and premium are those of the whole order, per share and per contract; executions are per share."""
    first, identity, state = order[0], order_id(account, order), state_of(order)
    assert first.symbol is not None
    underlying = WORLD.market.known(first.symbol).terms.underlying
    size = min(abs(event.quantity) for event in order)
    premium = sum((event.cash + event.fee_total for event in order), ZERO)
    net, strategy = sum((event.cash for event in order), ZERO), _strategy(order)
    direction = "credit" if premium > 0 else "debit"
    per_contract = abs(premium) / size
    return {
        "id": identity, "ref_id": uid("ref", identity), "account_number": account.number,
        "chain_id": chain_id(underlying), "chain_symbol": underlying, "direction": direction, "type": "limit",
        "trigger": "immediate", "time_in_force": "gfd", "state": state, "derived_state": state,
        "price": number(per_contract / 100, 8), "premium": number(per_contract, 8),
        "processed_premium": number(abs(premium), 17), "processed_premium_direction": direction,
        "net_amount": number(abs(net), 2), "net_amount_direction": "credit" if net > 0 else "debit",
        "contract_fees": "0.00", "regulatory_fees": number(fee(order), 2), "gold_savings": "0.00", "sales_taxes": [],
        "quantity": number(size, 5), "processed_quantity": number(size, 5), "pending_quantity": "0.00000",
        "canceled_quantity": "0.00000", "opening_strategy": None if first.closing else strategy,
        "closing_strategy": strategy if first.closing else None, "strategy": strategy,
        "trade_value_multiplier": "100.0000", "form_source": "option_chain", "placed_agent": "user",
        "cancel_url": None, "stop_price": None,
        "legs": [_leg(request, account, event, size) for event in order],
        "created_at": instant(placed_at(order)), "updated_at": instant(updated_at(order)),
    }  # fmt: skip


def _strategy(order: Order) -> str:
    rights = {WORLD.market.known(event.symbol or "").terms.right.lower() for event in order}
    right = rights.pop() if len(rights) == 1 else "custom"
    if len(order) > 1:
        return f"vertical_{right}_spread"
    is_long = (order[0].quantity > 0) != order[0].closing
    return f"{'long' if is_long else 'short'}_{right}"


def _leg(request: HttpRequest, account: Account, event: Event, size: Decimal) -> dict[str, Any]:
    assert event.symbol is not None
    terms = WORLD.market.known(event.symbol).terms
    execution = {
        "id": execution_id(account, event), "price": number(event.price or ZERO, 8),
        "quantity": number(abs(event.quantity), 5), "settlement_date": day(event.settled_on),
        "timestamp": instant(event.at),
    }  # fmt: skip
    return {
        "id": uid(account.number, "order leg", event.id), "option": option_url(request, event.symbol),
        "option_type": terms.right.lower(), "strike_price": number(terms.strike),
        "expiration_date": day(terms.expires_on), "side": "sell" if event.quantity < 0 else "buy",
        "position_effect": "close" if event.closing else "open", "ratio_quantity": int(abs(event.quantity) / size),
        "executions": [execution],
    }  # fmt: skip


@operation(ROBINHOOD, "option_events")
def option_events(request: HttpRequest, exchange: Exchange) -> Any:
    start = since(request, "updated_at", "created_at")
    rows = [
        _option_event(request, account, event)
        for account in selected(request)
        for event in reversed(account.events)
        if event.nature in ENDINGS and (start is None or event.updated_at >= start)
    ]
    return page(request, rows)


def _option_event(request: HttpRequest, account: Account, event: Event) -> dict[str, Any]:
    assert event.symbol is not None
    terms, delivery = WORLD.market.known(event.symbol).terms, _delivery(account, event)
    state = "confirmed" if event.status is Status.POSTED else "voided"
    return {
        "id": uid(account.number, "option event", event.id), "account_number": account.number,
        "type": ENDINGS[event.nature], "state": state,
        "direction": "credit" if delivery and delivery.cash > 0 else "debit",
        "quantity": number(abs(event.quantity)),
        "total_cash_amount": number(abs(delivery.cash) if delivery else ZERO, 2),
        "underlying_price": number(WORLD.market.price(terms.underlying, event.traded_on)),
        "event_date": day(event.traded_on), "option": option_url(request, event.symbol),
        "option_id": option_id(event.symbol),
        "position": api(request, f"/options/positions/{uid(account.number, 'option position', event.symbol)}/"),
        "chain_id": chain_id(terms.underlying), "cash_component": None, "source_ref_id": None,
        "equity_components": [_component(request, account, delivery)] if delivery else [],
        "created_at": instant(event.at), "updated_at": instant(event.updated_at),
    }  # fmt: skip


def _delivery(account: Account, event: Event) -> Event | None:
    """The shares that changed hands with an exercise or assignment; none with an expiration."""
    terms = WORLD.market.known(event.symbol or "").terms
    return (
        next(
            (
                other
                for other in account.events
                if other.nature in DELIVERIES
                and (other.at, other.symbol, other.price) == (event.at, terms.underlying, terms.strike)
            ),
            None,
        )
        if event.nature is not Nature.EXPIRATION
        else None
    )


def _component(request: HttpRequest, account: Account, delivery: Event) -> dict[str, Any]:
    assert delivery.symbol is not None
    return {
        "id": uid(account.number, "component", delivery.id), "instrument": share_url(request, delivery.symbol),
        "symbol": delivery.symbol, "side": "sell" if delivery.quantity < 0 else "buy",
        "price": number(delivery.price or ZERO), "quantity": number(abs(delivery.quantity), 8),
    }  # fmt: skip
