"""What is said when nothing more exact was found: a trade, history, rounding, or that the cause is unknown."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

from aggregation.reconciliation.causes import Cause
from aggregation.reconciliation.facts import ZERO, Item
from aggregation.reconciliation.finding.search import Action, Finding, Fix, NewRow, Search, amount_of, ids, number
from connections.brokers.records import TransactionKind as Kind

WEEKS = timedelta(days=45)
SMALL_CASH = Decimal("0.05")
SMALL_UNITS = Decimal("0.001")
PRICE_MARGIN = Decimal("0.12")
ONE_DAY = timedelta(days=1)


def trade(search: Search) -> Iterator[Finding]:
    """Units came and about their price in money went, or the other way, since books and broker agreed."""
    for instrument, units in search.units.items():
        thing = search.thing(instrument)
        cash = search.cash_of(thing.currency)
        if not cash or (cash > 0) == (units > 0) or thing.price is None or not search.facts.known:
            continue
        worth = units * thing.price * thing.multiplier
        if abs(abs(cash) - abs(worth)) > abs(worth) * PRICE_MARGIN:
            continue
        bought = units > 0
        row = NewRow(
            kind=Kind.BUY if bought else Kind.SELL,
            on=search.facts.on,
            currency=thing.currency,
            instrument=instrument,
            quantity=units,
            net=cash,
            price=round(-cash / units / thing.multiplier, 6),
        )
        what = f"{number(abs(units))} {thing.title} for {amount_of(cash, thing.currency)}"
        yield Finding(
            cause=Cause.TRADE,
            amounts={("units", instrument): units, ("cash", thing.currency): cash},
            text=f"{'Bought' if bought else 'Sold'} {what}.",
            fixes=(_again(search), Fix(action=Action.BOOK, label="Book the trade", book=(row,))),
        )


def rounding(search: Search) -> Iterator[Finding]:
    for item, left in list(search.open.items()):
        if abs(left) > (SMALL_CASH if item[0] == "cash" else SMALL_UNITS):
            continue
        if item[0] == "units" and not (search.facts.reported.get(item) and search.facts.derived.get(item)):
            continue
        text = "Less than brokers round by."
        yield Finding(cause=Cause.ROUNDING, amounts={item: left}, text=text)


def not_reported(search: Search) -> Iterator[Finding]:
    for instrument, left in search.units.items():
        if search.facts.reported.get(("units", instrument)) or left >= 0:
            continue
        thing = search.thing(instrument)
        row = NewRow(
            kind=Kind.TRANSFER_OUT,
            on=search.facts.on,
            currency=thing.currency,
            instrument=instrument,
            quantity=left,
            subtype="in_kind",
            text="No longer reported by the broker",
        )
        once = (
            "The broker reported it before" if instrument in search.facts.vanished else "The broker does not report it"
        )
        yield Finding(
            cause=Cause.NOT_REPORTED,
            amounts={("units", instrument): left},
            text=f"{once}; the books have {number(-left)}.",
            evidence=ids(search.facts.of(instrument)[-5:]),
            fixes=(_again(search), Fix(action=Action.BOOK, label="Take it out of the books", book=(row,))),
        )


def history(search: Search) -> Iterator[Finding]:
    """What was so from the first comparison on: the books begin after the account did."""
    facts = search.facts
    for item, left in list(search.open.items()):
        if search.knows(item):
            continue
        begins = min((row.traded_on for row in facts.rows), default=facts.on)
        before = min(begins, facts.books_begin_on or begins) - ONE_DAY
        row = _opening(search, item, left, before)
        known = "no transaction" if not facts.rows else f"transactions from {begins:%-d %b %Y} on"
        yield Finding(
            cause=Cause.MISSING_HISTORY,
            amounts={item: left},
            text=f"The books have {known}.",
            fixes=(Fix(action=Action.BOOK, label="Start from what the broker reports", book=(row,)),),
        )


def unknown(search: Search) -> Iterator[Finding]:
    facts = search.facts
    for item, left in list(search.open.items()):
        parked = f" {facts.parked} rows wait for a rule; one of them may be it." if facts.parked else ""
        row = _opening(search, item, left, facts.on, subtype="adjustment")
        evidence = ids(facts.of(item[1])[-5:]) if item[0] == "units" else ()
        yield Finding(
            cause=Cause.UNKNOWN,
            amounts={item: left},
            text=f"Nothing in the books comes to this.{parked}",
            evidence=evidence,
            fixes=(_again(search), Fix(action=Action.BOOK, label="Book the difference", book=(row,))),
        )


def _opening(search: Search, item: Item, left: Decimal, on: date, subtype: str = "opening") -> NewRow:
    """Units or cash that come in or go out without a counterpart. The broker's cost per unit where all is new."""
    kind = Kind.TRANSFER_IN if left > 0 else Kind.TRANSFER_OUT
    text = "Opening position" if subtype == "opening" else "Difference to the broker"
    if item[0] == "cash":
        text = "Opening balance" if subtype == "opening" else text
        return NewRow(kind=kind, on=on, currency=item[1], net=left, subtype=subtype, text=text)
    is_new = not search.facts.of(item[1])
    return NewRow(
        kind=kind,
        on=on,
        currency=search.thing(item[1]).currency,
        instrument=item[1],
        quantity=left,
        price=search.facts.costs.get(item[1]) if is_new and left > ZERO else None,
        subtype=subtype,
        text=text,
    )


def _again(search: Search) -> Fix:
    days = (search.facts.on - WEEKS, search.facts.on)
    return Fix(action=Action.READ_AGAIN, label="Read the last weeks again", days=days)
