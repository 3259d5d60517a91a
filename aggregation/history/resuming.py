"""Going on from an evening that nothing has changed before, so that the days after a sync cost what they hold and not
what the account's whole history does.

Such an evening is one on which the broker reported what the account holds. It is only used where the days after it
come out exactly as if everything had been read; in doubt the answer is None, and everything is.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import date, timedelta

from django.db.models import Q

from aggregation.history.reading import pasts, trades_of
from aggregation.history.walk import SETTLING, Past, Price, PriceSource, Sums, Track
from aggregation.models import (
    AccountHistory,
    BalancePoint,
    DailyPrice,
    PointBasis,
    PositionPoint,
    RunningTotal,
    Transaction,
)
from connections.brokers.records import TransactionKind

LOOK_BACK = timedelta(days=31)  # a report older than that is no better than the beginning
ONE_DAY = timedelta(days=1)
LEARNING = timedelta(hours=1)  # longer than any transaction stays open


def resume(history: AccountHistory) -> tuple[date, Past] | None:
    """The first day to work out anew, and all that it and the days after it rest on. None: work all of them out."""
    if history.taken_to is None:
        return None
    news = (history.changed_from, history.prices_from, history.taken_to + ONE_DAY)
    first = min(day for day in news if day is not None)
    report = _last_report(history.pk, first)
    if report is None or _has_learnt(history):
        return None
    points = list(BalancePoint.objects.filter(account=history.pk, on=report))
    if not _is_settled(history.pk, report, points):
        return None
    past = pasts([history.pk], since=report)[history.pk]
    by_hub = {point.currency: point for point in points if point.basis != PointBasis.OBSERVED}
    past.cash = {**past.cash, **{name: _going_on(past.cash.get(name), point) for name, point in by_hub.items()}}
    named = {point.currency for point in points}
    later = {name for name, sums in past.cash.items() if any(day > report for day in sums.said)}
    told = {point.currency for point in points if point.basis == PointBasis.OBSERVED}
    if not set(past.currencies) <= named or not later <= told:
        return None  # a currency of which the days before say nothing, or that the broker has hardly spoken of
    return (first, past) if _with_older_prices(history.pk, past, report) else None


def _last_report(account: int, before: date) -> date | None:
    """The last evening before `before` of which the broker said what is held."""
    told = BalancePoint.objects.filter(
        account=account, on__gte=before - LOOK_BACK, on__lt=before, basis=PointBasis.OBSERVED, by_class__isnull=False
    )
    return told.order_by("-on").values_list("on", flat=True).first()


def _has_learnt(history: AccountHistory) -> bool:
    """Whether what an instrument of the account is worth by has become known since its days were made."""
    if history.rebuilt_at is None:
        return True
    mine = RunningTotal.objects.filter(account=history.pk, instrument__learnt_at__gt=history.rebuilt_at - LEARNING)
    held = PositionPoint.objects.filter(account=history.pk, instrument__learnt_at__gt=history.rebuilt_at - LEARNING)
    return mine.exists() or held.filter(on__gte=history.rebuilt_at - LOOK_BACK).exists()


def _is_settled(account: int, report: date, points: Collection[BalancePoint]) -> bool:
    """Whether no later word or movement reaches what was before `report`: see `Sums.before`."""
    moved = Transaction.objects.in_books().filter(account=account)
    if not moved.filter(traded_on__lte=report).exists():
        return False  # where the history begins is still open
    for point in points:
        if point.cash is None:
            return False
        if point.basis != PointBasis.OBSERVED:
            if not _has_rows(account, point.currency):
                return False  # nothing holds this currency in the history any more
            continue
        told = BalancePoint.objects.filter(
            account=account, currency=point.currency, basis=PointBasis.OBSERVED, cash__isnull=False, on__lte=report
        )
        if told.filter(by_class__isnull=False).order_by("on")[:SETTLING].count() < SETTLING:
            return False
    return True


def _has_rows(account: int, currency: str) -> bool:
    totals = RunningTotal.objects.filter(account=account, rows__gt=0)
    units = Q(instrument__currency=currency)
    return totals.filter(Q(instrument=None, currency=currency) | units).exists()


def _going_on(sums: Sums | None, point: BalancePoint) -> Sums:
    """What the hub itself had worked out for that evening is as good as the broker's word for the days after."""
    moves, said = (sums.moves, sums.said) if sums else ({}, {})
    assert point.cash is not None
    return Sums(moves, {**said, point.on: point.cash})


# --- Prices of things that had none on the evening itself -------------------------------------------------------------
def _with_older_prices(account: int, past: Past, report: date) -> bool:
    """Give the tracks that need it the last price from before `report`; False where a split lies in between."""
    wanted = {pk for pk, track in past.tracks.items() if not track.prices or track.prices[0].on > report}
    older = _last_before(account, wanted, report)
    splits = Transaction.objects.in_books().filter(
        account=account, kind=TransactionKind.SPLIT, instrument__in=older, traded_on__lte=report
    )
    for instrument, on in splits.values_list("instrument_id", "traded_on"):
        if on > older[instrument].on:
            return False
    past.tracks = {pk: _with_price(track, older.get(pk)) for pk, track in past.tracks.items()}
    return True


def _with_price(track: Track, price: Price | None) -> Track:
    return track if price is None else replace(track, prices=[price, *track.prices])


def _last_before(account: int, instruments: Collection[int], day: date) -> dict[int, Price]:
    """The newest price of each before `day`; of several of one day the one from the best source."""
    if not instruments:
        return {}
    trades = trades_of([account]).filter(instrument__in=instruments, traded_on__lt=day)
    newest_trades = trades.order_by("instrument_id", "-traded_on", "-occurred_at", "-pk")
    reports = PositionPoint.objects.filter(
        account=account, instrument__in=instruments, on__lt=day, price__isnull=False
    ).order_by("instrument_id", "-on")
    closes = DailyPrice.objects.filter(
        user__connections__accounts=account, instrument__in=instruments, on__lt=day
    ).order_by("instrument_id", "-on")
    told = {
        PriceSource.TRADE: newest_trades.distinct("instrument_id").values_list("instrument_id", "traded_on", "price"),
        PriceSource.POSITION: reports.distinct("instrument_id").values_list("instrument_id", "on", "price"),
        PriceSource.CLOSE: closes.distinct("instrument_id").values_list("instrument_id", "on", "close"),
    }
    return _newest(
        (instrument, Price(on, value, source))
        for source, rows in told.items()
        for instrument, on, value in rows
        if value is not None
    )


def _newest(prices: Iterable[tuple[int, Price]]) -> dict[int, Price]:
    found: dict[int, Price] = {}
    for instrument, price in prices:
        known = found.get(instrument)
        if known is None or (price.on, price.source) > (known.on, known.source):
            found[instrument] = price
    return found
