"""My cost: the user's own history at every plan, at today's rates or at the rates of each day, beside what was paid."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import islice, pairwise

from brokerhub.kernel.hints import hints
from brokerhub.kernel.models import User
from comparison import history, interest, stored, wording
from comparison.costs import Tariff
from comparison.history import Actual, Stretch
from comparison.replay import Order, PlanCost, every_line, lines_of, orders, placed, quarter_of, replay
from comparison.terms import ZERO, CostLine, Event
from connections.models import Account

ENGINE = 3  # grows when the same inputs would cost something else
KEPT_FOR = timedelta(hours=12)
WARN_FRACTION, WARN_AMOUNT = Decimal("0.05"), Decimal(5)
MONTHLY = ("subscription", "account_inactivity")
YEARLY = "annual_account_fee"
DIFFERING = 10  # orders shown where model and statement differ
OF_ACCOUNT = {*MONTHLY, YEARLY, "margin_interest", "cash_interest"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is replayed. `rates_of`: the day whose rates count, for everything; None: each event's own day."""

    accounts: tuple[int, ...]
    since: date
    until: date
    rates_of: date | None = None

    @property
    def dated(self) -> bool:
        return self.rates_of is None


@dataclass(frozen=True, slots=True)
class Difference:
    """One order where the model and what the broker charged are apart."""

    on: date
    words: str
    modelled: Decimal
    paid: Decimal


@dataclass(slots=True)
class ModelError:
    """The model at the user's own broker beside what that broker charged: how far the other sums can be trusted.

    `low`, `high` and `paid` are about the `compared` orders. An order with a price nobody knows cannot be compared: a
    gap there would be the unknown price as well as an error. `without` says how many there are for each reason, and
    `paid_without` what was paid for them.
    """

    broker: str
    ref: str
    low: Decimal = ZERO
    high: Decimal = ZERO
    paid: Decimal = ZERO
    compared: int = 0
    without: Counter[str] = field(default_factory=Counter)
    left: int = 0  # orders not compared; one may have several reasons
    paid_without: Decimal = ZERO
    differing: list[Difference] = field(default_factory=list)

    @property
    def gap(self) -> Decimal:
        """How far outside of the modelled range the paid sum lies; negative: paid less than modelled."""
        return max(self.paid - self.high, ZERO) + min(self.paid - self.low, ZERO)

    @property
    def is_large(self) -> bool:
        return abs(self.gap) > WARN_AMOUNT and abs(self.gap) > WARN_FRACTION * max(self.paid, self.low)

    @property
    def orders(self) -> int:
        return self.compared + self.left

    @property
    def reasons(self) -> list[tuple[str, int]]:
        """Why orders are not compared, and how many: a template would ask a Counter for the key "items"."""
        return self.without.most_common()

    def add(self, order: Order, lines: list[CostLine], cannot: str) -> None:
        event = order.event
        counted = [line for line in lines if line.counted]
        missing = {line.item for line in counted if line.low is None}
        reasons = [f"{wording.label_of(item)} not known" for item in sorted(missing)] + [cannot] * bool(cannot)
        if event.paid is None:
            reasons.append("what was charged not known")
        if event.paid is None or reasons:
            self.left += 1
            self.without.update(reasons)
            self.paid_without += event.paid or ZERO
            return
        low = sum((line.low for line in counted if line.low), ZERO)
        high = sum((line.high for line in counted if line.high), ZERO)
        self.compared += 1
        self.low, self.high, self.paid = self.low + low, self.high + high, self.paid + event.paid
        if not low - Decimal("0.02") <= event.paid <= high + Decimal("0.02"):
            words = f"{event.side} {event.quantity.normalize():f} {event.symbol.strip()}"
            apart = [*self.differing, Difference(event.on, words, low if event.paid < low else high, event.paid)]
            self.differing = sorted(apart, key=lambda one: -abs(one.paid - one.modelled))[:DIFFERING]


@dataclass(slots=True)
class Simulation:
    wish: Wish
    version: int  # of the catalogue
    plans: dict[str, PlanCost]
    actual: Actual
    orders: int = 0
    ambiguous: int = 0  # orders that may have been several: their sums are ranges
    left_out: Counter[str] = field(default_factory=Counter)
    errors: list[ModelError] = field(default_factory=list)
    without_cash: list[str] = field(default_factory=list)  # accounts whose cash nobody said

    @property
    def is_empty(self) -> bool:
        return not self.orders


Progress = Callable[[int, int], None]


def nothing(done: int, total: int) -> None:
    """Nobody watches."""


def key_of(user: User, wish: Wish) -> str:
    """The same inputs over the same data give the same key: the result may be kept."""
    words = [ENGINE, stored.version(), user.pk, history.data_version(user, wish.accounts), asdict(wish)]
    said = json.dumps(words, default=str)
    return f"comparison:{hashlib.sha256(said.encode()).hexdigest()}"


def kept(user: User, wish: Wish) -> Simulation | None:
    found = hints.get(key_of(user, wish))
    return found if isinstance(found, Simulation) else None


def simulate(user: User, wish: Wish, progress: Progress = nothing) -> Simulation:
    """The result kept for these inputs, or a new one."""
    key = key_of(user, wish)
    found = hints.get(key)
    if not isinstance(found, Simulation):
        found = _simulate(user, wish, progress)
        hints.set(key, found, KEPT_FOR.total_seconds())
    return found


def _simulate(user: User, wish: Wish, progress: Progress) -> Simulation:
    catalogue = stored.catalogue()
    tariffs = {ref: Tariff(plan, catalogue.rates, wish.rates_of) for ref, plan in catalogue.plans.items()}
    found = Simulation(wish, catalogue.version, {ref: PlanCost(ref) for ref in tariffs}, Actual())
    accounts = list(Account.objects.for_user(user).filter(pk__in=wish.accounts).select_related("connection"))
    model = _OwnBroker(accounts, tariffs)
    days = (wish.until - wish.since).days + 1
    counter = _Trades()
    for month in history.months(user, [account.pk for account in accounts], wish.since, wish.until):
        ordered = orders(month.events)
        together = placed(ordered, counter.before(month.events))
        for ref, tariff in tariffs.items():
            replay(tariff, together, found.plans[ref])
        model.add(month.events)
        found.orders += len(ordered)
        found.ambiguous += sum(bool(order.fills) for order in ordered)
        found.left_out += month.left_out
        _add(found.actual, month.actual)
        if month.events:
            progress((month.events[-1].on - wish.since).days, days)
    _add_account_fees(found, tariffs)
    _add_interest(found, accounts, tariffs)
    found.errors = model.errors()
    progress(days, days)
    return found


class _Trades:
    """How many trades the quarter had before the month at hand."""

    def __init__(self) -> None:
        self.quarter: tuple[int, int] | None = None
        self.count = 0

    def before(self, events: list[Event]) -> int:
        if not events:
            return 0
        quarter = quarter_of(events[0].on)
        before = self.count if quarter == self.quarter else 0
        self.quarter, self.count = quarter, before + sum(event.side is not None for event in events)
        return before


def _add(total: Actual, month: Actual) -> None:
    for name in ("trade_fees", "other_fees", "margin_interest", "interest_received", "elsewhere"):
        setattr(total, name, getattr(total, name) + getattr(month, name))


def account_events(since: date, until: date) -> Iterator[Event]:
    """A subscription each month begun, a yearly fee for each full year."""
    first = since.replace(day=1)
    count = 0
    while first <= until and count < max(1, round(((until - since).days + 1) / Decimal("30.4"))):
        for item in MONTHLY:
            yield Event(on=max(first, since), item=item)
        first = (first + timedelta(days=32)).replace(day=1)
        count += 1
    for year in range(((until - since).days + 1) // 365):
        yield Event(on=since + timedelta(days=365 * year), item=YEARLY)


def _add_account_fees(found: Simulation, tariffs: dict[str, Tariff]) -> None:
    history = placed(orders(account_events(found.wish.since, found.wish.until)))
    for ref, tariff in tariffs.items():
        before = found.plans[ref].priced
        replay(tariff, history, found.plans[ref])
        found.plans[ref].priced = before  # a fee for having an account is no order


def _add_interest(found: Simulation, accounts: Iterable[Account], tariffs: dict[str, Tariff]) -> None:
    for account in accounts:
        stretches = history.cash_stretches(account, found.wish.since, found.wish.until)
        if stretches is None:
            found.without_cash.append(str(account))
            continue
        for ref, tariff in tariffs.items():
            for line in interest_lines(tariff, stretches):
                found.plans[ref].add(line)


def interest_lines(tariff: Tariff, stretches: Iterable[Stretch]) -> Iterator[CostLine]:
    """Margin interest on borrowed days, interest on cash on the others."""
    for stretch in at_one_rate(tariff, stretches):
        if stretch.cash < 0:
            yield from interest.margin(tariff, -stretch.cash, stretch.days, stretch.first)
        elif stretch.cash > 0:
            yield interest.cash(tariff, stretch.cash, stretch.days, stretch.first)


def at_one_rate(tariff: Tariff, stretches: Iterable[Stretch]) -> Iterator[Stretch]:
    """The stretches, cut on the days on which a rate changes while the balance stands."""
    turns = interest.turning_days(tariff)
    for stretch in stretches:
        end = stretch.first + timedelta(days=stretch.days)
        edges = [stretch.first, *(day for day in turns if stretch.first < day < end), end]
        for first, after in pairwise(edges):
            yield Stretch(first, (after - first).days, stretch.cash)


class _OwnBroker:
    """Trades at the plans of the broker they were made at, at the rates of their days, beside what was charged."""

    def __init__(self, accounts: Iterable[Account], tariffs: dict[str, Tariff]) -> None:
        self.broker_of = {str(account.pk): account.connection.broker for account in accounts}
        self.tariffs = {
            ref: Tariff(tariff.plan, tariff.rates)
            for ref, tariff in tariffs.items()
            if tariff.plan.broker in set(self.broker_of.values())
        }
        self.found = {ref: ModelError(tariff.plan.broker, ref) for ref, tariff in self.tariffs.items()}
        self.counters: dict[str, _Trades] = {}

    def add(self, events: list[Event]) -> None:
        for broker in {tariff.plan.broker for tariff in self.tariffs.values()}:
            own = [event for event in events if event.side and self.broker_of.get(event.account) == broker]
            counter = self.counters.setdefault(broker, _Trades())
            ordered = placed(orders(own), counter.before(own))
            for ref, tariff in self.tariffs.items():
                if tariff.plan.broker == broker:
                    for one in ordered:
                        cannot = tariff.cannot(one.order.event)
                        self.found[ref].add(one.order, [] if cannot else lines_of(tariff, one), cannot)

    def errors(self) -> list[ModelError]:
        """For each own broker, the plan that explains what was paid best: nobody told us which one it is."""
        best: dict[str, ModelError] = {}
        for found in self.found.values():
            if found.orders and (found.broker not in best or self.fit(found) < self.fit(best[found.broker])):
                best[found.broker] = found
        return list(best.values())

    @staticmethod
    def fit(found: ModelError) -> tuple[bool, Decimal, int]:
        """The lower the better: how far off it is where it can be compared at all, then how much cannot."""
        return not found.compared, abs(found.gap), found.left


def lines_behind(user: User, wish: Wish, ref: str, item: str, first: int, count: int) -> list[tuple[Event, CostLine]]:
    """The lines of one sum, `count` of them from `first` on, computed again."""
    catalogue = stored.catalogue()
    tariff = Tariff(catalogue.plans[ref], catalogue.rates, wish.rates_of)
    return list(islice(_lines_behind(user, wish, tariff, item), first, first + count))


def _lines_behind(user: User, wish: Wish, tariff: Tariff, item: str) -> Iterator[tuple[Event, CostLine]]:
    if item in (*MONTHLY, YEARLY):
        events = placed(orders(account_events(wish.since, wish.until)))
        yield from every_line(tariff, events, item)
        return
    accounts = list(Account.objects.for_user(user).filter(pk__in=wish.accounts))
    if item in ("margin_interest", "cash_interest"):
        for account in accounts:
            for stretch in at_one_rate(tariff, history.cash_stretches(account, wish.since, wish.until) or ()):
                for line in interest_lines(tariff, [stretch]):
                    if line.item == item:
                        about = Event(on=stretch.first, item=item, amount=stretch.cash, symbol=str(account))
                        yield replace(about, quantity=Decimal(stretch.days)), line
        return
    counter = _Trades()
    for month in history.months(user, [account.pk for account in accounts], wish.since, wish.until):
        yield from every_line(tariff, placed(orders(month.events), counter.before(month.events)), item)
