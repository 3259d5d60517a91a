"""The identity every set of books obeys, for one account, one currency and one period. Pure.

    start + external flows + income + price gain + FX gain - fees - taxes = end

Start and end are what cash and positions are worth at the end of the day before the period and of its last day. Each
row's net amount is parted by its kind: what came from outside or left, what was earned, what was paid in costs, what
was exchanged into another currency, and what was paid for positions. The price gain is worked out position by position
from what it was worth, what it is worth and what was paid between: it is no remainder. So the identity can fail, and
`Statement.apart` says by how much.

A position whose price is not known is left out, whole: it is worth nothing here, and what was paid for it or came from
it stands in a part of its own, `unvalued`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

from connections.brokers.records import TransactionKind as Kind

ZERO = Decimal(0)
CENT = Decimal("0.01")
OUTSIDE = frozenset({Kind.DEPOSIT, Kind.WITHDRAWAL, Kind.TRANSFER_IN, Kind.TRANSFER_OUT})
EARNED = frozenset({Kind.DIVIDEND, Kind.INTEREST})


class NoPrice(Exception):
    """A position cannot be valued on a day; the text names both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What is held: `currency` is that of its price, a unit is worth price x multiplier."""

    id: int
    title: str
    currency: str
    multiplier: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """A row that counts. `net` is signed cash, `fees` and `taxes` are in it and positive when paid."""

    on: date
    kind: Kind
    currency: str
    net: Decimal
    fees: Decimal = ZERO
    taxes: Decimal = ZERO
    unit: int | None = None
    quantity: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What there was at the end of the day before."""

    cash: Mapping[str, Decimal] = field(default_factory=dict)
    units: Mapping[int, Decimal] = field(default_factory=dict)


class Prices:
    """Price of a unit at the end of a day."""

    def __init__(self, known: Mapping[tuple[int, date], Decimal]) -> None:
        self._known = known

    def knows(self, unit: Unit, on: date) -> bool:
        return (unit.id, on) in self._known

    def at(self, unit: Unit, on: date) -> Decimal:
        """Raises NoPrice."""
        price = self._known.get((unit.id, on))
        if price is None:
            raise NoPrice(f"{unit.title} has no known price on {on:%-d %b %Y}.")
        return price


@dataclass(slots=True, kw_only=True)
class Statement:
    """All in `currency`; fees and taxes positive when paid. `exchanged` came from other currencies of the account, and
    is part of the FX gain where the statement is of all of them together."""

    currency: str
    start: Decimal = ZERO
    external: Decimal = ZERO
    exchanged: Decimal = ZERO
    income: Decimal = ZERO
    price_gain: Decimal = ZERO
    fx_gain: Decimal = ZERO
    unvalued: Decimal = ZERO
    fees: Decimal = ZERO
    taxes: Decimal = ZERO
    end: Decimal = ZERO

    @property
    def computed_end(self) -> Decimal:
        parts = self.external + self.exchanged + self.income + self.price_gain + self.fx_gain + self.unvalued
        return self.start + parts - self.fees - self.taxes

    @property
    def apart(self) -> Decimal:
        """By how much the end differs from what the parts come to: 0 when the books add up."""
        return self.end - self.computed_end

    def rounded(self) -> "Statement":
        """To the cent, so that the parts still add up to the end as exactly as they did: what rounding leaves over
        goes to the price gain, which is the one part that nobody was told."""
        amounts = {
            each.name: getattr(self, each.name).quantize(CENT, ROUND_HALF_EVEN)
            for each in fields(self)
            if each.name != "currency"
        }
        found = Statement(currency=self.currency, **amounts)
        found.price_gain += found.apart - self.apart.quantize(CENT, ROUND_HALF_EVEN)
        return found


def statements(
    *, opening: Opening, rows: Iterable[Movement], units: Mapping[int, Unit], prices: Prices, first: date, last: date
) -> dict[str, Statement]:
    """One for each currency, `first` to `last` included; rows outside are left out. Raises NoPrice.

    `opening` is of the end of the day before `first`, and prices are asked for that day, for `last`, and for the days
    on which units came or left in kind. Positions that are not in `units` are not valued.
    """
    before = date.fromordinal(first.toordinal() - 1)
    found: defaultdict[str, Statement] = _Found()
    paid: dict[int, Decimal] = defaultdict(Decimal)  # signed cash, and units in kind as if paid for, by position
    cash: dict[str, Decimal] = defaultdict(Decimal, opening.cash)
    there = {unit: quantity for unit, quantity in opening.units.items() if unit in units}
    held: dict[int, Decimal] = defaultdict(Decimal, there)
    for currency, amount in opening.cash.items():
        found[currency].start += amount
    for unit, quantity in there.items():
        value = _worth(units[unit], quantity, prices, before)
        found[units[unit].currency].start += value
        paid[unit] -= value
    for row in rows:
        if first <= row.on <= last:
            cash[row.currency] += row.net
            if row.unit is not None and row.unit in units:
                held[row.unit] += row.quantity
            _part(found, paid, row, units, prices)
    for currency, amount in cash.items():
        found[currency].end += amount
    for unit in {*held, *paid}:
        value = _worth(units[unit], held[unit], prices, last)
        found[units[unit].currency].end += value
        found[units[unit].currency].price_gain += value + paid[unit]
    return dict(sorted(found.items()))


class _Found(defaultdict[str, Statement]):
    def __missing__(self, currency: str) -> Statement:
        self[currency] = Statement(currency=currency)
        return self[currency]


def _worth(unit: Unit, quantity: Decimal, prices: Prices, on: date) -> Decimal:
    return quantity * prices.at(unit, on) * unit.multiplier if quantity else ZERO


def _part(
    found: defaultdict[str, Statement],
    paid: dict[int, Decimal],
    row: Movement,
    units: Mapping[int, Unit],
    prices: Prices,
) -> None:
    """Part one row's cash, and the units it moved from outside. What a position in another currency cost is exchanged
    into that currency at the value of the units."""
    statement = found[row.currency]
    fees, taxes = row.fees, row.taxes
    gross = row.net + fees + taxes
    if row.kind == Kind.FEE:
        fees, gross = fees - gross, ZERO
    elif row.kind == Kind.TAX:
        taxes, gross = taxes - gross, ZERO
    statement.fees += fees
    statement.taxes += taxes
    if row.kind in OUTSIDE:
        statement.external += gross
        if row.unit is not None and row.unit in units and row.quantity:
            value = _worth(units[row.unit], row.quantity, prices, row.on)
            found[units[row.unit].currency].external += value
            paid[row.unit] -= value
    elif row.kind == Kind.FX:
        statement.exchanged += gross
    elif row.kind in EARNED or row.unit is None:
        statement.income += gross
    elif row.unit not in units:
        statement.unvalued += gross
    elif units[row.unit].currency == row.currency or not gross:  # a split is nobody's money, whatever it is booked in
        paid[row.unit] += gross
    else:
        value = _worth(units[row.unit], row.quantity, prices, row.on)
        statement.exchanged += gross
        found[units[row.unit].currency].exchanged += value
        paid[row.unit] -= value


@dataclass(frozen=True, slots=True)
class Rates:
    """Units of `into` for one of a currency at the end of a day."""

    into: str
    known: Mapping[tuple[str, date], Decimal]

    def at(self, currency: str, on: date) -> Decimal:
        """Raises NoPrice."""
        if currency == self.into:
            return Decimal(1)
        rate = self.known.get((currency, on))
        if rate is None:
            raise NoPrice(f"There is no rate of {currency} in {self.into} for {on:%-d %b %Y}.")
        return rate


def together(
    found: Mapping[str, Statement], flows: Sequence[tuple[date, Statement]], rates: Rates, *, first: date, last: date
) -> Statement:
    """All currencies as one statement in `rates.into`. Raises NoPrice.

    `flows` are the statements of each single day on which something moved, whose parts are converted at the rate of
    their day. The FX gain is worked out for itself: what was there, and each thing that came, has become worth more or
    less by the rate's way from its day to the last one; what was exchanged is gained or lost against the rates.
    """
    before = date.fromordinal(first.toordinal() - 1)
    whole = Statement(currency=rates.into)
    for currency, statement in found.items():
        start, end = rates.at(currency, before), rates.at(currency, last)
        whole.start += statement.start * start
        whole.price_gain += statement.price_gain * end
        whole.end += statement.end * end
        whole.fx_gain += statement.start * (end - start)
    for on, moved in flows:
        rate, end = rates.at(moved.currency, on), rates.at(moved.currency, last)
        whole.external += moved.external * rate
        whole.income += moved.income * rate
        whole.fees += moved.fees * rate
        whole.taxes += moved.taxes * rate
        whole.unvalued += moved.unvalued * rate
        came = moved.external + moved.exchanged + moved.income + moved.unvalued - moved.fees - moved.taxes
        whole.fx_gain += came * (end - rate) + moved.exchanged * rate
    return whole


def flows(
    rows: Iterable[Movement], units: Mapping[int, Unit], prices: Prices, *, first: date, last: date
) -> list[tuple[date, Statement]]:
    """What moved on each day, by currency; without worth and gains. Raises NoPrice."""
    days: dict[date, defaultdict[str, Statement]] = {}
    for row in rows:
        if first <= row.on <= last:
            _part(days.setdefault(row.on, _Found()), defaultdict(Decimal), row, units, prices)
    return [(on, statement) for on in sorted(days) for statement in days[on].values()]
