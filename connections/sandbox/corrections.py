"""What brokers do to the past: change a row, take it back, put another in its place, add one dated earlier.

Each in the way of the account's broker, as far as its page tells one; what a broker never does is refused.

    Schwab     the row changes under its id, becomes INVALID, is not told any more, or a row of the opposite sign comes
    IBKR       trades are cancelled (TradeCancel) or corrected (TradeCorrect) by further rows, which name them; cash is
               reversed by a row of the opposite sign (code Re), and booked anew
    Robinhood  the row changes under its id, or its state does; a transfer may be reversed
    Alpaca     a row is canceled, an execution not told any more; another comes in its place
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from connections.sandbox.book import ZERO, Account, Event, Nature, Status
from connections.sandbox.clock import at_new_york
from connections.sandbox.market import CENT, COINS, RATES
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
IN_PLACE = ("schwab", "robinhood")  # brokers that change a row under its id; the others put another in its place
TELLS_PENDING = {  # natures that a broker announces before they count
    "schwab": tuple(DATABLE.values()),
    "robinhood": (Nature.ORDER_BUY, Nature.DIVIDEND, Nature.ACH_IN, Nature.ACH_OUT),
}
BANK_TRANSFERS = {Nature.ACH_IN: Nature.ACH_OUT, Nature.ACH_OUT: Nature.ACH_IN}


class BadRequest(Exception):
    """The control API was asked for something it cannot do; the text says what."""


def correct(person: Person, account: Account, event: Event, *, change: str, value: str | None) -> Event:
    """Change one row, or take it back; cash and holdings follow.

    `amount`: net amount of a cash row, quantity of an order (the broker's word for both; one more cent or unit when
    no value is given). `price`: price of an order (one cent more). `date`: the day it happened. `status`: the row
    becomes invalid. `reverse`: a row of the opposite sign. `vanish`: it is not told any more. `post`: what was pending
    counts, under a new id when the value is "anew".
    """
    act = ACTS.get(change)
    if act is not None:
        return act(person, account, event, value)
    if change not in ("amount", "price", "date"):
        raise BadRequest(f"{change!r} is no change")
    changes = _moved(event, value) if change == "date" else _revalued(event, change, value)
    if account.broker in IN_PLACE:
        return account.change(event, changed_at=WORLD.clock.now(), **changes)
    return _put_another(person, account, event, changes)


def _revalued(event: Event, change: str, value: str | None) -> dict[str, Any]:
    is_order = event.nature in ORDERS and event.price is not None
    if change == "price" and is_order and event.price is not None:
        return _priced(event, event.quantity, decimal(value) if value else event.price + CENT)
    if change == "amount" and is_order and event.price is not None:
        more = event.quantity + (1 if event.quantity > 0 else -1)
        return _priced(event, decimal(value) if value else more, event.price)
    if change == "amount" and not event.quantity:
        return {"cash": decimal(value) if value else event.cash + CENT}
    raise BadRequest(f"{change!r} cannot be changed on a {event.nature.value} row")


def _priced(event: Event, quantity: Decimal, price: Decimal) -> dict[str, Any]:
    assert event.symbol
    gross = (quantity * price * WORLD.market.known(event.symbol).multiplier).quantize(CENT, ROUND_HALF_UP)
    return {"quantity": quantity, "price": price, "cash": -gross - event.fee_total}


def _moved(event: Event, value: str | None) -> dict[str, Any]:
    """To another day, at the same time of day; it settles as much later as before."""
    by = _day({"traded_on": value} if value else {"days_ago": 3}) - event.traded_on
    at = event.at + by
    return {
        "traded_on": event.traded_on + by,
        "settled_on": event.settled_on + by,
        "at": at,
        "posted_at": max(at, event.posted_at),
    }


def _put_another(person: Person, account: Account, event: Event, changes: Mapping[str, Any]) -> Event:
    """The row stays, without effect or taken back by a third one, and the changed one has an id of its own."""
    of = None
    if account.broker == "ibkr" and event.nature in ORDERS:
        account.change(event, status=Status.CORRECTED)
        of = event.id
    elif account.broker == "ibkr":
        _reverse(person, account, event, None)
    else:
        account.change(event, status=Status.INVALID)
    now = WORLD.clock.now()
    another = replace(event, **{**changes, "id": person.next_event_id(), "posted_at": now, "of": of})
    account.enter(another)
    return another


def _invalidate(person: Person, account: Account, event: Event, value: str | None) -> Event:
    if event.nature in ORDERS and event.symbol in COINS:
        raise BadRequest("a coin order that was executed is never taken back")
    return account.change(event, status=Status.INVALID, changed_at=WORLD.clock.now())


def _reverse(person: Person, account: Account, event: Event, value: str | None) -> Event:
    """A row of the opposite sign, dated as the first; at Robinhood the transfer says so itself, and dates it now."""
    if event.quantity or event.other_cash or event.status is not Status.POSTED:
        raise BadRequest("only a posted row of cash can be reversed")
    now = WORLD.clock.now()
    back = replace(event, id=person.next_event_id(), cash=-event.cash, posted_at=now, of=event.id)
    if account.broker == "robinhood":
        if event.nature not in BANK_TRANSFERS:
            raise BadRequest("Robinhood reverses transfers only; everything else is voided")
        account.change(event, changed_at=now)
        today = WORLD.clock.today()
        back = replace(back, nature=BANK_TRANSFERS[event.nature], at=now, traded_on=today, settled_on=today)
    account.enter(back)
    return back


def _vanish(person: Person, account: Account, event: Event, value: str | None) -> Event:
    if account.broker != "schwab":
        raise BadRequest("of Schwab alone it is known that rows are silently not told any more")
    account.remove(event)
    return event


def _post(person: Person, account: Account, event: Event, value: str | None) -> Event:
    if event.status is not Status.PENDING:
        raise BadRequest("only what is pending can be posted")
    now = WORLD.clock.now()
    changes: dict[str, Any] = {"status": Status.POSTED, "posted_at": now, "changed_at": now}
    if event.memo:  # an order that has waited is executed
        changes |= {"nature": Nature.ORDER_BUY, "memo": ZERO, **_priced(event, event.memo, event.price or ZERO)}
    if value == "anew":
        if account.broker != "schwab":
            raise BadRequest("of Schwab alone it is not known whether an id stays")
        changes["id"] = person.next_event_id()
    return account.change(event, **changes)


ACTS: Mapping[str, Callable[[Person, Account, Event, str | None], Event]] = {
    "status": _invalidate,
    "reverse": _reverse,
    "vanish": _vanish,
    "post": _post,
}


def backdate(person: Person, account: Account, facts: Mapping[str, Any]) -> Event:
    """Add a row that says it happened on `traded_on` (or `days_ago`).

    Orders need symbol and quantity (positive; price as the day's close unless given); other kinds an `amount`
    (positive; the kind gives the sign) and may name its `currency`, a dividend needs a symbol too. `late`: the broker
    enters it only now. `pending`: it does not count yet. `placed_days_ago`: when an order was given.
    """
    nature = DATABLE.get(str(facts.get("kind", "buy")))
    if nature is None:
        raise BadRequest(f"kind must be one of {', '.join(DATABLE)}")
    day = _day(facts)
    at = at_new_york(day, 11, 42, 7)
    movement = _order_facts(nature, facts, day) if nature in ORDERS else _cash_facts(nature, facts, day)
    movement.setdefault("currency", _currency(facts.get("currency", account.currency)))
    event = Event(id=person.next_event_id(), nature=nature, at=at, posted_at=at, traded_on=day, **movement)
    if facts.get("late"):
        event = replace(event, posted_at=WORLD.clock.now())
    if "placed_days_ago" in facts:
        placed_on = WORLD.clock.today() - timedelta(days=int(facts["placed_days_ago"]))
        event = replace(event, placed_at=at_new_york(placed_on, 10, 30))
    if facts.get("pending"):
        event = _announced(account, event)
    account.enter(event)
    return event


def _announced(account: Account, event: Event) -> Event:
    """An order at Robinhood says how much it is for, and nothing was executed yet."""
    if event.nature not in TELLS_PENDING.get(account.broker, ()):
        raise BadRequest(f"{account.broker} tells nothing of a pending {event.nature.value}")
    if account.broker != "robinhood" or event.nature not in ORDERS:
        return replace(event, status=Status.PENDING)
    waits = {"nature": Nature.MEMORANDUM, "memo": event.quantity, "quantity": ZERO, "cash": ZERO, "order": event.id}
    return replace(event, status=Status.PENDING, **waits)  # type: ignore[arg-type]


def _order_facts(nature: Nature, facts: Mapping[str, Any], day: date) -> dict[str, Any]:
    symbol, side = _symbol(facts.get("symbol", "KO")), 1 if nature is Nature.ORDER_BUY else -1
    quantity = abs(decimal(facts.get("quantity", 1))) * side
    price = decimal(facts["price"]) if "price" in facts else WORLD.market.price(symbol, day)
    fees = abs(decimal(facts.get("fees", 0)))
    gross = (quantity * price * WORLD.market.known(symbol).multiplier).quantize(CENT, ROUND_HALF_UP)
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
