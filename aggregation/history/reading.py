"""Reads what accounts' days are worked out from, for many accounts in a constant number of queries."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from django.db.models import OuterRef, Q, Subquery, Sum

from aggregation import options
from aggregation.history.walk import Past, Price, PriceSource, Sums, Track
from aggregation.models import (
    BalancePoint,
    DailyPrice,
    Instrument,
    PointBasis,
    PositionPoint,
    Transaction,
    TransactionQuerySet,
)
from connections.brokers.records import AssetClass, TransactionKind
from connections.models import Account

PAID = (TransactionKind.DEPOSIT, TransactionKind.WITHDRAWAL, TransactionKind.TRANSFER_IN, TransactionKind.TRANSFER_OUT)
TRANSFERS = (TransactionKind.TRANSFER_IN, TransactionKind.TRANSFER_OUT)
TRADES = (TransactionKind.BUY, TransactionKind.SELL)
Moves = dict[date, Decimal]


def _by_day() -> defaultdict[tuple[int, int], Moves]:
    return defaultdict(dict)


@dataclass(slots=True)
class _Read:
    """Rows as they came, by account and instrument or currency."""

    units: defaultdict[tuple[int, int], Moves] = field(default_factory=_by_day)
    splits: defaultdict[tuple[int, int], Moves] = field(default_factory=_by_day)
    transfers: defaultdict[tuple[int, int], Moves] = field(default_factory=_by_day)
    said_units: defaultdict[tuple[int, int], Moves] = field(default_factory=_by_day)
    cash: defaultdict[tuple[int, str], Moves] = field(default_factory=lambda: defaultdict(dict))
    said_cash: defaultdict[tuple[int, str], Moves] = field(default_factory=lambda: defaultdict(dict))
    paid: defaultdict[int, dict[tuple[str, date], Decimal]] = field(default_factory=lambda: defaultdict(dict))
    reports: defaultdict[int, set[date]] = field(default_factory=lambda: defaultdict(set))
    prices: defaultdict[tuple[int, int], dict[date, Price]] = field(default_factory=lambda: defaultdict(dict))


def pasts(accounts: Collection[int], *, since: date | None = None) -> dict[int, Past]:
    """By account id, also of those of which nothing is known. Seven queries.

    `since`: the day of a report to go on from. Then only what moved after it is read, and what was said from it on.
    """
    read = _Read()
    _movements(read, accounts, since)
    _reports(read, accounts, since or date.min)
    _later_than_reported(read, accounts, since or date.min)
    _trade_prices(read, accounts, since or date.min)
    instruments = Instrument.objects.in_bulk({instrument for _, instrument in [*read.units, *read.said_units]})
    closes = _closes(accounts, instruments, since or date.min)
    found = {account: Past({}, {}, read.paid[account]) for account in accounts}
    for account, instrument_id in {*read.units, *read.said_units}:
        instrument = instruments[instrument_id]
        found[account].tracks[instrument_id] = _track(read, account, instrument, closes)  # type: ignore[index]
    for account, currency in {*read.cash, *read.said_cash}:
        key = (account, currency)
        found[account].cash[currency] = Sums(read.cash[key], read.said_cash[key])  # type: ignore[index]
    return found


def _track(read: _Read, account: int, instrument: Instrument, closes: dict[int, dict[date, Price]]) -> Track:
    key = (account, instrument.pk)
    said = {day: read.said_units[key].get(day, Decimal(0)) for day in read.reports[account]}
    prices = read.prices[key] | closes.get(instrument.pk, {})
    option = options.parse(instrument.symbol) if instrument.asset_class == AssetClass.OPTION else None
    return Track(
        asset_class=instrument.asset_class,
        currency=instrument.currency,
        multiplier=instrument.multiplier,
        sums=Sums(read.units[key], said),
        splits=read.splits[key],
        transfers=read.transfers[key],
        prices=[prices[day] for day in sorted(prices)],
        ends_on=option.expires_on if option else None,
    )


def _movements(read: _Read, accounts: Collection[int], since: date | None) -> None:
    rows = Transaction.objects.in_books().filter(account__in=accounts).order_by()
    if since is not None:
        rows = rows.filter(traded_on__gt=since)
    for account, currency, day, amount, paid in rows.values_list("account_id", "currency", "traded_on").annotate(
        amount=Sum("net_amount"), paid=Sum("net_amount", filter=Q(kind__in=PAID))
    ):
        read.cash[account, currency][day] = amount
        if paid:
            read.paid[account][currency, day] = paid
    units = rows.exclude(instrument=None).exclude(quantity=None).values_list("account_id", "instrument_id", "traded_on")
    for account, instrument, day, moved, split, transferred in units.annotate(
        moved=Sum("quantity"),
        split=Sum("quantity", filter=Q(kind=TransactionKind.SPLIT)),
        transferred=Sum("quantity", filter=Q(kind__in=TRANSFERS)),
    ):
        key = (account, instrument)
        read.units[key][day] = moved
        if split:
            read.splits[key][day] = split
        if transferred:
            read.transfers[key][day] = transferred


def _reports(read: _Read, accounts: Collection[int], since: date) -> None:
    """What brokers said at the end of days. A report names all that is held: what it leaves out is nothing."""
    observed = BalancePoint.objects.filter(account__in=accounts, basis=PointBasis.OBSERVED, on__gte=since)
    for account, currency, day, cash, by_class in observed.values_list(
        "account_id", "currency", "on", "cash", "by_class"
    ):
        if by_class is not None:  # before positions were kept by day, only the values were
            read.reports[account].add(day)
        if cash is not None:
            read.said_cash[account, currency][day] = cash
    points = PositionPoint.objects.filter(account__in=accounts, on__gte=since)
    for account, instrument, day, units, price in points.values_list(
        "account_id", "instrument_id", "on", "quantity", "price"
    ):
        read.said_units[account, instrument][day] = units
        if price is not None:
            read.prices[account, instrument][day] = Price(day, price, PriceSource.POSITION)


def _later_than_reported(read: _Read, accounts: Collection[int], since: date) -> None:
    """What moved on a day after its report is added to it, so that it says the end of the day."""
    report = BalancePoint.objects.filter(
        account=OuterRef("account"), on=OuterRef("traded_on"), basis=PointBasis.OBSERVED
    ).order_by("-as_of")
    later = (
        Transaction.objects.in_books()
        .filter(account__in=accounts, traded_on__gte=since, occurred_at__gt=Subquery(report.values("as_of")[:1]))
        .order_by()
    )
    for account, currency, day, amount in later.values_list("account_id", "currency", "traded_on").annotate(
        amount=Sum("net_amount")
    ):
        said = read.said_cash[account, currency]
        if day in said:
            said[day] += amount
    moved = later.exclude(instrument=None).exclude(quantity=None)
    for account, instrument, day, units in moved.values_list("account_id", "instrument_id", "traded_on").annotate(
        units=Sum("quantity")
    ):
        said = read.said_units[account, instrument]
        said[day] = said.get(day, Decimal(0)) + units


def _trade_prices(read: _Read, accounts: Collection[int], since: date) -> None:
    """The last trade of a day, where nothing better is known."""
    trades = trades_of(accounts).filter(traded_on__gte=since)
    newest = trades.order_by("account_id", "instrument_id", "traded_on", "-occurred_at", "-pk")
    for account, instrument, day, price in newest.distinct("account_id", "instrument_id", "traded_on").values_list(
        "account_id", "instrument_id", "traded_on", "price"
    ):
        if price is not None:
            read.prices[account, instrument].setdefault(day, Price(day, price, PriceSource.TRADE))


def trades_of(accounts: Collection[int]) -> TransactionQuerySet:
    """Rows that tell what an instrument was worth on their day."""
    return Transaction.objects.in_books().filter(
        account__in=accounts, kind__in=(*TRADES, *TRANSFERS), price__gt=0, instrument__isnull=False
    )


def _closes(accounts: Collection[int], instruments: Collection[int], since: date) -> dict[int, dict[date, Price]]:
    """Of the one person whose accounts these are."""
    found: defaultdict[int, dict[date, Price]] = defaultdict(dict)
    owners = Account.objects.filter(pk__in=accounts).order_by().values("connection__user").distinct()
    wanted = DailyPrice.objects.filter(user__in=owners, instrument__in=instruments, on__gte=since)
    rows = wanted.values_list("instrument_id", "on", "close")
    for instrument, day, close in rows.iterator(chunk_size=10_000):
        found[instrument][day] = Price(day, close, PriceSource.CLOSE)
    return found
