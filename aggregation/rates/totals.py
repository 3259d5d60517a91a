"""Everything a person has, in one currency: each account's money and positions by its broker's rates or the reference
rates. What has no rate is not in the total and is named beside it; what is not known makes the total unknown.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

from aggregation.account_aggregator import AccountSummary, Portfolio
from aggregation.models import Balance
from aggregation.rates.exchange import BrokerRates, Exchange, Gap, Quote
from aggregation.valuation import difference, fraction
from connections.models import Account

ZERO = Decimal(0)
MEASURES = ("net_asset_value", "cash", "market_value", "day_change", "gain")


@dataclass(frozen=True, slots=True)
class RateUsed:
    """One rate, how much was told by it, and what that came to."""

    quote: Quote
    amount: Decimal
    converted: Decimal


@dataclass(frozen=True, slots=True)
class NotCounted:
    """A part that is not in the total. `amount` is None when it is not known itself."""

    account: Account
    currency: str
    amount: Decimal | None
    why: str


@dataclass(slots=True)
class WholeTotal:
    """All accounts in `currency`, without what is `missing` for want of a rate. A figure is None as soon as a part of
    it is unknown, or when nothing counts."""

    currency: str
    net_asset_value: Decimal | None = None
    cash: Decimal | None = None
    market_value: Decimal | None = None
    day_change: Decimal | None = None
    gain: Decimal | None = None
    used: list[RateUsed] = field(default_factory=list)
    missing: list[NotCounted] = field(default_factory=list)

    @property
    def day_fraction(self) -> Decimal | None:
        return fraction(self.day_change, difference(self.net_asset_value, self.day_change))

    @property
    def late(self) -> int:
        """By how many days the oldest rate is older than it should be."""
        return max((one.quote.late for one in self.used), default=0)

    @property
    def rates_in_words(self) -> str:
        """For a title: 1 GBP = 1.2645 USD (European Central Bank, 20 Nov 2026); one sentence a rate."""
        return "; ".join(one.quote.words for one in self.used)


def broker_rates(summary: AccountSummary, zone: ZoneInfo) -> BrokerRates | None:
    """What the account's broker told of its currencies; None when it told nothing."""
    told = {
        balance.currency: balance.exchange_rate for balance in summary.balances if balance.exchange_rate is not None
    }
    if not told or summary.as_of is None:
        return None
    on = min(balance.as_of for balance in summary.balances).astimezone(zone).date()
    return BrokerRates(summary.account.connection.broker, summary.account.currency, on, told)


def total(portfolio: Portfolio, into: str, *, on: date | None = None) -> WholeTotal:
    """One query; none when everything is in `into` already."""
    exchange = Exchange.load(_currencies(portfolio.accounts, into), last=on)
    return total_of(portfolio.accounts, into, exchange, portfolio.zone)


def total_and_parts(portfolio: Portfolio, into: str) -> tuple[WholeTotal, list[tuple[AccountSummary, WholeTotal]]]:
    """The total, and each account by itself. One query for both."""
    exchange = Exchange.load(_currencies(portfolio.accounts, into))
    parts = [(summary, total_of([summary], into, exchange, portfolio.zone)) for summary in portfolio.accounts]
    return total_of(portfolio.accounts, into, exchange, portfolio.zone), parts


def quoted_balances(portfolio: Portfolio, into: str) -> Iterator[tuple[AccountSummary, Balance, Quote | None]]:
    """Every balance with the rate that tells it in `into`; None where there is none. One query."""
    exchange = Exchange.load(_currencies(portfolio.accounts, into))
    for summary in portfolio.accounts:
        broker = broker_rates(summary, portfolio.zone)
        for balance in summary.balances:
            quote = exchange.quote(balance.currency, into, broker=broker)
            yield summary, balance, None if isinstance(quote, Gap) else quote


def _currencies(accounts: Iterable[AccountSummary], into: str) -> set[str]:
    found = {into}
    for summary in accounts:
        found |= {summary.account.currency, *(balance.currency for balance in summary.balances)}
        found |= {lot.position.currency for lot in summary.lots}
    return found


def total_of(accounts: Iterable[AccountSummary], into: str, exchange: Exchange, zone: ZoneInfo) -> WholeTotal:
    adding = _Adding(into, exchange)
    for summary in accounts:
        adding.add(summary, broker_rates(summary, zone))
    return adding.total()


class _Adding:
    """Sums while it goes over the accounts; every amount is asked for by its own currency and its broker's rates."""

    def __init__(self, into: str, exchange: Exchange) -> None:
        self.into, self.exchange = into, exchange
        self.sums: dict[str, Decimal | None] = {}
        self.used: dict[Quote, tuple[Decimal, Decimal]] = defaultdict(lambda: (ZERO, ZERO))
        self.missing: list[NotCounted] = []

    def add(self, summary: AccountSummary, broker: BrokerRates | None) -> None:
        for balance in summary.balances:
            quote = self.exchange.quote(balance.currency, self.into, broker=broker)
            if isinstance(quote, Gap):
                self.missing.append(NotCounted(summary.account, balance.currency, balance.net_asset_value, quote.why))
                continue
            self._value(summary, balance, quote)
            self._sum("cash", balance.cash, quote)
        for lot in summary.lots:
            quote = self.exchange.quote(lot.position.currency, self.into, broker=broker)
            if not isinstance(quote, Gap):
                self._sum("market_value", lot.position.market_value, quote)
                self._sum("day_change", lot.position.day_change, quote)
                self._sum("gain", lot.gain, quote)

    def _value(self, summary: AccountSummary, balance: Balance, quote: Quote) -> None:
        value = balance.net_asset_value
        self._sum("net_asset_value", value, quote)
        if value is None:
            self.missing.append(NotCounted(summary.account, balance.currency, None, "Its value is not known."))
        elif not quote.is_own:
            amount, converted = self.used[quote]
            self.used[quote] = amount + value, converted + value * quote.rate

    def _sum(self, measure: str, amount: Decimal | None, quote: Quote) -> None:
        before = self.sums.get(measure, ZERO)
        self.sums[measure] = None if amount is None or before is None else before + amount * quote.rate

    def total(self) -> WholeTotal:
        nothing_held = {} if "net_asset_value" not in self.sums else dict.fromkeys(MEASURES, ZERO)
        used = sorted(self._rates_used(), key=lambda one: (one.quote.currency, one.quote.source))
        return WholeTotal(self.into, **{**nothing_held, **self.sums}, used=used, missing=self.missing)

    def _rates_used(self) -> Iterator[RateUsed]:
        for quote, (amount, converted) in self.used.items():
            if amount:
                yield RateUsed(quote, amount, converted)
