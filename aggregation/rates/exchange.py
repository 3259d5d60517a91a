"""An amount in one currency told in another, by a rate that is named with its source and its day.

A rate that is not known is never 1, and never silently an old one. On days without rates (weekends, closing days of
TARGET, today before they are out) the last published ones hold; what is older than that says by how many days.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Self

from django.utils import timezone

from aggregation.rates import ecb
from aggregation.rates.models import RatePublisher, ReferenceRate
from connections.brokers.records import Broker

EURO = "EUR"
OLDEST = timedelta(days=31)  # a rate from longer before the day asked for is none
BROKERS_HOLD = timedelta(days=4)  # how far from its own day a broker's rate may be used: over a long weekend
ONE = Decimal(1)
SHOWN_DIGITS = 6
SOURCES = {**dict(RatePublisher.choices), **dict(Broker.choices)}


@dataclass(frozen=True, slots=True)
class Quote:
    """`rate` units of `into` for one of `currency`, said by `source` for the day `on`. An amount in its own currency
    has rate 1 and no source. `late` is by how many days it is older than it should be."""

    currency: str
    into: str
    rate: Decimal
    on: date
    source: str
    late: int = 0

    @property
    def is_own(self) -> bool:
        return self.currency == self.into

    @property
    def source_label(self) -> str:
        return SOURCES.get(self.source, "")

    @property
    def shown_rate(self) -> Decimal:
        """As many digits as the rates that are published have, six."""
        return self.rate.quantize(Decimal(1).scaleb(self.rate.adjusted() - SHOWN_DIGITS + 1)).normalize()

    @property
    def words(self) -> str:
        """1 GBP = 1.26449 USD (European Central Bank, 20 Nov 2026)."""
        day = f"{self.on:%d %b %Y}".lstrip("0")
        return f"1 {self.currency} = {self.shown_rate:f} {self.into} ({self.source_label}, {day})"


@dataclass(frozen=True, slots=True)
class Gap:
    """There is no rate; `why` says so in a sentence."""

    currency: str
    into: str
    on: date
    why: str


@dataclass(frozen=True, slots=True)
class Converted:
    """`amount` is in `quote.into`, not rounded."""

    amount: Decimal
    quote: Quote

    @property
    def rate(self) -> Decimal:
        return self.quote.rate

    @property
    def rate_on(self) -> date:
        return self.quote.on

    @property
    def source(self) -> str:
        return self.quote.source


@dataclass(frozen=True, slots=True)
class BrokerRates:
    """What a broker says its account's currencies are worth in the account's own, `base`."""

    broker: str
    base: str
    on: date
    rates: Mapping[str, Decimal] = field(default_factory=dict)

    def quote(self, currency: str, into: str, on: date) -> Quote | None:
        """None when the broker does not tell both, or told them too long before or after `on`."""
        known = {**self.rates, self.base: ONE}
        if not {currency, into} <= known.keys() or abs(on - self.on) > BROKERS_HOLD:
            return None
        return Quote(currency, into, known[currency] / known[into], self.on, self.broker)


@dataclass(slots=True)
class Exchange:
    """The rates of some currencies over some days, loaded by one query; then any number of conversions."""

    first: date
    last: date
    _days: dict[str, list[date]] = field(default_factory=dict)
    _rates: dict[str, dict[date, Decimal]] = field(default_factory=dict)

    @classmethod
    def load(cls, currencies: Iterable[str], *, first: date | None = None, last: date | None = None) -> Self:
        """For days from `first` to `last`, both included; today when they are not given. One query, none for fewer
        than two currencies."""
        last = last or timezone.now().date()
        made = cls(first=first or last, last=last)
        wanted = set(currencies)
        if len(wanted) > 1:
            made._fill(wanted - {EURO})
        return made

    def _fill(self, currencies: Iterable[str]) -> None:
        rows = ReferenceRate.objects.filter(
            publisher=RatePublisher.ECB, currency__in=currencies, on__gte=self.first - OLDEST, on__lte=self.last
        ).order_by("currency", "on")
        days: dict[str, list[date]] = defaultdict(list)
        for currency, on, per_euro in rows.values_list("currency", "on", "per_euro"):
            days[currency].append(on)
            self._rates.setdefault(currency, {})[on] = per_euro
        self._days = dict(days)

    def quote(
        self, currency: str, into: str, *, on: date | None = None, broker: BrokerRates | None = None
    ) -> Quote | Gap:
        """The broker's own rate where it tells one, else the reference rate of `on` (the last day loaded)."""
        on = on or self.last
        if currency == into:
            return Quote(currency, into, ONE, on, "")
        told = broker.quote(currency, into, on) if broker else None
        return told or self._reference(currency, into, on)

    def convert(
        self, amount: Decimal, currency: str, into: str, *, on: date | None = None, broker: BrokerRates | None = None
    ) -> Converted | Gap:
        quote = self.quote(currency, into, on=on, broker=broker)
        return quote if isinstance(quote, Gap) else Converted(amount * quote.rate, quote)

    def _reference(self, currency: str, into: str, on: date) -> Quote | Gap:
        """A cross rate over the euro, both halves of the same day."""
        for name in (currency, into):
            if name != EURO and not self._days.get(name):
                return Gap(currency, into, on, f"There is no reference rate for {name}.")
        of_day = next(self._common_days(currency, into, on), None)
        if of_day is None:
            return Gap(currency, into, on, f"The reference rates for {currency} and {into} are too old, or too new.")
        rate = self._per_euro(into, of_day) / self._per_euro(currency, of_day)
        late = max((expected(on) - of_day).days, 0)
        return Quote(currency, into, rate, of_day, RatePublisher.ECB.value, late)

    def _common_days(self, currency: str, into: str, on: date) -> Iterator[date]:
        """Days up to `on`, and not too long before, that have a rate for both; newest first."""
        one, other = (into, currency) if currency == EURO else (currency, into)
        known = self._days[one]
        for day in reversed(known[: bisect_right(known, on)]):
            if on - day > OLDEST:
                return
            if other == EURO or day in self._rates[other]:
                yield day

    def _per_euro(self, currency: str, on: date) -> Decimal:
        return ONE if currency == EURO else self._rates[currency][on]


def expected(on: date) -> date:
    """The day whose rates one may expect on `on`: the last that had a fixing, and that is out by now."""
    return min(ecb.fixing_before(on), ecb.last_due(timezone.now()))
