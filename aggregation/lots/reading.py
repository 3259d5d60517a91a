"""Ledger rows into what happened to the units, in order. Pure: all it needs is handed in."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from aggregation import options
from aggregation.lots import events as happened
from aggregation.lots.actions import Details, actions
from aggregation.lots.events import ZERO, Event, Place
from aggregation.lots.rows import ACTIONS, DELIVERIES, INCOME, TRADES, TRANSFERS, Row
from aggregation.lots.words import Why
from connections.brokers.records import AssetClass
from connections.brokers.records import TransactionKind as Kind

SHORT_WORDS = {"short", "cover", "sell_short"}
SOLD_TO_OPEN = {AssetClass.OPTION, AssetClass.FUTURE, AssetClass.FOREX}
OUT_OF_NOWHERE = {"opening", "adjustment"}  # booked by a person to make the books agree with the broker
DELIVERED_WITHIN = timedelta(days=4)  # a file may date the shares on the next business day


@dataclass(frozen=True, slots=True)
class Reported:
    """What a broker said is held of one instrument, 0 when it no longer names it, and on which market day."""

    quantity: Decimal
    on: date
    currency: str


@dataclass(frozen=True, slots=True)
class Told:
    """All that is known of a person's units. Links: the row by which units arrived -> the one by which they left.

    `reporting` has the accounts whose brokers say what is held, with the day of the last report: what they do not
    name is not held.
    """

    rows: Sequence[Row]
    reported: Mapping[Place, Reported] = field(default_factory=dict)
    reporting: Mapping[int, date] = field(default_factory=dict)
    links: Mapping[int, int] = field(default_factory=dict)
    details: Details = ()

    def report(self, place: Place) -> Reported | None:
        if place in self.reported or place.account not in self.reporting:
            return self.reported.get(place)
        return Reported(ZERO, self.reporting[place.account], "")


Sortable = tuple[Any, ...]


def events_of(told: Told) -> list[Event]:
    """Everything that happened, in order; first what was held before the history begins."""
    moving = [row for row in told.rows if row.units and not row.is_repaid]
    by_place: dict[Place, list[Row]] = defaultdict(list)
    for row in moving:
        by_place[row.place].append(row)
    opened = [
        held
        for place in {**by_place, **told.reported}
        if (held := _held_before(place, by_place.get(place, []), told.report(place)))
    ]
    can_short = {place for place, rows in by_place.items() if told.report(place) or _sells_to_open(rows)}
    found = [*_actions(told), *_deliveries(moving), *_others(told, can_short)]
    return [*opened, *(event for _, event in sorted(found, key=lambda each: each[0]))]


# --- What was there before --------------------------------------------------------------------------------------------


def _sells_to_open(rows: Iterable[Row]) -> bool:
    return any(row.asset_class in SOLD_TO_OPEN or row.subtype.lower() in SHORT_WORDS for row in rows)


def _held_before(place: Place, rows: Sequence[Row], reported: Reported | None) -> Event | None:
    """Units that the rows do not explain: what the broker reports beyond them, or what was sold before it was bought.

    A report is of some time of its day: rows of that day and after may or may not be in it.
    """
    missing = _missing_of_reported(rows, reported) if reported else _sold_beyond(rows)
    if not missing:
        return None
    first = rows[0] if rows else None
    currency = first.currency if first else reported.currency if reported else ""
    on = first.traded_on if first else reported.on if reported else date.min
    return happened.Held(key=0, place=place, on=on, currency=currency, quantity=missing)


def _missing_of_reported(rows: Sequence[Row], reported: Reported) -> Decimal:
    total = sum((row.units for row in rows if row.traded_on < reported.on), ZERO)
    sums = [total]
    for row in rows:
        if row.traded_on >= reported.on:
            sums.append(sums[-1] + row.units)
    missing = min((reported.quantity - each for each in sums), key=abs)
    if missing > 0:
        return ZERO if any(row.subtype.lower() in SHORT_WORDS for row in rows) else missing
    return missing if reported.quantity < 0 else ZERO


def _sold_beyond(rows: Sequence[Row]) -> Decimal:
    if _sells_to_open(rows):
        return ZERO
    held = lowest = ZERO
    for row in rows:
        held += row.units
        lowest = min(lowest, held)
    return -lowest


# --- Splits, mergers, and their like ----------------------------------------------------------------------------------


def _actions(told: Told) -> Iterator[tuple[Sortable, Event]]:
    symbols = {(row.account, row.symbol.upper()): row.instrument for row in told.rows}
    rows = [row for row in told.rows if row.kind in ACTIONS]
    for account in {row.account for row in rows}:

        def by_symbol(symbol: str, account: int = account) -> int | None:
            return symbols.get((account, symbol.strip().upper()))

        own = (row for row in rows if row.account == account)
        for number, (row, event) in enumerate(actions(own, by_symbol, told.details)):
            yield (*row.order, number), event


# --- Options that ended in shares -------------------------------------------------------------------------------------


def _deliveries(rows: Sequence[Row]) -> Iterator[tuple[Sortable, Event]]:
    """Each exercise and assignment with the trades by which its shares moved: at the strike, within days."""
    trades: dict[tuple[int, str, Decimal], list[Row]] = defaultdict(list)
    for row in rows:
        if row.kind in TRADES and row.price is not None and row.asset_class != AssetClass.OPTION:
            trades[row.account, _root(row.symbol), row.price].append(row)
    left = {row.key: abs(row.units) for same in trades.values() for row in same}
    for row in rows:
        if row.kind not in DELIVERIES:
            continue
        option = options.parse(row.symbol)
        found: list[tuple[Row, Decimal]] = []
        if option is not None:
            candidates = trades.get((row.account, _root(row.underlying or option.underlying), option.strike), [])
            takes_shares = (row.units < 0) == option.is_call
            found = _delivered(row, [trade for trade in candidates if (trade.units > 0) == takes_shares], left)
        common: dict[str, Any] = {
            "key": row.key, "place": row.place, "on": row.traded_on, "currency": row.currency, "quantity": row.units,
        }  # fmt: skip
        if found:
            into = tuple((trade.key, units) for trade, units in found)
            before = min([row.order, *(trade.order for trade, _ in found)])
            yield (*before[:2], -1, row.key), happened.Delivery(**common, into=into)
        else:
            cash = row.net if row.net else None
            yield row.order, happened.Trade(**common, cash=cash, may_open=False, why=Why.NO_DELIVERY)


def _delivered(row: Row, candidates: Iterable[Row], left: dict[int, Decimal]) -> list[tuple[Row, Decimal]]:
    wanted, found = abs(row.units) * row.multiplier, []
    for trade in candidates:
        units = min(wanted, left[trade.key])
        if units > 0 and row.traded_on <= trade.traded_on <= row.traded_on + DELIVERED_WITHIN:
            left[trade.key] -= units
            wanted -= units
            found.append((trade, units))
    return found


def _root(symbol: str) -> str:
    """Options name class shares without the dot: BRKB."""
    return symbol.replace(".", "").replace("/", "").upper()


# --- Everything else --------------------------------------------------------------------------------------------------


def _others(told: Told, can_short: set[Place]) -> Iterator[tuple[Sortable, Event]]:
    for row in told.rows:
        if row.kind in ACTIONS or row.kind in DELIVERIES:
            continue
        yield row.order, _event(row, row.units > 0 or row.place in can_short, told.links)


def _event(row: Row, may_open: bool, links: Mapping[int, int]) -> Event:
    common: dict[str, Any] = {"key": row.key, "place": row.place, "on": row.traded_on, "currency": row.currency}
    if row.is_repaid:
        return happened.Repaid(**common, cash=row.net)
    if row.kind in TRADES:
        return happened.Trade(**common, quantity=row.units, cash=cash_of(row), may_open=may_open)
    if row.kind == Kind.OPTION_EXPIRATION:
        return happened.Trade(**common, quantity=row.units, cash=row.net, may_open=False)
    if row.kind == Kind.FEE and row.units < 0:
        return happened.Shrink(**common, quantity=-row.units)
    if row.kind in INCOME and row.units > 0:  # paid in units: they cost what they were worth
        worth = None if row.price is None else -row.units * row.price * row.multiplier
        return happened.Trade(**common, quantity=row.units, cash=worth)
    if row.kind not in TRANSFERS and row.net:
        return happened.Trade(**common, quantity=row.units, cash=row.net, may_open=may_open)
    if row.subtype in OUT_OF_NOWHERE:
        return happened.Held(**common, quantity=row.units)
    if row.units > 0:
        return happened.Arrive(**common, quantity=row.units, source=links.get(row.key))
    return happened.Leave(**common, quantity=-row.units)


def cash_of(row: Row) -> Decimal | None:
    """What a trade cost or brought, fees and taxes inside. None when its price is not told and no cash moved.

    A bond's accrued interest is no part of its cost; of a future only the fees are cash, its value is never paid.
    """
    costs = row.fees + row.taxes
    if row.asset_class == AssetClass.FUTURE:
        return None if row.price is None else -row.units * row.price * row.multiplier - costs
    if row.asset_class == AssetClass.BOND and row.gross is not None:
        return row.gross - costs
    if not row.net and row.price != 0:
        return None if row.price is None else -row.units * row.price * row.multiplier - costs
    return row.net
