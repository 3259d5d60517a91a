"""Reads the books into the unified table: what a person holds now, told in one currency."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from aggregation.account_aggregator import AccountSummary, Portfolio
from aggregation.positions import entries, table
from aggregation.positions.entries import Entry, QuoteOf, Row, Sums
from aggregation.positions.table import Asked, Table
from aggregation.rates.exchange import Exchange, Gap, Quote
from aggregation.rates.totals import broker_rates


@dataclass(frozen=True, slots=True)
class Held:
    """All of `portfolio`, piece by piece, told in `currency`."""

    portfolio: Portfolio
    currency: str
    pieces: tuple[Entry, ...]

    def table(self, asked: Asked) -> Table:
        return table.unified(self.pieces, asked, self.currency, self.portfolio.things.rows)

    def parts(self, row: Row) -> tuple[Row, ...]:
        """What each account has of a row."""
        whole = Sums.of(self.pieces).whole
        return tuple(Row.of([entry], row.instrument, whole) for entry in row.parts)

    @property
    def currencies(self) -> list[str]:
        return sorted({entry.currency for entry in self.pieces})


def held(portfolio: Portfolio, currency: str) -> Held:
    """One query for the rates; none when everything is in `currency` already."""
    quote_of = _quotes(portfolio, currency)
    return Held(portfolio, currency, tuple(entries.entries(portfolio, quote_of)))


def _quotes(portfolio: Portfolio, into: str) -> QuoteOf:
    """The broker's own rates for what it holds, else the reference rates of today."""
    exchange = Exchange.load({into, *_currencies(portfolio.accounts)})
    told = {summary.account.pk: broker_rates(summary, portfolio.zone) for summary in portfolio.accounts}

    @cache
    def quote(account_id: int, currency: str) -> Quote | Gap:
        return exchange.quote(currency, into, broker=told[account_id])

    return lambda summary, currency: quote(summary.account.pk, currency)


def _currencies(accounts: Iterable[AccountSummary]) -> set[str]:
    held = {lot.position.currency for summary in accounts for lot in summary.lots}
    money = {balance.currency for summary in accounts for balance in summary.balances}
    return held | money | {summary.account.currency for summary in accounts}
