"""How each broker's API is doing, for the widget, the board and the API alike: read from what was recorded."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self, cast

from django.db.models import TextChoices
from django.utils import timezone

from brokerhub.kernel.hints import hints
from connections.brokers import breaker
from connections.brokers.calls import Attribution, Operation
from connections.brokers.records import Broker
from health import freshness, maintenance, rates, slowness
from health.freshness import Freshness
from health.maintenance_models import Occurrence
from health.metrics import Budget, Pace, Tally, quantiles
from health.models import CallBucket, Resolution, Thresholds
from health.rates import Allowance
from health.slowness import Limits
from health.verdicts import QUIET, Bars, Minute, Status, judge, judge_broker

MEMORY = timedelta(minutes=30)  # a verdict follows from the minutes since then
KEPT = 3  # seconds
BROKERS = tuple(broker for broker in Broker if broker is not Broker.OTHER)
_ORDER = tuple(Operation)


class Window(TextChoices):
    FIVE_MINUTES = "5m", "5 minutes"
    HOUR = "1h", "1 hour"
    DAY = "24h", "24 hours"
    WEEK = "7d", "7 days"
    MONTH = "30d", "30 days"
    QUARTER = "90d", "90 days"
    YEAR = "1y", "1 year"

    @property
    def length(self) -> timedelta:
        return _LENGTHS[self]

    @property
    def resolution(self) -> Resolution:
        """Long windows are read from hours or days: a fraction of the rows, and each call is in all of them."""
        if self.length <= timedelta(hours=1):
            return Resolution.MINUTE
        return Resolution.HOUR if self.length <= timedelta(days=30) else Resolution.DAY


_LENGTHS = {
    Window.FIVE_MINUTES: timedelta(minutes=5),
    Window.HOUR: timedelta(hours=1),
    Window.DAY: timedelta(hours=24),
    Window.WEEK: timedelta(days=7),
    Window.MONTH: timedelta(days=30),
    Window.QUARTER: timedelta(days=90),
    Window.YEAR: timedelta(days=365),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a window's calls come to. Rates are 0..1 of all calls, latencies seconds; None when there were none."""

    calls: int
    failed_by_broker: int
    failed_by_us: int
    failed_by_login: int
    p50: float | None
    p95: float | None
    p99: float | None

    @classmethod
    def of(cls, tally: Tally) -> Self:
        p50, p95, p99 = quantiles(tally.latency, 0.50, 0.95, 0.99)
        return cls(
            calls=tally.calls,
            failed_by_broker=tally.failed(Attribution.BROKER),
            failed_by_us=tally.failed(Attribution.OURS),
            failed_by_login=tally.failed(Attribution.CREDENTIAL),
            p50=p50,
            p95=p95,
            p99=p99,
        )

    def _rate(self, failed: int) -> float | None:
        return failed / self.calls if self.calls else None

    @property
    def failed(self) -> int:
        return self.failed_by_broker + self.failed_by_us + self.failed_by_login

    @property
    def error_rate(self) -> float | None:
        return self._rate(self.failed)

    @property
    def broker_error_rate(self) -> float | None:
        return self._rate(self.failed_by_broker)

    @property
    def our_error_rate(self) -> float | None:
        return self._rate(self.failed_by_us)

    @property
    def login_error_rate(self) -> float | None:
        return self._rate(self.failed_by_login)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationHealth:
    operation: Operation
    status: Status
    figures: Figures
    budget: Budget | None = None  # as its last call told it
    used_up_in: float | None = None  # seconds; as for the broker
    slow_after: float = slowness.UNLEARNED  # seconds after which its answers are slow


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerHealth:
    """One broker: its status now, and what its calls came to in the window."""

    broker: Broker
    status: Status
    window: Window
    as_of: datetime
    figures: Figures
    operations: tuple[OperationHealth, ...]  # those called in the window, in the order of Operation
    budget: Budget | None  # as it stands now, the tightest of those used lately; None: no call of a week told one
    last_call_at: datetime | None  # None when there was none in the last week
    used_up_in: float | None = None  # seconds until the budget is, if calls go on as in the last minute; None: never
    maintenance: tuple[Occurrence, ...] = ()  # on now and to come, soonest first
    freshness: Freshness = freshness.NOTHING

    @property
    def maintenance_now(self) -> Occurrence | None:
        return next((each for each in self.maintenance if each.is_on(self.as_of)), None)

    @property
    def next_maintenance(self) -> Occurrence | None:
        return next((each for each in self.maintenance if each.starts_at > self.as_of), None)

    @property
    def is_unused(self) -> bool:
        """Nobody has called it: there is nothing to say about it."""
        return not self.figures.calls and self.last_call_at is None

    @property
    def measured_from(self) -> datetime:
        """Where the window begins, to the whole minute, hour or day."""
        return self.window.resolution.start_of(self.as_of - self.window.length)

    @property
    def sentence(self) -> str:
        return self.status.sentence.format(broker=self.broker.label)


def board(window: Window = Window.HOUR) -> tuple[BrokerHealth, ...]:
    """Every broker the hub can call, at most KEPT seconds old: everybody who looks shares one reading."""
    return cast(
        tuple[BrokerHealth, ...], hints.get_or_set(f"health:board:{window}", lambda: measure(window), timeout=KEPT)
    )


def broker_health(broker: Broker, window: Window = Window.HOUR) -> BrokerHealth:
    """One of BROKERS, out of the same reading as `board`."""
    return next(health for health in board(window) if health.broker is broker)


def measure(window: Window, *, now: datetime | None = None) -> tuple[BrokerHealth, ...]:
    """Every broker, read now, in as many queries however many brokers and calls there are."""
    now = now or timezone.now()
    planned = maintenance.plan(now)
    streaks = breaker.in_a_row()
    rules, limits = _rules(), slowness.learned(now)
    fresh = freshness.of_brokers({broker: rules[broker].grace for broker in Broker}, now)
    buckets = CallBucket.objects.filter(broker__in=BROKERS)
    recent = _by_broker(buckets.measured(Resolution.MINUTE, since=now - MEMORY))
    measured = _by_broker(buckets.measured(window.resolution, since=now - window.length))
    last_week = buckets.measured(Resolution.HOUR, since=now - Window.WEEK.length)
    last_calls, budgets, tightest = last_week.last_calls(), last_week.budgets(), rates.tightest(now)
    found = []
    for broker in BROKERS:
        allowance = tightest.get(broker) or _allowance(budgets.get(broker), recent[broker], now)
        judge = _Judge(broker, rules[broker], limits, streaks, tuple(planned[broker]), now)
        data = fresh.get(broker, freshness.NOTHING)
        found.append(
            BrokerHealth(
                broker=broker,
                status=judge.whole(recent[broker], data),
                window=window,
                as_of=now,
                figures=Figures.of(_total(measured[broker])),
                operations=judge.operations(recent[broker], measured[broker], allowance),
                budget=allowance.budget if allowance else None,
                last_call_at=last_calls.get(broker),
                used_up_in=allowance.used_up_in if allowance else None,
                maintenance=judge.planned,
                freshness=data,
            )
        )
    return tuple(found)


def _rules() -> dict[Broker, Thresholds]:
    """How each broker is judged: as an administrator wants it, else as the code has it."""
    usual = {broker: Thresholds(broker=broker) for broker in Broker}
    return usual | {Broker(each.broker): each for each in Thresholds.objects.all()}


def _by_broker(buckets: Iterable[CallBucket]) -> defaultdict[str, list[CallBucket]]:
    found: defaultdict[str, list[CallBucket]] = defaultdict(list)
    for bucket in buckets:
        found[bucket.broker].append(bucket)
    return found


def _allowance(seen: Budget | None, recent: Iterable[CallBucket], now: datetime) -> Allowance | None:
    """Of a budget that no connection has used lately: at the pace of these calls."""
    if seen is None:
        return None
    budget = seen.now(now)
    return Allowance(budget=budget, used_up_in=budget.lasts(_pace(recent, now).per_second(now)))


def _pace(recent: Iterable[CallBucket], now: datetime) -> Pace:
    """Of the calls that count against a budget."""
    minute = Resolution.MINUTE.start_of(now)
    calls = {minute: 0, minute - Resolution.MINUTE.length: 0}
    for each in recent:
        if each.starts_at in calls and each.operation != Operation.PROBE:
            calls[each.starts_at] += each.tally.calls
    return Pace(*calls.values())


Streaks = Mapping[tuple[Broker, Operation], int]


@dataclass(frozen=True, slots=True)
class _Judge:
    """What the verdicts of one broker follow from, beside its calls."""

    broker: Broker
    rules: Thresholds
    limits: Limits
    streaks: Streaks
    planned: tuple[Occurrence, ...]
    now: datetime

    @property
    def bars(self) -> Bars:
        return self.rules.bars

    def whole(self, recent: list[CallBucket], data: Freshness) -> Status:
        by_operation = _by_operation(recent)
        timelines = [self.timeline(operation, buckets) for operation, buckets in by_operation.items()]
        streaks = [self.streak(operation) for operation in by_operation]
        verdict = judge_broker(timelines, streaks, self.bars)
        if data.is_stale and verdict is Status.OPERATIONAL:
            verdict = Status.DEGRADED
        return self.settled(verdict)

    def operations(
        self, recent: list[CallBucket], measured: list[CallBucket], whole: Allowance | None
    ) -> tuple[OperationHealth, ...]:
        """`whole` is the broker's allowance, which its operations share but for those with a budget of another size."""
        lately, found = _by_operation(recent), []
        for operation, buckets in sorted(_by_operation(measured).items(), key=lambda each: _ORDER.index(each[0])):
            budget = _newest_budget(buckets, self.now)
            own = _allowance(budget, lately.get(operation, []), self.now)
            shared = whole if budget and whole and budget.is_like(whole.budget) else own
            found.append(
                OperationHealth(
                    operation=operation,
                    status=self.settled(self.of(operation, lately.get(operation, []))),
                    figures=Figures.of(_total(buckets)),
                    budget=budget,
                    used_up_in=shared.used_up_in if shared else None,
                    slow_after=self.slow_after(operation),
                )
            )
        return tuple(found)

    def of(self, operation: Operation, buckets: list[CallBucket]) -> Status:
        return judge(self.timeline(operation, buckets), self.streak(operation) if buckets else 0, self.bars)

    def streak(self, operation: Operation) -> int:
        return self.streaks.get((self.broker, operation), 0)

    def slow_after(self, operation: Operation) -> float:
        return slowness.limit(self.limits, self.broker, operation, self.rules.slow_after)

    def timeline(self, operation: Operation, buckets: Iterable[CallBucket]) -> list[Minute]:
        return _timeline(buckets, self.now, self.slow_after(operation))

    def settled(self, verdict: Status) -> Status:
        """In a window that pauses syncs a broker is under maintenance; in another one only if it is in trouble."""
        on = [each for each in self.planned if each.is_on(self.now)]
        if any(each.pauses_syncs for each in on) or (on and verdict.is_trouble):
            return Status.MAINTENANCE
        return verdict


def _newest_budget(buckets: Iterable[CallBucket], now: datetime) -> Budget | None:
    told = [bucket.budget for bucket in buckets if bucket.budget]
    return max(told, key=lambda budget: budget.seen_at).now(now) if told else None


def _by_operation(buckets: Iterable[CallBucket]) -> dict[Operation, list[CallBucket]]:
    found: dict[Operation, list[CallBucket]] = {}
    for bucket in buckets:
        found.setdefault(Operation(bucket.operation), []).append(bucket)
    return found


def _total(buckets: Iterable[CallBucket]) -> Tally:
    total = Tally()
    for bucket in buckets:
        total.add(bucket.tally)
    return total


def _timeline(buckets: Iterable[CallBucket], now: datetime, slow_after: float) -> list[Minute]:
    """One entry a minute from MEMORY ago up to the minute that is running, silent ones included."""
    minutes: dict[datetime, Minute] = {}
    for bucket in buckets:
        tally, before = bucket.tally, minutes.get(bucket.starts_at, QUIET)
        minutes[bucket.starts_at] = Minute(
            before.judged + tally.judged,
            before.failed + tally.failed(Attribution.BROKER),
            before.slow + slowness.slow_answers(tally, slow_after),
        )
    step = Resolution.MINUTE.length
    first = Resolution.MINUTE.start_of(now - MEMORY)
    return [minutes.get(first + step * n, QUIET) for n in range(MEMORY // step + 1)]
