"""What one account was worth on each day, from movements, prices and what the broker said now and then. Pure.

Units and cash of a day are the sum of the movements up to it, plus an offset: by how much the broker's own word
differed from that sum. The offset is the one of the last word before the day. Before the first word there is none as
soon as one of the first few agrees with the movements, so that a trade told late does not move years gone by.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from enum import IntEnum
from functools import cached_property

from aggregation.models import PointBasis
from connections.brokers.records import AssetClass

ZERO = Decimal(0)
ONE_DAY = timedelta(days=1)
FRESH = timedelta(days=4)  # a close is good over a long weekend
SETTLING = 7  # the first words of the broker, which decide what was before them
CENT = Decimal("0.01")


class PriceSource(IntEnum):
    """Where a price is from; of several for one day the highest counts."""

    TRADE = 1  # the account's own trade: the last resort
    POSITION = 2  # the broker's report of the position
    CLOSE = 3  # a broker's price history


@dataclass(frozen=True, slots=True)
class Price:
    on: date
    value: Decimal
    source: PriceSource


@dataclass
class Sums:
    """Running sums of what moved, by day. `said` is what the broker had said by the end of a day."""

    moves: Mapping[date, Decimal]
    said: Mapping[date, Decimal] = field(default_factory=dict)
    _days: list[date] = field(init=False)
    _sums: list[Decimal] = field(init=False)
    _said_on: list[date] = field(init=False)
    _offsets: list[Decimal] = field(init=False)

    def __post_init__(self) -> None:
        self._days = sorted(self.moves)
        self._sums, total = [], ZERO
        for day in self._days:
            total += self.moves[day]
            self._sums.append(total)
        self._said_on = sorted(self.said)
        self._offsets = [self.said[day] - self.moved(day) for day in self._said_on]

    def moved(self, on: date) -> Decimal:
        place = bisect_right(self._days, on)
        return self._sums[place - 1] if place else ZERO

    @cached_property
    def before(self) -> Decimal:
        """The offset before the broker's first word; what comes after the first few never changes it.

        Less than nothing, where no movement so far needs that, is an end nobody told of: then there was nothing before.
        """
        first = self._offsets[:SETTLING]
        opening = first[0] if first and ZERO not in first else ZERO
        if opening >= 0:
            return opening
        settled = bisect_right(self._days, self._said_on[:SETTLING][-1])
        return ZERO if min(self._sums[:settled], default=ZERO) >= 0 else opening

    def offset(self, on: date) -> Decimal:
        place = bisect_right(self._said_on, on)
        return self._offsets[place - 1] if place else self.before

    def at(self, on: date) -> Decimal:
        return self.moved(on) + self.offset(on)

    @property
    def first(self) -> date | None:
        return min([*self._days[:1], *self._said_on[:1]], default=None)


@dataclass(slots=True)
class Track:
    """One instrument in one account. `splits` are the units a split added, `transfers` those that came or went."""

    asset_class: str
    currency: str
    multiplier: Decimal
    sums: Sums
    splits: Mapping[date, Decimal] = field(default_factory=dict)
    transfers: Mapping[date, Decimal] = field(default_factory=dict)
    prices: Sequence[Price] = ()  # one for each day, oldest first
    ends_on: date | None = None  # an option's last day
    _priced_on: list[date] = field(init=False)

    def __post_init__(self) -> None:
        self._priced_on = [price.on for price in self.prices]

    def units(self, on: date) -> Decimal:
        if self.ends_on is not None and on > self.ends_on:
            return ZERO
        return self.sums.at(on)

    def price(self, on: date) -> Price | None:
        """The newest price of `on` or before, in the units of `on`; None without any."""
        place = bisect_right(self._priced_on, on)
        if not place:
            return None
        price = self.prices[place - 1]
        ratio = self._ratio(price.on, on)
        return price if ratio == 1 else Price(price.on, price.value / ratio, price.source)

    def _ratio(self, after: date, until: date) -> Decimal:
        """How many units one unit of `after` has become by `until`."""
        ratio = Decimal(1)
        for day in self.splits:
            if after < day <= until:
                ratio *= self.split(day) or 1
        return ratio

    def split(self, day: date) -> Decimal | None:
        """Units after the split of `day` for one before, None where there were none. What is traded on the day itself
        is in new units mostly, so the evening before counts, and the day itself only where nothing was held then."""
        added = self.splits[day]
        held = self.sums.at(day - ONE_DAY) or self.sums.at(day) - added
        return (held + added) / held if held and held + added else None

    def is_stale(self, price: Price, on: date) -> bool:
        """Whether it may be far from what `on` would have said. A money fund keeps its price by design."""
        if self.asset_class == AssetClass.MONEY_FUND:
            return False
        return price.source is PriceSource.TRADE or on - price.on > FRESH

    def value(self, units: Decimal, price: Price) -> Decimal:
        """Signed, to the cent, as brokers report a position."""
        return (units * price.value * self.multiplier).quantize(CENT)


@dataclass(frozen=True, slots=True)
class Day:
    """One currency's part of an account at the end of a day. `value` None: not known. Money funds stand in
    `by_class` like everything that is held; what it leaves out is cash."""

    on: date
    currency: str
    basis: PointBasis
    value: Decimal | None
    cash: Decimal | None
    flow: Decimal | None
    by_class: Mapping[str, Decimal] = field(default_factory=dict)
    at_older_prices: Decimal = ZERO


@dataclass(slots=True)
class Past:
    """Everything an account's days are worked out from."""

    tracks: Mapping[int, Track]  # by instrument id
    cash: Mapping[str, Sums]  # by currency
    paid: Mapping[tuple[str, date], Decimal] = field(default_factory=dict)  # cash in (+) and out (-) of the account

    @property
    def currencies(self) -> list[str]:
        return sorted({*self.cash, *(track.currency for track in self.tracks.values())})

    @property
    def first(self) -> date | None:
        """The eve of the first movement: what was there before is known, mostly nothing. None: nothing ever moved."""
        moved = [min(sums.moves) for sums in self._sums() if sums.moves]
        if moved:
            return min(moved) - ONE_DAY
        return min((sums.first for sums in self._sums() if sums.first), default=None)

    def _sums(self) -> Iterator[Sums]:
        yield from self.cash.values()
        yield from (track.sums for track in self.tracks.values())

    def days(self, first: date, last: date) -> Iterator[Day]:
        """Each currency's part on each day from `first` to `last`, both included."""
        tracks: dict[str, list[Track]] = {currency: [] for currency in self.currencies}
        for track in self.tracks.values():
            tracks[track.currency].append(track)
        on = first
        while on <= last:
            for currency, held in tracks.items():
                yield self._day(on, currency, held)
            on += ONE_DAY

    def _day(self, on: date, currency: str, tracks: Sequence[Track]) -> Day:
        cash = self.cash[currency].at(on) if currency in self.cash else ZERO
        flow: Decimal | None = self.paid.get((currency, on), ZERO)
        by_class: defaultdict[str, Decimal] = defaultdict(Decimal)
        fresh = older = ZERO
        is_known = True
        for track in tracks:
            if on in track.transfers:
                flow = _with_transfer(flow, track, on)
            units = track.units(on)
            if not units:
                continue
            price = track.price(on)
            if price is None:
                is_known = False
                continue
            value = track.value(units, price)
            by_class[track.asset_class] += value
            if track.is_stale(price, on):
                older += abs(value)
            else:
                fresh += abs(value)
        if not is_known:
            return Day(on, currency, PointBasis.UNKNOWN, None, cash, flow)
        basis = PointBasis.CARRIED if older and not fresh else PointBasis.REBUILT
        worth = cash + sum(by_class.values(), ZERO)
        return Day(on, currency, basis, worth, cash, flow, by_class, older)


def _with_transfer(flow: Decimal | None, track: Track, on: date) -> Decimal | None:
    """What came or went in kind counts at the value of its day; without a price the flow is not known."""
    price = track.price(on)
    return None if price is None or flow is None else flow + track.value(track.transfers[on], price)
