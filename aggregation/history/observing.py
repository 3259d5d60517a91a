"""What the broker says becomes the point of its day. Its last word of a day stands.

A report of a day gone by (a statement of the evening before) may replace a point made meanwhile: that is written down.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from django.db.models import Value
from django.db.models.functions import Least
from django.utils import timezone

from aggregation.models import (
    AccountHistory,
    BalancePoint,
    ChangeReason,
    Instrument,
    PointBasis,
    PointChange,
    Position,
    PositionPoint,
    ReportedValue,
)
from connections.brokers.records import Holdings, ValueRecord
from connections.models import Account


def observe(*, account: Account, holdings: Holdings, positions: Sequence[Position], on: date) -> None:
    """Make `holdings` the account's points of `on`, its market date. A balance nobody valued is an unknown part.

    Call inside the transaction that records the holdings, with the account held.
    """
    classes = _by_class(positions)
    points = [
        BalancePoint(
            account=account,
            on=on,
            currency=balance.currency,
            cash=balance.cash,
            net_asset_value=balance.net_asset_value,
            by_class=classes[balance.currency],
            at_older_prices=0,
            basis=PointBasis.UNKNOWN if balance.net_asset_value is None else PointBasis.OBSERVED,
            as_of=holdings.as_of,
        )
        for balance in holdings.balances
    ]
    _log_changes(account, points, on)
    BalancePoint.objects.bulk_create(
        points,
        update_conflicts=True,
        unique_fields=["account", "currency", "on"],
        update_fields=["cash", "net_asset_value", "by_class", "at_older_prices", "basis", "as_of"],
    )
    if points:  # a part that was rebuilt before the broker spoke, in a currency it does not name, is nothing
        BalancePoint.objects.filter(account=account, on=on).exclude(
            currency__in=[point.currency for point in points]
        ).delete()
    _observe_positions(account, positions, on)
    observe_past(account=account, told=holdings.past)


def _log_changes(account: Account, points: Sequence[BalancePoint], on: date) -> None:
    """A day counts as gone by as soon as its points were taken: until then it may move as it likes."""
    taken = AccountHistory.objects.filter(pk=account.pk, taken_to__gte=on)
    if not taken.update(changed_from=Least("changed_from", Value(on))):  # the days after it rest on what was said
        return
    now, told = timezone.now(), {point.currency: point.net_asset_value for point in points}
    kept = BalancePoint.objects.filter(account=account, on=on).values_list("currency", "net_asset_value", "flow")
    PointChange.objects.bulk_create(
        PointChange(
            account=account,
            on=on,
            currency=currency,
            was=value,
            became=told.get(currency),
            flow_was=flow,
            flow_became=flow,
            reason=ChangeReason.OBSERVED,
            changed_at=now,
        )
        for currency, value, flow in kept
        if value != told.get(currency)
    )


def _by_class(positions: Sequence[Position]) -> defaultdict[str, dict[str, str]]:
    """Value by currency and asset class, as exact text; classes with a position of unknown value are left out."""
    instruments = Instrument.objects.in_bulk({held.instrument_id for held in positions})
    sums: defaultdict[tuple[str, str], list[Decimal | None]] = defaultdict(list)
    for held in positions:
        sums[held.currency, instruments[held.instrument_id].asset_class].append(held.market_value)
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for (currency, name), values in sums.items():
        known = [value for value in values if value is not None]
        if len(known) == len(values):
            found[currency][name] = f"{sum(known, Decimal(0)):f}"
    return found


def observe_past(*, account: Account, told: Sequence[ValueRecord]) -> int:
    """Keep what the broker says of days gone by; return how many of them are news.

    Where that is news for a day already taken, it is written down. Call inside a transaction, with the account held.
    """
    if not told:
        return 0
    now, by_day = timezone.now(), {each.on: each for each in told}
    days = ReportedValue.objects.filter(account=account, on__in=by_day)
    known = dict(days.values_list("on", "net_asset_value"))
    news = [each for each in by_day.values() if known.get(each.on) != each.net_asset_value]
    ReportedValue.objects.bulk_create(
        (
            ReportedValue(
                account=account, on=each.on, currency=each.currency, net_asset_value=each.net_asset_value, told_at=now
            )
            for each in news
        ),
        update_conflicts=True,
        unique_fields=["account", "on"],
        update_fields=["currency", "net_asset_value", "told_at"],
    )
    taken = set(BalancePoint.objects.filter(account=account, on__in=by_day).values_list("on", flat=True))
    observed = BalancePoint.objects.filter(account=account, on__in=by_day, basis=PointBasis.OBSERVED)
    taken -= set(observed.values_list("on", flat=True))
    PointChange.objects.bulk_create(
        PointChange(
            account=account,
            on=each.on,
            currency=each.currency,
            was=known.get(each.on),
            became=each.net_asset_value,
            reason=ChangeReason.BROKER_HISTORY,
            changed_at=now,
        )
        for each in news
        if each.on in taken or each.on in known
    )
    return len(news)


def _observe_positions(account: Account, positions: Sequence[Position], on: date) -> None:
    rows = [
        PositionPoint(
            account=account,
            instrument_id=held.instrument_id,
            on=on,
            quantity=held.quantity,
            price=held.price,
            value=held.market_value,
            currency=held.currency,
        )
        for held in positions
    ]
    PositionPoint.objects.filter(account=account, on=on).exclude(
        instrument__in=[row.instrument_id for row in rows]
    ).delete()
    PositionPoint.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["account", "on", "instrument"],
        update_fields=["quantity", "price", "value", "currency"],
    )
