"""What pages and API ask of the history: which accounts, which days, which currency; lines and returns in answer."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from zoneinfo import ZoneInfo

from django.db.models import Count, F, Max, Min
from django.db.models.functions import Abs
from django.utils import timezone

from aggregation.history.lines import AccountLine, Convert, LinePoint, account_lines, line
from aggregation.history.returns import Performance, performance
from aggregation.models import AccountHistory, BalancePoint, ChangeReason, PointChange, ReportedValue
from aggregation.rates.exchange import Exchange, Gap
from brokerhub.kernel.models import User
from connections.brokers.records import Broker
from connections.models import Account
from connections.states import ConnectionState

LEFT = (ConnectionState.DISCONNECTING, ConnectionState.DISCONNECTED)
OLDEST_RATE = 4  # days a rate may be late and still count as one of its day


class Range(StrEnum):
    """From the evening how long ago."""

    DAY = "1d"
    WEEK = "1w"
    MONTH = "1m"
    YEAR_TO_DATE = "ytd"
    YEAR = "1y"
    FIVE_YEARS = "5y"
    ALL = "all"

    @property
    def label(self) -> str:
        return {"ytd": "YTD", "all": "All"}.get(self.value, self.value.upper())

    def first(self, last: date) -> date | None:
        """The day from whose evening it counts; None: from the beginning."""
        match self:
            case Range.ALL:
                return None
            case Range.YEAR_TO_DATE:
                return date(last.year - 1, 12, 31)
            case Range.DAY | Range.WEEK:
                return last - timedelta(days=1 if self is Range.DAY else 7)
            case Range.MONTH:
                return _a_month_before(last)
        return _years_before(last, 1 if self is Range.YEAR else 5)


def _a_month_before(day: date) -> date:
    end_of_month = day.replace(day=1) - timedelta(days=1)
    return end_of_month.replace(day=min(day.day, end_of_month.day))


def _years_before(day: date, years: int) -> date:
    leapt = (day.month, day.day) == (2, 29)
    return day.replace(year=day.year - years, day=28 if leapt else day.day)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """`first` None: from the beginning; `last` None: to the last day there is."""

    currency: str
    first: date | None = None
    last: date | None = None


@dataclass
class History:
    """The accounts of one question, in one currency. Everything is worked out when it is asked for, and once."""

    asked: Asked
    accounts: Sequence[Account]
    lines: Sequence[AccountLine] = field(repr=False)

    @cached_property
    def points(self) -> list[LinePoint]:
        return line(self.lines, self.asked.first, self.asked.last)

    @cached_property
    def total(self) -> Performance:
        return performance(self.lines, self.asked.first, self.asked.last)

    @cached_property
    def by_account(self) -> list[tuple[Account, Performance]]:
        return [(each.account, performance([each], self.asked.first, self.asked.last)) for each in self.lines]

    @cached_property
    def by_broker(self) -> list[tuple[Broker, Performance]]:
        groups: dict[Broker, list[AccountLine]] = {}
        for each in self.lines:
            groups.setdefault(Broker(each.account.connection.broker), []).append(each)
        if len(groups) == 1:
            return [(broker, self.total) for broker in groups]
        first, last = self.asked.first, self.asked.last
        return [(broker, performance(lines, first, last)) for broker, lines in groups.items()]

    @property
    def joined(self) -> dict[date, list[str]]:
        """The accounts whose history begins on a day."""
        found: dict[date, list[str]] = {}
        for each in self.lines:
            found.setdefault(each.first, []).append(str(each.account))
        return found

    @property
    def is_drawable(self) -> bool:
        """One known day alone is no history."""
        return sum(point.value is not None for point in self.points) > 1

    @property
    def latest(self) -> LinePoint | None:
        return self.points[-1] if self.points else None


def history(accounts: Iterable[Account], asked: Asked) -> History:
    """Six queries at most, however many accounts and days."""
    wanted = list(accounts)
    return History(asked, wanted, account_lines(wanted, converter(wanted, asked.currency), asked.first))


def converter(accounts: Collection[Account], currency: str) -> Convert:
    """Into `currency` by the reference rate of the day; a rate from too long before its day is none."""
    wanted = [account.pk for account in accounts]
    found: dict[str, tuple[date, date]] = {}
    for rows in (BalancePoint.objects, ReportedValue.objects):
        days = rows.filter(account__in=wanted).values_list("currency").order_by()
        for own, first, last in days.annotate(first=Min("on"), last=Max("on")):
            earlier = found.get(own, (first, last))
            found[own] = min(first, earlier[0]), max(last, earlier[1])
    if set(found) <= {currency}:
        return lambda amount, own, on: amount if own == currency else None
    first, last = min(first for first, _ in found.values()), max(last for _, last in found.values())
    return _by(Exchange.load({*found, currency}, first=first, last=last), currency)


def _by(exchange: Exchange, into: str) -> Convert:
    rates: dict[tuple[str, date], Decimal | None] = {}

    def rate(currency: str, on: date) -> Decimal | None:
        quote = exchange.quote(currency, into, on=on)
        return None if isinstance(quote, Gap) or quote.late > OLDEST_RATE else quote.rate

    def convert(amount: Decimal, currency: str, on: date) -> Decimal | None:
        if currency == into:
            return amount
        key = currency, on
        if key not in rates:
            rates[key] = rate(currency, on)
        found = rates[key]
        return None if found is None else amount * found

    return convert


def today_of(user: User) -> date:
    return timezone.now().astimezone(ZoneInfo(user.timezone)).date()


@dataclass(frozen=True, slots=True)
class Changed:
    """Days gone by of one account that got other figures at one time for one reason."""

    account: Account
    changed_at: datetime
    reason: str
    first: date
    last: date
    days: int
    largest: Decimal | None  # by how much a day's value moved at most

    @property
    def label(self) -> str:
        return str(ChangeReason(self.reason).label)


def changes(user: User, accounts: Sequence[Account], *, limit: int) -> list[Changed]:
    """The newest changes of days gone by."""
    named = {account.pk: account for account in accounts}
    own = PointChange.objects.for_user(user).filter(account__in=named).order_by("-changed_at", "account")
    groups = own.values_list("account", "changed_at", "reason").annotate(
        Min("on"), Max("on"), Count("on", distinct=True), largest=Max(Abs(F("became") - F("was")))
    )
    return [Changed(named[account], *rest) for account, *rest in groups[:limit]]


def unexplained(accounts: Iterable[Account]) -> dict[int, dict[str, str]]:
    """By account, the cash per currency that the hub takes for having been there from the beginning."""
    kept = AccountHistory.objects.filter(pk__in=[account.pk for account in accounts]).exclude(unexplained={})
    return dict(kept.values_list("pk", "unexplained"))
