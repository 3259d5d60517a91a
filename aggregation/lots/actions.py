"""Splits, mergers, spin-offs and their like: the rows in which a broker tells one event, as what happened. Pure."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from aggregation.corporate_actions.standing import WITHIN_DAYS
from aggregation.lots import events as happened
from aggregation.lots.events import ZERO, Event, Place, Received
from aggregation.lots.rows import Row
from aggregation.lots.words import Why
from connections.brokers.records import TransactionKind as Kind

SPIN_OFF = re.compile(r"\bspin-?\s?off|^SPIN$|^SSO$", re.IGNORECASE)
MORE_OF_THE_SAME = re.compile(r"stock.(dividend|distribution)|^SSP$|bonus", re.IGNORECASE)
BY_HAND = "action:"  # how the groups of rows begin that were booked by hand
TOLD_WITHIN = timedelta(days=WITHIN_DAYS)
PARENT = re.compile(r"^(?P<symbol>[A-Z0-9. ]+?)\s?\(", re.IGNORECASE)  # IBKR: XYZ(US0000000000) SPINOFF 1 FOR 4 (...)


@dataclass(frozen=True, slots=True)
class Detail:
    """What a person entered of an event beyond what its rows tell. It is about rows of its own `group`, or about those
    in which a broker tells the same, within days. `value` is of one unit received, in the rows' currency."""

    kind: str
    group: str
    instrument: int
    received: int | None
    on: date
    ratio: Decimal | None = None
    share: Decimal | None = None  # of the cost, 0..1, that goes to what was received
    value: Decimal | None = None

    def is_about(self, told: "_Told") -> bool:
        first = told.rows[0]
        if first.group.startswith(BY_HAND):
            return first.group == self.group
        instruments = {row.instrument for row in told.rows}
        return abs(first.traded_on - self.on) <= TOLD_WITHIN and bool(instruments & {self.instrument, self.received})


Details = Sequence[Detail]
BySymbol = Callable[[str], int | None]  # an instrument the account has rows of


@dataclass(slots=True)
class _Told:
    """The rows of one event in one account, by instrument."""

    rows: list[Row] = field(default_factory=list)

    @property
    def units(self) -> dict[int, Decimal]:
        """Net units by instrument, only those that moved."""
        sums: dict[int, Decimal] = defaultdict(Decimal)
        for row in self.rows:
            sums[row.instrument] += row.units
        return {instrument: units for instrument, units in sums.items() if units}

    @property
    def cash(self) -> Decimal:
        return sum((row.net for row in self.rows), ZERO)

    def says(self, pattern: re.Pattern[str]) -> bool:
        return any(pattern.search(row.subtype) or pattern.search(row.description) for row in self.rows)


def group_of(row: Row) -> str:
    """Rows of one account with the same group tell one event: by the broker's own id, else by day and word."""
    if row.group:
        return row.group
    what = row.instrument if row.kind == Kind.SPLIT else row.subtype
    return f"{row.traded_on}:{row.kind}:{what}"


def actions(rows: Iterable[Row], by_symbol: BySymbol, details: Details) -> Iterator[tuple[Row, Event]]:
    """Each event with the row it stands at. `by_symbol` finds an instrument a text names."""
    told: dict[tuple[int, str], _Told] = defaultdict(_Told)
    for row in rows:
        told[row.account, group_of(row)].rows.append(row)
    for event in told.values():
        detail = next((detail for detail in details if detail.is_about(event)), None)
        for happening in _events(event, by_symbol, detail):
            yield event.rows[0], happening


def _events(told: _Told, by_symbol: BySymbol, detail: Detail | None) -> Iterator[Event]:
    first, units, cash = told.rows[0], told.units, told.cash
    gone = {instrument: quantity for instrument, quantity in units.items() if quantity < 0}
    come = {instrument: quantity for instrument, quantity in units.items() if quantity > 0}
    common: dict[str, Any] = {"key": first.key, "on": first.traded_on, "currency": first.currency}

    def at(instrument: int) -> dict[str, Any]:
        return {**common, "place": Place(first.account, instrument)}

    if len(units) == 1 and _is_split(told, detail):
        ((instrument, quantity),) = units.items()
        ratio = detail.ratio if detail and detail.kind == "split" else None
        yield happened.Split(**at(instrument), added=quantity, cash=cash, ratio=ratio)
    elif len(gone) == 1 and come:
        ((instrument, quantity),) = gone.items()
        received = tuple(_received(other, number, detail, alone=len(come) == 1) for other, number in come.items())
        yield happened.Exchange(**at(instrument), quantity=-quantity, received=received, cash=cash)
    elif len(gone) == 1:
        ((instrument, quantity),) = gone.items()
        paid = cash if cash else None
        yield happened.Trade(**at(instrument), quantity=quantity, cash=paid, may_open=False, why=Why.EXCHANGED)
    elif len(come) == 1 and not gone:
        ((instrument, quantity),) = come.items()
        yield from _came(told, at, _received(instrument, quantity, detail, alone=False), by_symbol, detail)
    elif not units and cash:
        yield happened.Lieu(**at(first.instrument), cash=cash)
    else:  # several left, several came: which became which is not told
        for instrument, quantity in gone.items():
            yield happened.Trade(**at(instrument), quantity=quantity, cash=None, may_open=False, why=Why.EXCHANGED)
        for instrument, quantity in come.items():
            yield happened.Held(**at(instrument), quantity=quantity, why=Why.EXCHANGED)


def _is_split(told: _Told, detail: Detail | None) -> bool:
    return all(row.kind == Kind.SPLIT for row in told.rows if row.units) or told.says(MORE_OF_THE_SAME)


def _received(instrument: int, quantity: Decimal, detail: Detail | None, *, alone: bool) -> Received:
    share = detail.share if detail and not alone else None
    return Received(instrument=instrument, quantity=quantity, share=share, value=detail.value if detail else None)


def _came(
    told: _Told,
    at: Callable[[int], dict[str, Any]],
    received: Received,
    by_symbol: BySymbol,
    detail: Detail | None,
) -> Iterator[Event]:
    """Units that came and took none away: spun off, subscribed for, or nobody knows how."""
    parent = detail.instrument if detail and detail.kind == "spin_off" else None
    if parent is None and told.says(SPIN_OFF):
        named = PARENT.match(told.rows[0].description)
        parent = by_symbol(named["symbol"]) if named else None
    if parent is not None and parent != received.instrument:
        yield happened.SpinOff(**at(parent), received=received)
    elif told.cash < 0:
        yield happened.Trade(**at(received.instrument), quantity=received.quantity, cash=told.cash)
    else:
        why = Why.SPIN_OFF if told.says(SPIN_OFF) else Why.EXCHANGED
        yield happened.Held(**at(received.instrument), quantity=received.quantity, why=why)
        if told.cash:
            yield happened.Lieu(**at(received.instrument), cash=told.cash)
