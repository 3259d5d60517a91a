"""The days of several accounts as one line in one currency: value, what was paid in, and how each day is known.

An account that is not known on a day is carried over it: by what it was worth last, and what was paid in and out since.
Sums with an unknown part are unknown; only the return bridges them, see `returns.py`.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple

from django.db.models import Max, Min, Q

from aggregation.models import BalancePoint, PointBasis, ReportedValue
from brokerhub.kernel.garbage import search_paused
from connections.models import Account

ZERO, ONE = Decimal(0), Decimal(1)
ONE_DAY = timedelta(days=1)
CARRY = timedelta(days=4)  # after the last known day: over a long weekend
CASH, OTHER = "cash", "not_itemised"
_BASES = {basis.value: basis for basis in PointBasis}  # looked up ten times as fast as the enumeration does

Convert = Callable[[Decimal, str, date], Decimal | None]
"""(amount, its currency, the day) in the currency of the line; None without a rate of that day or shortly before."""


class AccountDay(NamedTuple):
    """One account at the end of a day, in the currency of the line. None: not known. `flow` is what was paid in (+)
    less what was taken out (-) on this day."""

    value: Decimal | None
    flow: Decimal | None
    basis: PointBasis
    at_older_prices: Decimal = ZERO
    by_class: Mapping[str, Decimal] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class LinePoint:
    """All accounts at the end of a day. `contributed` is all that was ever paid in less what was taken out, what an
    account held when its history begins included; it is known as long as every part is."""

    on: date
    value: Decimal | None
    contributed: Decimal | None
    flow: Decimal | None
    basis: PointBasis
    at_older_prices: Decimal
    by_class: Mapping[str, Decimal]
    by_account: Mapping[int, Decimal | None]
    unknown: tuple[int, ...] = ()  # the accounts because of which it is not known


@dataclass(slots=True)
class AccountLine:
    """One account's days, from its first to its last."""

    account: Account
    days: dict[date, AccountDay]
    pk: int = field(init=False)  # of the account; asked of a model's object it takes as long as all else of a day
    first: date = field(init=False)
    last: date = field(init=False)

    def __post_init__(self) -> None:
        self.pk, self.first, self.last = self.account.pk, min(self.days), max(self.days)

    def on(self, day: date) -> AccountDay | None:
        """None before its first day. A day nobody has taken is carried over a long weekend, and then not known."""
        if found := self.days.get(day):
            return found
        if day < self.first:
            return None
        for back in range(1, CARRY.days + 1):
            if last := self.days.get(day - back * ONE_DAY):
                basis = PointBasis.UNKNOWN if last.value is None else PointBasis.CARRIED
                return AccountDay(last.value, ZERO, basis, last.at_older_prices, last.by_class)
        return AccountDay(None, ZERO, PointBasis.UNKNOWN)


class _Part(NamedTuple):
    """A BalancePoint's figures. One chart reads tens of thousands, and a model's objects would take twice as long."""

    on: date
    currency: str
    cash: Decimal | None
    net_asset_value: Decimal | None
    flow: Decimal | None
    by_class: dict[str, str] | None
    at_older_prices: Decimal
    basis: str


@search_paused()
def account_lines(accounts: Collection[Account], convert: Convert, since: date | None = None) -> list[AccountLine]:
    """The accounts that have a history. Three queries, however many accounts and days.

    Of the days before `since` only those are read on which something was paid in or out, and each account's first and
    last: enough for what was contributed until then, and not for a value.
    """
    wanted = [account.pk for account in accounts]
    points: defaultdict[int, defaultdict[date, list[_Part]]] = defaultdict(lambda: defaultdict(list))
    found = BalancePoint.objects.filter(_needed(wanted, since), account__in=wanted).order_by("on")
    for account, *figures in found.values_list("account_id", *_Part._fields).iterator(chunk_size=5000):
        part = _Part(*figures)
        points[account][part.on].append(part)
    told: defaultdict[int, dict[date, tuple[Decimal, str]]] = defaultdict(dict)
    reported = ReportedValue.objects.filter(account__in=wanted)
    for account, on, value, currency in reported.values_list("account_id", "on", "net_asset_value", "currency"):
        told[account][on] = value, currency
    return [
        AccountLine(account, dict(_days(points[account.pk], told[account.pk], convert)))
        for account in accounts
        if points[account.pk] or told[account.pk]
    ]


def _needed(accounts: Collection[int], since: date | None) -> Q:
    if since is None:
        return Q()
    needed = Q(on__gte=since - CARRY) | ~Q(flow=0) | Q(flow=None)
    spans = BalancePoint.objects.filter(account__in=accounts).values_list("account").order_by()
    for account, first, last in spans.annotate(Min("on"), Max("on")):
        needed |= Q(account=account, on__in=(first, last))
    return needed


def _days(
    points: Mapping[date, Sequence[_Part]], told: Mapping[date, tuple[Decimal, str]], convert: Convert
) -> Iterator[tuple[date, AccountDay]]:
    for on in sorted({*points, *told}):
        day = _sum(points[on], convert) if on in points else AccountDay(None, ZERO, PointBasis.UNKNOWN)
        if on in told and day.basis != PointBasis.OBSERVED:
            value = convert(told[on][0], told[on][1], on)
            if value is not None:
                day = AccountDay(value, day.flow, PointBasis.OBSERVED, ZERO, day.by_class)
        yield on, day


def _sum(parts: Sequence[_Part], convert: Convert) -> AccountDay:
    """An account's currencies together. A currency in which there is nothing needs no rate."""
    if len(parts) == 1 and _rate(parts[0], convert) == 1:
        return _as_it_is(parts[0])
    value: Decimal | None = ZERO
    flow: Decimal | None = ZERO
    older, classes, basis = ZERO, defaultdict[str, Decimal](Decimal), PointBasis.OBSERVED
    for part in parts:
        rate = _rate(part, convert)
        value = _add(value, part.net_asset_value, rate)
        flow = _add(flow, part.flow, rate)
        if rate is not None:
            older += part.at_older_prices * rate
            for name, amount in (part.by_class or {}).items():
                classes[name] += Decimal(amount) * rate
            if part.cash is not None:
                classes[CASH] += part.cash * rate
        basis = _worse(basis, _BASES[part.basis])
    return AccountDay(value, flow, PointBasis.UNKNOWN if value is None else basis, older, classes)


def _as_it_is(part: _Part) -> AccountDay:
    """A day with nothing to add and nothing to convert, as most are."""
    classes = {name: Decimal(amount) for name, amount in part.by_class.items()} if part.by_class else {}
    if part.cash is not None:
        classes[CASH] = classes.get(CASH, ZERO) + part.cash
    basis = PointBasis.UNKNOWN if part.net_asset_value is None else _BASES[part.basis]
    return AccountDay(part.net_asset_value, part.flow, basis, part.at_older_prices, classes)


def _worse(one: PointBasis, other: PointBasis) -> PointBasis:
    return other if other is not one and other.rank > one.rank else one


def _rate(part: _Part, convert: Convert) -> Decimal | None:
    if not (part.net_asset_value or part.flow or part.cash or part.by_class) and part.net_asset_value is not None:
        return ZERO
    return convert(ONE, part.currency, part.on)


def _add(total: Decimal | None, amount: Decimal | None, rate: Decimal | None) -> Decimal | None:
    if amount == 0 and total is not None:
        return total
    return None if total is None or amount is None or rate is None else total + amount * rate


@search_paused()
def line(lines: Sequence[AccountLine], first: date | None = None, last: date | None = None) -> list[LinePoint]:
    """Every day from `first` to `last`, both included, or from the first to the last day of any account.

    What is paid in counts from the beginning of the accounts, wherever the line begins.
    """
    if not lines:
        return []
    begin, end = min(each.first for each in lines), max(each.last for each in lines)
    on = max(begin, first or begin)
    contributed = _contributed_before(lines, on)
    points = []
    while on <= min(last or end, end):
        point, contributed = _point(lines, on, contributed)
        points.append(point)
        on += ONE_DAY
    return points


def _contributed_before(lines: Iterable[AccountLine], day: date) -> Decimal | None:
    contributed: Decimal | None = ZERO
    for each in lines:
        for on, known in each.days.items():
            if on < day:
                contributed = _add(contributed, known.value if on == each.first else known.flow, ONE)
    return contributed


def _point(lines: Iterable[AccountLine], on: date, contributed: Decimal | None) -> tuple[LinePoint, Decimal | None]:
    total: Decimal | None = ZERO
    flow: Decimal | None = ZERO
    older, classes, basis = ZERO, defaultdict[str, Decimal](Decimal), PointBasis.OBSERVED
    by_account: dict[int, Decimal | None] = {}
    for each in lines:
        day = each.on(on)
        if day is None:
            continue
        by_account[each.pk] = day.value
        total = _add(total, day.value, ONE)
        flow = _add(flow, day.flow, ONE)
        contributed = _add(contributed, day.value if on == each.first else day.flow, ONE)
        older += day.at_older_prices
        for name, amount in day.by_class.items():
            classes[name] += amount
        basis = _worse(basis, day.basis)
    unknown = tuple(account for account, value in by_account.items() if value is None)
    if total is not None and (rest := total - sum(classes.values(), ZERO)):
        classes[OTHER] += rest
    return LinePoint(on, total, contributed, flow, basis, older, classes, by_account, unknown), contributed
