"""What accounts held at the end of a day gone by."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date

from aggregation.history.reading import pasts
from aggregation.history.walk import Past
from aggregation.models import Instrument, PointBasis, PositionPoint
from connections.models import Account


def holdings_on(accounts: Iterable[Account], on: date) -> list[PositionPoint]:
    """One point for each account and instrument held on the evening of `on`, with its instrument, by account.

    What the broker said on that day where it spoke; the rest is rebuilt, with the newest price there was by then (then
    the point is not stored and has no id), or carried where that price is old. Without a price, `price` and `value`
    are None. Ten queries, however many accounts.
    """
    wanted = {account.pk: account for account in accounts}
    told: defaultdict[int, list[PositionPoint]] = defaultdict(list)
    for point in PositionPoint.objects.filter(account__in=wanted, on=on).select_related("instrument"):
        told[point.account_id].append(point)
    rest = [account for account in wanted if account not in told]
    past = pasts(rest) if rest else {}
    instruments = Instrument.objects.in_bulk({instrument for one in past.values() for instrument in one.tracks})
    found = []
    for pk, account in wanted.items():
        points = told[pk] if pk in told else _rebuilt(account, past[pk], instruments, on)
        found += sorted(points, key=lambda point: point.instrument.symbol)
    return found


def _rebuilt(account: Account, past: Past, instruments: dict[int, Instrument], on: date) -> list[PositionPoint]:
    if past.first is None or on < past.first:
        return []
    points = []
    for instrument, track in past.tracks.items():
        units = track.units(on)
        if not units:
            continue
        price = track.price(on)
        stale = price is not None and track.is_stale(price, on)
        points.append(
            PositionPoint(
                account=account,
                instrument=instruments[instrument],
                on=on,
                quantity=units,
                price=price.value if price else None,
                value=track.value(units, price) if price else None,
                currency=track.currency,
                basis=PointBasis.CARRIED if stale else PointBasis.REBUILT,
            )
        )
    return points
