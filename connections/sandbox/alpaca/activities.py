"""The book's events as activities: what came of orders, and everything else.

That they come in the order of their ids, and which end of a window belongs to it, is ours: no source tells.
"""

import uuid
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from django.http import HttpRequest

from connections.sandbox.alpaca.side import ALPACA, CLASSES, NAMES, Row, instant, refused, symbol_of, text
from connections.sandbox.book import ZERO, Event, Nature, Status
from connections.sandbox.clock import NEW_YORK
from connections.sandbox.gate import Exchange, Refusal, operation
from connections.sandbox.world import WORLD

MOST_ROWS = 100
WORDS = {
    Nature.DIVIDEND: "DIV",
    Nature.WITHHOLDING: "DIVNRA",
    Nature.BANK_INTEREST: "INT",
    Nature.MARGIN_INTEREST: "INT",
    Nature.LENDING_INTEREST: "INT",
    Nature.RECEIPT_FEE: "FEE",
    Nature.SERVICE_FEE: "FEE",
    Nature.ACH_IN: "CSD",
    Nature.WIRE_IN: "CSD",
    Nature.ACH_OUT: "CSW",
    Nature.WIRE_OUT: "CSW",
    Nature.JOURNAL_IN: "JNLC",
    Nature.JOURNAL_OUT: "JNLC",
    Nature.SHARES_IN: "ACATS",
    Nature.SHARES_OUT: "ACATS",
    Nature.EXERCISE: "OPEXC",
    Nature.ASSIGNMENT: "OPASN",
    Nature.EXPIRATION: "OPEXP",
    Nature.DELIVERY_BUY: "OPTRD",
    Nature.DELIVERY_SELL: "OPTRD",
}
DESCRIPTIONS = {"CFEE": "Fee of a coin", "INT": "Interest {}", "DIVNRA": "Tax withheld at the source"}
EXECUTIONS = {Nature.ORDER_BUY: "buy", Nature.ORDER_SELL: "sell"}


@operation(ALPACA, "activities")
def activities(request: HttpRequest, exchange: Exchange, only: str = "") -> list[Row]:
    """In the order of their ids; `after` and `until` are about the day a row was entered, both ends left out."""
    held, query = ALPACA.account_of(request), request.GET
    wanted = set((only or query.get("activity_types", "")).upper().replace(",", " ").split())
    if unknown := wanted - {"FILL", "SPLIT", "CFEE", *WORDS.values()}:
        raise Refusal(422, refused(422, f"invalid activity type: {sorted(unknown)[0]}", 40010001))
    direction, size = query.get("direction", "desc"), _page_size(query.get("page_size"), bool(query.get("date")))
    if direction not in ("asc", "desc"):
        raise Refusal(422, refused(422, "invalid direction", 40010001))
    on, after, until = (_day(query.get(name)) for name in ("date", "after", "until"))
    told = (
        (event, row)
        for event in held.events
        if event.status is Status.POSTED or event.nature not in EXECUTIONS
        for row in _activities(event)
    )
    rows = [
        row
        for event, row in told
        for entered in [event.posted_at.astimezone(NEW_YORK).date()]
        if (not wanted or row["activity_type"] in wanted) and on in (None, entered)
        if (after is None or entered > after) and (until is None or entered < until)
    ]
    rows.sort(key=lambda row: row["id"].partition("::")[0], reverse=direction == "desc")
    if page_token := query.get("page_token"):
        places = [place for place, row in enumerate(rows) if row["id"] == page_token]
        rows = rows[places[0] + 1 :] if places else []
    return rows[:size]


def _page_size(asked: str | None, is_one_day: bool) -> int | None:
    if asked is None:
        return None if is_one_day else MOST_ROWS
    if not asked.isdigit() or not 0 < int(asked) <= (10**6 if is_one_day else MOST_ROWS):
        raise Refusal(422, refused(422, "invalid page_size", 40010001))
    return int(asked)


def _day(asked: str | None) -> date | None:
    try:
        return date.fromisoformat(asked[:10]) if asked else None
    except ValueError as error:
        raise Refusal(422, refused(422, "invalid date", 40010001)) from error


def _activities(event: Event) -> Iterator[Row]:
    """The rows that tell of one event: an execution's fees are a row of their own, a split takes and gives."""
    if event.nature in EXECUTIONS:
        yield _execution(event)
    elif event.nature is Nature.SPLIT:
        ratio = Decimal(event.note.split()[0])
        old, group = event.quantity / (ratio - 1), str(uuid.uuid5(NAMES, f"{event.id}:group"))
        for leg, quantity in enumerate((-old, old * ratio)):
            yield _entry(event, "SPLIT", leg, qty=text(quantity), net_amount="0", group_id=group)
    elif event.nature in WORDS:
        yield _told(event)
    if event.fee_total:
        yield {**_entry(event, "FEE", 9, net_amount=text(-event.fee_total)), "symbol": None, "description": "Fees"}


def _execution(event: Event) -> Row:
    at = event.at.astimezone(NEW_YORK)
    order = str(uuid.uuid5(NAMES, f"order {event.order or event.id}"))
    return {
        "id": f"{at:%Y%m%d%H%M%S}000::{uuid.uuid5(NAMES, str(event.id))}",
        "activity_type": "FILL",
        "transaction_time": instant(event.at),
        "type": "fill",
        "price": text(event.price or ZERO),
        "qty": text(abs(event.quantity)),
        "side": "sell_short"
        if event.quantity < 0 and not event.closing and _is_share(event)
        else EXECUTIONS[event.nature],
        "symbol": symbol_of(WORLD.market.known(event.symbol or "")),
        "leaves_qty": "0",
        "order_id": order,
        "cum_qty": text(abs(event.quantity)),
        "order_status": "filled",
    }


def _is_share(event: Event) -> bool:
    return WORLD.market.known(event.symbol or "").asset_class not in CLASSES


def _told(event: Event) -> Row:
    name = "CFEE" if event.note == "coin" else WORDS[event.nature]
    more: Row = {"net_amount": text(event.cash)}
    if event.quantity:
        more["qty"] = text(event.quantity)
        if event.price is not None:
            more["price"] = text(event.price)
    elif name == "DIV":  # the shares that were held, which do not move
        each = WORLD.market.dividend(event.symbol or "", event.traded_on)
        more |= {"per_share_amount": text(each), "qty": text((event.cash / each).quantize(Decimal("0.000001")))}
    return _entry(event, name, 0, **more)


def _entry(event: Event, name: str, leg: int, **more: str) -> Row:
    row: Row = {
        "id": f"{event.traded_on:%Y%m%d}000000000::{uuid.uuid5(NAMES, f'{event.id}:{leg}')}",
        "activity_type": name,
        "date": str(event.traded_on),
        "net_amount": "0",
        "description": DESCRIPTIONS.get(name, "{}").format(event.note),
        "status": "executed" if event.status is Status.POSTED else "canceled",
        "created_at": instant(event.posted_at),
    }
    if event.symbol:
        instrument = WORLD.market.known(event.symbol)
        row |= {"symbol": symbol_of(instrument, position=True)}
        row |= {"cusip": instrument.cusip} if _is_share(event) else {}
    return {**row, **more}
