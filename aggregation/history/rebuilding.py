"""Makes the days of an account that its broker has not told: worked out anew when what they rest on has changed.

What the broker said of a day is never replaced. A day gone by that gets another figure is written down in PointChange,
with the reason.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone

from aggregation.history.reading import pasts
from aggregation.history.resuming import resume
from aggregation.history.walk import Day, Past
from aggregation.models import AccountHistory, BalancePoint, ChangeReason, PointBasis, PointChange
from connections.models import Account

Key = tuple[date, str]
ZERO = Decimal(0)
WRITTEN = ["cash", "net_asset_value", "flow", "by_class", "at_older_prices", "basis", "as_of"]


@transaction.atomic
def rebuild(account: Account, *, until: date, at: datetime | None = None, whole: bool = False) -> int:
    """Bring the account's days up to `until`, its last market day that is over; return how many points were written.

    Days before anything changed are left as they are, unless all are worked out as a `whole`; both come to the same.
    The flows of later days are written too, to the points the broker has told of them. Twice changes nothing.
    """
    Account.objects.select_for_update(no_key=True).get(pk=account.pk)  # nobody books meanwhile
    history, _ = AccountHistory.objects.select_for_update().get_or_create(pk=account.pk)
    now = at or timezone.now()
    news = _News(account, _reason(history), until, now, taken_to=history.taken_to)
    resumed = None if whole else resume(history)
    if resumed is None:
        past = pasts([account.pk])[account.pk]
        news.bring_up_to_date(past, past.first, BalancePoint.objects.filter(account=account))
        history.unexplained = {currency: f"{amount:f}" for currency, amount in _unexplained(past)}
    else:
        first, past = resumed
        news.bring_up_to_date(past, first, BalancePoint.objects.filter(account=account, on__gte=first))
    history.taken_to, history.rebuilt_at = max(until, history.taken_to or until), now
    history.changed_at = history.prices_at = history.changed_from = history.prices_from = None
    history.save()
    return len(news.written)


def _reason(history: AccountHistory) -> ChangeReason:
    """Why days may come out otherwise than last time."""
    return ChangeReason.PRICES if history.changed_at is None and history.prices_at else ChangeReason.TRANSACTIONS


def _unexplained(past: Past) -> Iterator[tuple[str, Decimal]]:
    """Cash the account is taken to have had before its first transaction."""
    for currency, sums in past.cash.items():
        if sums.before:
            yield currency, sums.before


@dataclass(slots=True)
class _News:
    """What of the days worked out differs from what is kept."""

    account: Account
    reason: ChangeReason
    until: date
    at: datetime
    taken_to: date | None
    began: date | None = None  # the first day that is kept
    written: list[BalancePoint] = field(default_factory=list)
    changes: list[PointChange] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)

    def bring_up_to_date(self, past: Past, first: date | None, kept: Iterable[BalancePoint]) -> None:
        """From `first` on, which None has nothing of; `kept` are all points from then on."""
        known = {(point.on, point.currency): point for point in kept}
        last = max([self.until, *(on for on, _ in known)])
        self.began = min((on for on, _ in known), default=None)
        if first is not None:
            for day in past.days(first, last):
                self.compare(known.pop((day.on, day.currency), None), day, is_over=day.on <= self.until)
        self.drop(point for point in known.values() if point.basis != PointBasis.OBSERVED)
        self.write()

    def compare(self, kept: BalancePoint | None, day: Day, *, is_over: bool) -> None:
        if kept is not None and kept.basis == PointBasis.OBSERVED:
            if kept.flow != day.flow:
                self._change(kept, {"flow": day.flow})
            return
        if not is_over:
            return  # the day may yet bring prices, and the broker's own word
        facts = {
            "cash": day.cash,
            "net_asset_value": day.value,
            "flow": day.flow,
            "by_class": {name: f"{value:f}" for name, value in sorted(day.by_class.items())},
            "at_older_prices": day.at_older_prices,
            "basis": day.basis,
        }
        if kept is None:
            kept = BalancePoint(account=self.account, on=day.on, currency=day.currency, as_of=self.at, **facts)
            self.written.append(kept)
            if self._was_taken(day.on) and (day.value, day.flow) != (
                ZERO,
                ZERO,
            ):  # a currency that is new, in a known past
                self._log(kept, None, None, day.value, day.flow)
        elif any(getattr(kept, name) != value for name, value in facts.items()):
            self._change(kept, {**facts, "as_of": self.at})

    def _was_taken(self, on: date) -> bool:
        return self.began is not None and self.taken_to is not None and self.began <= on <= self.taken_to

    def _change(self, kept: BalancePoint, facts: dict[str, Any]) -> None:
        was, flow_was = kept.net_asset_value, kept.flow
        for name, value in facts.items():
            setattr(kept, name, value)
        self.written.append(kept)
        if kept.on <= self.until and (was, flow_was) != (kept.net_asset_value, kept.flow):
            self._log(kept, was, flow_was, kept.net_asset_value, kept.flow)

    def drop(self, points: Iterable[BalancePoint]) -> None:
        """Days before a history that begins later now, and currencies it no longer has."""
        for point in points:
            self.gone.append(point.pk)
            if point.net_asset_value or point.flow:
                self._log(point, point.net_asset_value, point.flow, None, None)

    def _log(self, point: BalancePoint, *amounts: Decimal | None) -> None:
        named = dict(zip(("was", "flow_was", "became", "flow_became"), amounts, strict=True))
        change = PointChange(
            account=self.account, on=point.on, currency=point.currency, reason=self.reason, changed_at=self.at, **named
        )
        self.changes.append(change)

    def write(self) -> None:
        BalancePoint.objects.bulk_create(
            self.written,
            update_conflicts=True,
            unique_fields=["account", "currency", "on"],
            update_fields=WRITTEN,
            batch_size=2000,
        )
        BalancePoint.objects.filter(pk__in=self.gone).delete()
        PointChange.objects.bulk_create(self.changes, batch_size=2000)
