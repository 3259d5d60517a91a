"""Daily closes from the brokers' own price history, for what people held on days gone by.

Read only, and behind everything else: a few calls at a time, of connections that work, never twice for the same days.
A broker tells its closes in today's units; they are kept in those of their day. Closes that contradict the person's own
trades (a split nobody told, another share of the same name) are left out: no price is better than a wrong one.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

import structlog
from django.db import transaction
from django.db.models import Max, Min, Q, Sum, Value
from django.db.models.functions import Least
from django.utils import timezone

from aggregation.history.reading import TRADES, pasts
from aggregation.history.taking import LEFT, last_day_over
from aggregation.models import AccountHistory, DailyPrice, Instrument, Position, PriceCoverage, Transaction
from brokerhub.kernel.errors import HubError
from connections import connection_manager
from connections.brokers.base import BrokerError, BrokerUnavailable, NeedsReauth, TellsPrices, closing
from connections.brokers.records import AssetClass, PriceRecord, TransactionKind
from connections.models import Account, Connection

log = structlog.get_logger(__name__)

CALLS_AT_ONCE = 20  # of one connection in one go; the rest of its budget is for syncs
AGAIN = timedelta(hours=20)  # after days that could not be had
ELSEWHERE = timedelta(hours=4)  # then of another broker of the same person
BEFORE = timedelta(days=5)  # so that the first day has a close before it
AGREES = Decimal(2)  # a trade may be so many times its day's close, or the other way round
SAME_SPLIT, CUT_OFF = timedelta(days=7), Decimal("0.02")  # apart at most, by days and by ratio: one event told twice
CLAIM = timedelta(minutes=10)
ONE_DAY = timedelta(days=1)
FRIDAY = 4
DOLLAR = "USD"
CONTRADICTED = "Some days are left out: their prices contradict your own trades."


@dataclass(frozen=True, slots=True)
class Wish:
    """Days of which an instrument's closes are wanted, both included."""

    instrument: Instrument
    first: date
    last: date


def read_due(now: datetime | None = None) -> int:
    """Ask each working connection that tells prices for what its person lacks; return how many series were read."""
    at = now or timezone.now()
    connections = Connection.objects.exclude(state__in=LEFT).select_related("user").order_by("created_at")
    done = 0
    for connection in connections:
        if connection.is_file or not connection.status.may_sync:
            continue
        try:
            done += _read(connection, at)
        except HubError as error:  # of this connection: what the next sync tells its person
            log.info("prices_not_read", connection=str(connection.pk), why=error.code)
    return done


def _read(connection: Connection, at: datetime) -> int:
    connector = connection_manager.connector_for(connection)
    if not isinstance(connector, TellsPrices):
        return 0
    with closing(connector):
        wishes = list(wishes_of(connection, connector, at))[:CALLS_AT_ONCE]
        return sum(_fetch(connection, connector, wish, at) for wish in wishes)


def wishes_of(connection: Connection, connector: TellsPrices, at: datetime) -> Iterator[Wish]:
    """What was ever held in any account of the connection's person, in dollars, and is not covered yet.

    Days before the broker's reach are left to one that tells more.
    """
    last_over = _last_weekday(last_day_over(connection.user.timezone, at))
    learnt = _splits_learnt(connection.user_id)
    coverages = {each.instrument_id: each for each in PriceCoverage.objects.filter(user=connection.user_id)}
    for instrument, (begin, last) in _held(connection.user_id, connector.priced, last_over).items():
        covered, first = coverages.get(instrument.pk), max(begin, last_over - connector.prices_reach)
        if first > last:
            continue
        if covered is None:
            yield Wish(instrument, first - BEFORE, last)
        elif covered.covered_from and covered.covered_to and _is_outdated(covered, learnt):
            yield Wish(instrument, covered.covered_from, covered.covered_to)
        elif covered.trouble and at < covered.asked_at + (AGAIN if covered.source == connection.broker else ELSEWHERE):
            continue
        elif covered.covered_from is None or covered.covered_to is None:
            yield Wish(instrument, first - BEFORE, last)
        elif covered.covered_from > first:
            yield Wish(instrument, first - BEFORE, covered.covered_from - ONE_DAY)
        elif covered.covered_to < last:
            yield Wish(instrument, covered.covered_to + ONE_DAY, last)


def _is_outdated(covered: PriceCoverage, learnt: Mapping[int, datetime]) -> bool:
    """Whether its closes are kept in other shares than those of their day, because a split was not known yet."""
    return learnt.get(covered.instrument_id, covered.asked_at) > covered.asked_at


def _splits_learnt(user_id: int) -> dict[int, datetime]:
    """When each instrument's newest split was booked for the person: a broker may not tell one, and a person later."""
    splits = Transaction.objects.in_books().filter(account__connection__user_id=user_id, kind=TransactionKind.SPLIT)
    booked = splits.exclude(instrument=None).order_by().values_list("instrument_id")
    return dict(booked.annotate(Max("booked_at")))


def _last_weekday(day: date) -> date:
    return day - timedelta(days=max(day.weekday() - FRIDAY, 0))


def _held(user_id: int, classes: Collection[AssetClass], last_over: date) -> dict[Instrument, tuple[date, date]]:
    """First and last day on which each instrument was held; one that is held now ends on the last day over."""
    rows = Transaction.objects.in_books().filter(account__connection__user_id=user_id).exclude(quantity=None)
    spans = rows.exclude(instrument=None).order_by().values_list("instrument_id")
    days = {
        instrument: (first, last) if not units else (first, last_over)
        for instrument, first, last, units in spans.annotate(Min("traded_on"), Max("traded_on"), Sum("quantity"))
    }
    held = Position.objects.held().filter(account__connection__user_id=user_id)
    for instrument in held.values_list("instrument_id", flat=True).distinct():
        first, _ = days.get(instrument, (last_over, last_over))
        days[instrument] = first, last_over
    wanted = Instrument.objects.filter(pk__in=days, asset_class__in=classes, currency=DOLLAR)
    return {one: days[one.pk] for one in wanted.order_by("pk") if days[one.pk][0] <= days[one.pk][1]}


def _fetch(connection: Connection, connector: TellsPrices, wish: Wish, at: datetime) -> bool:
    """One series of closes, kept with what it covers. Raises BrokerUnavailable and NeedsReauth."""
    if not _claim(wish.instrument, connection, at):
        return False
    trouble, told = "", list[PriceRecord]()
    try:
        told = connector.prices(wish.instrument.symbol, since=wish.first, until=wish.last)
    except (BrokerUnavailable, NeedsReauth):
        raise
    except BrokerError as error:
        trouble = str(error)
    if not told and not trouble and wish.last - wish.first > BEFORE:
        trouble = f"{connection.get_broker_display()} has no prices of it for these days."
    _keep(connection, wish, told, trouble, at)
    return not trouble


def _claim(instrument: Instrument, connection: Connection, at: datetime) -> bool:
    """One worker at a time asks for an instrument of a person."""
    made = PriceCoverage(user_id=connection.user_id, instrument=instrument, source=connection.broker, asked_at=at)
    PriceCoverage.objects.bulk_create([made], ignore_conflicts=True)
    free = PriceCoverage.objects.filter(user=connection.user_id, instrument=instrument).exclude(claimed_until__gt=at)
    return free.update(claimed_until=at + CLAIM) == 1


@transaction.atomic
def _keep(connection: Connection, wish: Wish, told: Sequence[PriceRecord], trouble: str, at: datetime) -> None:
    closes = list(_in_units_of_their_day(wish.instrument, connection.user_id, told))
    good, contradicted = _agreeing(wish.instrument, connection.user_id, closes)
    DailyPrice.objects.bulk_create(
        (
            DailyPrice(
                user_id=connection.user_id,
                instrument=wish.instrument,
                on=on,
                close=close,
                currency=DOLLAR,
                source=connection.broker,
            )
            for on, close in good
        ),
        update_conflicts=True,
        unique_fields=["user", "instrument", "on"],
        update_fields=["close", "currency", "source"],
        batch_size=2000,
    )
    covered = PriceCoverage.objects.select_for_update().get(user=connection.user_id, instrument=wish.instrument)
    covered.asked_at, covered.source, covered.claimed_until = at, connection.broker, None
    covered.trouble = trouble or (CONTRADICTED if contradicted else "")
    if not trouble:
        covered.covered_from = min(wish.first, covered.covered_from or wish.first)
        covered.covered_to = max(wish.last, covered.covered_to or wish.last)
    covered.save()
    if good:
        holders = Q(transactions__instrument=wish.instrument) | Q(positions__instrument=wish.instrument)
        accounts = Account.objects.filter(holders, connection__user=connection.user).values("pk").distinct()
        AccountHistory.objects.filter(pk__in=accounts).update(
            prices_at=timezone.now(), prices_from=Least("prices_from", Value(min(on for on, _ in good)))
        )


def _in_units_of_their_day(
    instrument: Instrument, user_id: int, told: Iterable[PriceRecord]
) -> Iterator[tuple[date, Decimal]]:
    """A broker's closes know of every split; on a day before one a share was worth more by its ratio."""
    splits = splits_of(instrument, user_id)
    for each in told:
        ratio = Decimal(1)
        for on, grown in splits.items():
            if each.on < on:
                ratio *= grown
        yield each.on, each.close * ratio


def splits_of(instrument: Instrument, user_id: int) -> dict[date, Decimal]:
    """Units after a split for one before, by its day, as the person's own transactions tell.

    Brokers date a split differently, one the evening before, another the day it trades anew: that is the one that
    counts. Their ratios differ by the fraction of a unit that one of them has paid out.
    """
    rows = Transaction.objects.in_books().filter(
        instrument=instrument, account__connection__user_id=user_id, kind=TransactionKind.SPLIT
    )
    accounts = set(rows.values_list("account_id", flat=True))
    tracks = [past.tracks[instrument.pk] for past in pasts(accounts).values()]
    told = [(on, ratio) for track in tracks for on in track.splits if (ratio := track.split(on)) is not None]
    ratios: dict[date, Decimal] = {}
    for on, ratio in sorted(told, reverse=True):
        if not any(later - on < SAME_SPLIT and abs(known / ratio - 1) < CUT_OFF for later, known in ratios.items()):
            ratios[on] = ratio
    return ratios


def _agreeing(
    instrument: Instrument, user_id: int, closes: Sequence[tuple[date, Decimal]]
) -> tuple[list[tuple[date, Decimal]], bool]:
    """The closes after the last trade that contradicts them, and whether any does."""
    trades = Transaction.objects.in_books().filter(
        instrument=instrument, account__connection__user_id=user_id, kind__in=TRADES, price__gt=0
    )
    paid: defaultdict[date, list[Decimal]] = defaultdict(list)
    for on, price in trades.values_list("traded_on", "price"):
        if price is not None:
            paid[on].append(price)
    wrong = [on for on, close in closes if any(_contradicts(price, close) for price in paid.get(on, ()))]
    after = max(wrong, default=date.min)
    return [(on, close) for on, close in closes if on > after], bool(wrong)


def _contradicts(price: Decimal, close: Decimal) -> bool:
    return price > close * AGREES or close > price * AGREES
