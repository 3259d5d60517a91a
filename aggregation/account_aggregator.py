"""Reads the books: everything a person holds, over all accounts, as one portfolio.

Amounts of different currencies are never added: each total names its currency. What a broker did not say stays None,
and so does every sum with an unknown part.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from zoneinfo import ZoneInfo

from django.utils import timezone

from aggregation.models import Balance, Instrument, Position
from aggregation.positions.choices import things_among
from aggregation.positions.identity import Thing, Things
from aggregation.valuation import average_cost, cost_of, difference, fraction, known_sum
from brokerhub.kernel.models import User
from connections.models import Account, AccountQuerySet
from connections.states import ConnectionState

BY_HAND_HOLDS = timedelta(days=31)  # after which it is time to look at figures kept by hand
LEFT = (ConnectionState.DISCONNECTING, ConnectionState.DISCONNECTED)


@dataclass(slots=True)
class Lot:
    """One account's part of a unified position."""

    account: Account
    position: Position

    @property
    def cost(self) -> Decimal | None:
        multiplier: Decimal = self.position.instrument.multiplier
        return cost_of(self.position.quantity, self.position.average_cost, multiplier)

    @property
    def gain(self) -> Decimal | None:
        return difference(self.position.market_value, self.cost)


@dataclass(slots=True)
class Holding:
    """One instrument over all accounts, whatever they call it. `weight` is its share of the net asset value in its
    currency, 0..1."""

    instrument: Instrument
    currency: str
    lots: list[Lot] = field(default_factory=list)
    weight: Decimal | None = None

    @property
    def quantity(self) -> Decimal:
        return sum((lot.position.quantity for lot in self.lots), Decimal(0))

    @property
    def average_cost(self) -> Decimal | None:
        return average_cost((lot.position.quantity, lot.position.average_cost) for lot in self.lots)

    @property
    def price(self) -> Decimal | None:
        """The price the latest report of any account gave."""
        latest = max((lot.position for lot in self.lots), key=lambda position: position.as_of)
        price: Decimal | None = latest.price
        return price

    @property
    def market_value(self) -> Decimal | None:
        return known_sum(lot.position.market_value for lot in self.lots)

    @property
    def cost(self) -> Decimal | None:
        return known_sum(lot.cost for lot in self.lots)

    @property
    def gain(self) -> Decimal | None:
        return difference(self.market_value, self.cost)

    @property
    def gain_fraction(self) -> Decimal | None:
        cost = self.cost
        return fraction(self.gain, None if cost is None else abs(cost))

    @property
    def day_change(self) -> Decimal | None:
        return known_sum(lot.position.day_change for lot in self.lots)

    @property
    def as_of(self) -> datetime:
        """The oldest report it rests on."""
        return min(lot.position.as_of for lot in self.lots)


@dataclass(slots=True)
class AccountSummary:
    account: Account
    balances: list[Balance]
    lots: list[Lot]

    @property
    def as_of(self) -> datetime | None:
        """When the broker last said what the account holds; None when it never has."""
        times = [balance.as_of for balance in self.balances] + [lot.position.as_of for lot in self.lots]
        return max(times, default=None)

    @property
    def oldest_as_of(self) -> datetime | None:
        """Of the oldest of its figures: what is kept by hand is said piece by piece."""
        times = [balance.as_of for balance in self.balances] + [lot.position.as_of for lot in self.lots]
        return min(times, default=None)

    @property
    def is_file(self) -> bool:
        return self.account.connection.is_file

    @property
    def is_by_hand(self) -> bool:
        """What it holds now was said by the person."""
        return self.is_file and self.as_of is not None

    @property
    def is_old(self) -> bool:
        """Kept by hand, and not looked after for `BY_HAND_HOLDS`."""
        oldest = self.oldest_as_of
        return self.is_by_hand and oldest is not None and timezone.now() - oldest > BY_HAND_HOLDS


@dataclass(frozen=True, slots=True)
class Total:
    """Everything in one currency. `gain` is what the held positions are worth above their cost."""

    currency: str
    net_asset_value: Decimal | None
    cash: Decimal | None
    market_value: Decimal | None
    day_change: Decimal | None
    gain: Decimal | None


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old the figures are: of `reporting` accounts, `current` were reported today in the person's time zone. Those
    kept by file say nothing about now; of those kept by hand, `oldest_by_hand` is when the oldest figure was said."""

    reporting: int
    current: int
    waiting: int
    by_file: int
    oldest: datetime | None
    by_hand: int = 0
    oldest_by_hand: datetime | None = None

    @property
    def is_complete(self) -> bool:
        return self.current == self.reporting and not self.waiting

    @property
    def label(self) -> str:
        known = self.reporting + self.waiting
        if known == 0:
            return "No account reports its positions yet"
        accounts = "account" if known == 1 else "accounts"
        label = f"{self.current} of {known} {accounts} as of today"
        if self.waiting:
            label += f"; {self.waiting} not reported yet"
        return label


@dataclass
class Portfolio:
    """What a person holds now, in accounts of connections they have not left."""

    accounts: list[AccountSummary]
    zone: ZoneInfo
    known: Things | None = None  # without it, what the identifiers prove, and nobody's decisions

    @cached_property
    def things(self) -> Things:
        return self.known or Things({lot.position.instrument for one in self.accounts for lot in one.lots})

    def thing(self, lot: Lot) -> Thing:
        return self.things.of(lot.position.instrument_id, lot.account.pk)

    @cached_property
    def holdings(self) -> list[Holding]:
        """Largest first within a currency; those without a value at the end."""
        found: dict[tuple[Thing, str], Holding] = {}
        for lot in (lot for summary in self.accounts for lot in summary.lots):
            thing, currency = self.thing(lot), lot.position.currency
            lead = self.things.rows[thing.instrument_id]
            found.setdefault((thing, currency), Holding(lead, currency)).lots.append(lot)
        worth = {total.currency: total.net_asset_value for total in self.totals}
        for holding in found.values():
            holding.weight = fraction(holding.market_value, worth.get(holding.currency))
        return sorted(found.values(), key=_by_value)

    @cached_property
    def totals(self) -> list[Total]:
        """One per currency, the one with the most accounts first."""
        balances: dict[str, list[Balance]] = defaultdict(list)
        lots: dict[str, list[Lot]] = defaultdict(list)
        for summary in self.accounts:
            for balance in summary.balances:
                balances[balance.currency].append(balance)
            for lot in summary.lots:
                lots[lot.position.currency].append(lot)
        currencies = sorted({*balances, *lots}, key=lambda currency: (-len(balances[currency]), currency))
        return [_total(currency, balances[currency], lots[currency]) for currency in currencies]

    @property
    def cash(self) -> list[Balance]:
        return [balance for summary in self.accounts for balance in summary.balances]

    @property
    def freshness(self) -> Freshness:
        by_api = [summary for summary in self.accounts if not summary.is_file]
        reported = [summary.as_of for summary in by_api if summary.as_of is not None]
        today = timezone.now().astimezone(self.zone).date()
        by_hand = [summary.oldest_as_of for summary in self.accounts if summary.is_by_hand]
        return Freshness(
            reporting=len(reported),
            current=sum(as_of.astimezone(self.zone).date() >= today for as_of in reported),
            waiting=len(by_api) - len(reported),
            by_file=len(self.accounts) - len(by_api) - len(by_hand),
            oldest=min(reported, default=None),
            by_hand=len(by_hand),
            oldest_by_hand=min((said for said in by_hand if said is not None), default=None),
        )


def counted_accounts(user: User) -> AccountQuerySet:
    """Those whose figures count now: open, and of connections the person has not left."""
    return Account.objects.for_user(user).current().exclude(connection__state__in=LEFT)


def portfolio(user: User) -> Portfolio:
    """Five queries, however many accounts and positions."""
    accounts = counted_accounts(user).select_related("connection").defer("connection__sealed_credentials")
    summaries = _summaries(list(accounts.order_by("connection__created_at", "pk")))
    held = {lot.position.instrument for summary in summaries for lot in summary.lots}
    return Portfolio(summaries, zone_of(user), things_among(user, held))


def zone_of(user: User) -> ZoneInfo:
    return ZoneInfo(user.timezone)


def account_summary(account: Account) -> AccountSummary:
    """Of any account, also one whose connection was left: then it is what was known last."""
    return _summaries([account])[0]


def _summaries(accounts: list[Account]) -> list[AccountSummary]:
    known = {account.pk: AccountSummary(account, [], []) for account in accounts}
    for balance in Balance.objects.filter(account__in=known).order_by("currency"):
        known[balance.account_id].balances.append(balance)
    held = Position.objects.held().filter(account__in=known).prefetch_related("instrument").defer("raw")
    for position in held.order_by("instrument__symbol"):
        summary = known[position.account_id]
        summary.lots.append(Lot(summary.account, position))
    return list(known.values())


def _total(currency: str, balances: list[Balance], lots: list[Lot]) -> Total:
    return Total(
        currency=currency,
        net_asset_value=known_sum(balance.net_asset_value for balance in balances),
        cash=known_sum(balance.cash for balance in balances),
        market_value=_sum_of_held(lot.position.market_value for lot in lots),
        day_change=_sum_of_held(lot.position.day_change for lot in lots),
        gain=_sum_of_held(lot.gain for lot in lots),
    )


def _sum_of_held(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """Nothing held is worth nothing, which is known."""
    return known_sum([Decimal(0), *amounts])


def _by_value(holding: Holding) -> tuple[str, bool, Decimal, str]:
    value = holding.market_value
    return holding.currency, value is None, -(value or Decimal(0)), holding.instrument.symbol
