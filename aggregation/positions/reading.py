"""Reads the books into the unified table: what a person holds now, told in one currency."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cache

from django.db.models import QuerySet

from aggregation.account_aggregator import AccountSummary, Portfolio, zone_of
from aggregation.history.holdings import holdings_on
from aggregation.history.lines import CARRY
from aggregation.models import BalancePoint
from aggregation.positions import entries, table
from aggregation.positions.choices import things_among
from aggregation.positions.entries import Entry, Row, Sums
from aggregation.positions.identity import Things
from aggregation.positions.table import Asked, Table
from aggregation.rates.exchange import Exchange, Gap, Quote
from aggregation.rates.totals import broker_rates
from brokerhub.kernel.models import User
from connections.models import Account


@dataclass(frozen=True, slots=True)
class Held:
    """Everything held, piece by piece, told in `currency`."""

    currency: str
    pieces: tuple[Entry, ...]
    things: Things

    def table(self, asked: Asked) -> Table:
        return table.unified(self.pieces, asked, self.currency, self.things.rows)

    def parts(self, row: Row) -> tuple[Row, ...]:
        """What each account has of a row."""
        whole = Sums.of(self.pieces).whole
        return tuple(Row.of([entry], row.instrument, whole) for entry in row.parts)

    @property
    def currencies(self) -> list[str]:
        return sorted({entry.currency for entry in self.pieces})


def held(portfolio: Portfolio, currency: str) -> Held:
    """One query for the rates; none when everything is in `currency` already."""
    quote_of = quotes(portfolio, currency)
    pieces = entries.entries(portfolio, lambda summary, of: quote_of(summary.account.pk, of))
    return Held(currency, tuple(pieces), portfolio.things)


def held_on(user: User, accounts: Sequence[Account], on: date, currency: str) -> Held:
    """What `accounts` held on the evening of `on`, at the reference rates of that day. What things cost then is not
    kept by day, so costs, gains and changes are unknown. A number of queries that does not grow."""
    points = holdings_on(accounts, on)
    cash = list(_cash_on(accounts, on))
    exchange = Exchange.load({currency, *(row.currency for row in points), *(row.currency for row in cash)}, last=on)
    things = things_among(user, {point.instrument for point in points})
    known = {account.pk: account for account in accounts}
    evening = datetime.combine(on, time.max, zone_of(user))
    pieces = [
        entries.of_point(
            point,
            known[point.account_id],
            things.of(point.instrument_id, point.account_id),
            exchange.quote(point.currency, currency),
            evening,
        )
        for point in points
    ]
    pieces += [
        entries.of_past_cash(row, known[row.account_id], exchange.quote(row.currency, currency), evening)
        for row in cash
        if row.cash != 0
    ]
    return Held(currency, tuple(pieces), things)


def _cash_on(accounts: Sequence[Account], on: date) -> QuerySet[BalancePoint]:
    """The newest daily value of each account and currency, of `on` or up to `CARRY` before."""
    points = BalancePoint.objects.filter(account__in=accounts, on__lte=on, on__gt=on - CARRY)
    return points.order_by("account_id", "currency", "-on").distinct("account_id", "currency")


# By which an account's amounts in a currency are told, by the account's id.
ByAccount = Callable[[int, str], Quote | Gap]


def quotes(portfolio: Portfolio, into: str) -> ByAccount:
    """The broker's own rates for what it holds, else the reference rates of today. One query, or none."""
    exchange = Exchange.load({into, *_currencies(portfolio.accounts)})
    told = {summary.account.pk: broker_rates(summary, portfolio.zone) for summary in portfolio.accounts}

    @cache
    def quote(account_id: int, currency: str) -> Quote | Gap:
        return exchange.quote(currency, into, broker=told[account_id])

    return quote


def _currencies(accounts: Iterable[AccountSummary]) -> set[str]:
    held = {lot.position.currency for summary in accounts for lot in summary.lots}
    money = {balance.currency for summary in accounts for balance in summary.balances}
    return held | money | {summary.account.currency for summary in accounts}
