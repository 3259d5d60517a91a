"""What sales gained: by year and account, each amount at the rate of its own day. What is not known stands apart."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property

from aggregation.lots.asking import Asked
from aggregation.lots.events import ZERO
from aggregation.lots.service import Gain, Lots
from aggregation.lots.words import Term
from aggregation.rates.exchange import Exchange, Gap
from connections.models import Account


@dataclass(slots=True)
class Sum:
    """Gains in `currency`. A sale of which something is unknown is counted in `unknown` and in nothing else.

    `gaps` are the rates that were missing, by currency: what rests on them is in `unknown` as well.
    """

    currency: str
    proceeds: Decimal = ZERO
    basis: Decimal = ZERO
    gain: Decimal = ZERO
    short: Decimal = ZERO
    long: Decimal = ZERO
    count: int = 0
    unknown: int = 0
    gaps: dict[str, str] = field(default_factory=dict)

    def add(self, gain: Gain, exchange: Exchange) -> None:
        """The cost at the rate of the day it was paid, the proceeds at the rate of the day they came."""
        closed = gain.closed
        if closed.cash is None or closed.cost is None or closed.gain is None:
            self.unknown += 1
            return
        moved = exchange.convert(closed.cash, closed.currency, self.currency, on=closed.closed_on)
        cost = exchange.convert(closed.cost, closed.currency, self.currency, on=closed.opened_on or closed.closed_on)
        if isinstance(moved, Gap) or isinstance(cost, Gap):
            self.unknown += 1
            self.gaps |= {each.currency: each.why for each in (moved, cost) if isinstance(each, Gap)}
            return
        self.count += 1
        self.gain += moved.amount - cost.amount
        self.proceeds += -cost.amount if closed.is_short_sale else moved.amount
        self.basis += -moved.amount if closed.is_short_sale else cost.amount
        if closed.term is Term.LONG:
            self.long += moved.amount - cost.amount
        elif closed.term is Term.SHORT:
            self.short += moved.amount - cost.amount


@dataclass
class GainsReport:
    """The lots closed in the year asked for, and what they come to; `years` goes over all years."""

    lots: Lots
    asked: Asked

    @property
    def all_closed(self) -> list[Gain]:
        return self.lots.closed

    @cached_property
    def closed(self) -> list[Gain]:
        year = self.asked.year
        return [gain for gain in self.all_closed if year is None or gain.closed.closed_on.year == year]

    @property
    def years(self) -> list[int]:
        return sorted({gain.closed.closed_on.year for gain in self.all_closed}, reverse=True)

    @property
    def is_converted(self) -> bool:
        return any(gain.closed.currency != self.asked.currency for gain in self.closed)

    @property
    def unknown_words(self) -> str:
        if self.total.unknown == 1:
            return "The gain of one lot is not known, and no sum here holds it. It is listed below with the reason."
        return (
            f"The gains of {self.total.unknown} lots are not known, and no sum here holds them. "
            "They are listed below with the reasons."
        )

    @cached_property
    def known(self) -> list[Gain]:
        return [gain for gain in self.closed if gain.closed.gain is not None]

    @cached_property
    def unknown(self) -> list[Gain]:
        return [gain for gain in self.closed if gain.closed.gain is None]

    @cached_property
    def exchange(self) -> Exchange:
        days = [gain.closed.closed_on for gain in self.all_closed]
        days += [gain.closed.opened_on for gain in self.all_closed if gain.closed.opened_on]
        currencies = {gain.closed.currency for gain in self.all_closed}
        currencies |= {self.asked.currency, *(account.currency for account in self.asked.accounts)}
        last = max(days, default=None)
        return Exchange.load(currencies if self.all_closed else (), first=min(days, default=None), last=last)

    @cached_property
    def total(self) -> Sum:
        return self._sum(self.closed, self.asked.currency)

    @cached_property
    def per_account(self) -> list[tuple[Account, Sum]]:
        """In each account's own currency; accounts without a sale are left out."""
        by_account: dict[int, list[Gain]] = defaultdict(list)
        for gain in self.closed:
            by_account[gain.account.pk].append(gain)
        return [
            (account, self._sum(by_account[account.pk], account.currency))
            for account in self.asked.accounts
            if account.pk in by_account
        ]

    @cached_property
    def per_year(self) -> list[tuple[int, Sum]]:
        """Newest first, in the currency asked for."""
        by_year: dict[int, list[Gain]] = defaultdict(list)
        for gain in self.all_closed:
            by_year[gain.closed.closed_on.year].append(gain)
        return [(year, self._sum(by_year[year], self.asked.currency)) for year in sorted(by_year, reverse=True)]

    def _sum(self, gains: Iterable[Gain], currency: str) -> Sum:
        total = Sum(currency)
        for gain in gains:
            total.add(gain, self.exchange)
        return total
