"""What brokers do to the past: change an amount or a price, take a row back, add one that is dated earlier."""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from connections.sandbox.book import ZERO, Account, Event, Nature, Status
from connections.sandbox.clock import at_new_york
from connections.sandbox.market import CENT, RATES
from connections.sandbox.people import Person
from connections.sandbox.trading_days import settlement
from connections.sandbox.world import WORLD

ORDERS = (Nature.ORDER_BUY, Nature.ORDER_SELL)
DATABLE = {  # what a back-dated row may be
    "buy": Nature.ORDER_BUY,
    "sell": Nature.ORDER_SELL,
    "dividend": Nature.DIVIDEND,
    "interest": Nature.BANK_INTEREST,
    "fee": Nature.SERVICE_FEE,
    "deposit": Nature.ACH_IN,
    "withdrawal": Nature.ACH_OUT,
}
OUTGOING = (Nature.SERVICE_FEE, Nature.ACH_OUT)


class BadRequest(Exception):
    """The control API was asked for something it cannot do; the text says what."""


def correct(account: Account, event: Event, *, change: str, value: str | None) -> Event:
    """Change one row; cash and holdings follow, the id stays.

    `amount`: net amount of a cash row, quantity of an order (the broker's word for both; one more cent or unit when
    no value is given). `price`: price of an order (one cent more). `status`: the row becomes invalid.
    """
    if change == "status":
        return account.change(event, status=Status.INVALID)
    is_order = event.nature in ORDERS and event.price is not None
    if change == "price" and is_order and event.price is not None:
        return _repriced(account, event, event.quantity, decimal(value) if value else event.price + CENT)
    if change == "amount" and is_order and event.price is not None:
        more = event.quantity + (1 if event.quantity > 0 else -1)
        return _repriced(account, event, decimal(value) if value else more, event.price)
    if change == "amount" and not event.quantity:
        return account.change(event, cash=decimal(value) if value else event.cash + CENT)
    raise BadRequest(f"{change!r} cannot be changed on a {event.nature.value} row")


def _repriced(account: Account, event: Event, quantity: Decimal, price: Decimal) -> Event:
    assert event.symbol
    gross = (quantity * price * WORLD.market.known(event.symbol).multiplier).quantize(CENT)
    return account.change(event, quantity=quantity, price=price, cash=-gross - event.fee_total)


def backdate(person: Person, account: Account, facts: Mapping[str, Any]) -> Event:
    """Add a row that says it happened on `traded_on` (or `days_ago`).

    Orders need symbol and quantity (positive; price as the day's close unless given); other kinds an `amount`
    (positive; the kind gives the sign) and may name its `currency`, a dividend needs a symbol too.
    """
    nature = DATABLE.get(str(facts.get("kind", "buy")))
    if nature is None:
        raise BadRequest(f"kind must be one of {', '.join(DATABLE)}")
    day = _day(facts)
    at = at_new_york(day, 11, 42, 7)
    movement = _order_facts(nature, facts, day) if nature in ORDERS else _cash_facts(nature, facts, day)
    movement.setdefault("currency", _currency(facts.get("currency", account.currency)))
    event = Event(id=person.next_event_id(), nature=nature, at=at, posted_at=at, traded_on=day, **movement)
    account.enter(event)
    return event


def _order_facts(nature: Nature, facts: Mapping[str, Any], day: date) -> dict[str, Any]:
    symbol, side = _symbol(facts.get("symbol", "KO")), 1 if nature is Nature.ORDER_BUY else -1
    quantity = abs(decimal(facts.get("quantity", 1))) * side
    price = decimal(facts["price"]) if "price" in facts else WORLD.market.price(symbol, day)
    fees = abs(decimal(facts.get("fees", 0)))
    gross = (quantity * price * WORLD.market.known(symbol).multiplier).quantize(CENT)
    return {
        "symbol": symbol,
        "currency": WORLD.market.known(symbol).currency,
        "quantity": quantity,
        "price": price,
        "fees": (("COMMISSION", fees),),
        "cash": -gross - fees,
        "settled_on": settlement(day),
        "closing": side < 0,
    }


def _cash_facts(nature: Nature, facts: Mapping[str, Any], day: date) -> dict[str, Any]:
    amount = abs(decimal(facts.get("amount", 1)))
    symbol = _symbol(facts.get("symbol", "KO")) if nature is Nature.DIVIDEND else None
    note = f"{day:%m%d%y}-{day:%m%d%y}" if nature is Nature.BANK_INTEREST else ""
    cash = -amount if nature in OUTGOING else amount
    in_currency = {"currency": WORLD.market.known(symbol).currency} if symbol else {}
    return in_currency | {"symbol": symbol, "quantity": ZERO, "cash": cash, "settled_on": day, "note": note}


def _day(facts: Mapping[str, Any]) -> date:
    today = WORLD.clock.today()
    try:
        if "traded_on" in facts:
            day = date.fromisoformat(str(facts["traded_on"]))
        else:
            day = today - timedelta(days=int(facts.get("days_ago", 10)))
    except ValueError as error:
        raise BadRequest("traded_on must be a date such as 2026-11-02") from error
    if day >= today:
        raise BadRequest("a back-dated row lies before today")
    return day


def _currency(currency: Any) -> str:
    if currency not in ("USD", *RATES):
        raise BadRequest(f"there is no currency {currency!r}")
    return str(currency)


def _symbol(symbol: Any) -> str:
    if WORLD.market.instrument(str(symbol)) is None:
        raise BadRequest(f"there is no instrument {symbol!r}")
    return str(symbol)


def decimal(value: Any) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation as error:
        raise BadRequest(f"{value!r} is not a number") from error
    if not number.is_finite():
        raise BadRequest(f"{value!r} is not a number")
    return number
