"""How each broker's API is doing, for the widget, the board and the API alike: read from what was recorded."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import TextChoices
from django.utils import timezone

from connections.brokers.calls import Attribution, Operation
from connections.brokers.records import Broker
from health.metrics import Budget, Tally, quantiles
from health.models import CallBucket, Resolution
from health.verdicts import QUIET, Minute, Status, judge, overall

MEMORY = timedelta(minutes=30)  # a verdict follows from the minutes since then
BROKERS = tuple(broker for broker in Broker if broker is not Broker.OTHER)


class Window(TextChoices):
    FIVE_MINUTES = "5m", "5 minutes"
    HOUR = "1h", "1 hour"
    DAY = "24h", "24 hours"
    WEEK = "7d", "7 days"

    @property
    def length(self) -> timedelta:
        return _LENGTHS[self]

    @property
    def resolution(self) -> Resolution:
        """Long windows are read from hours, a sixtieth of the rows."""
        return Resolution.MINUTE if self.length <= timedelta(hours=1) else Resolution.HOUR


_LENGTHS = {
    Window.FIVE_MINUTES: timedelta(minutes=5),
    Window.HOUR: timedelta(hours=1),
    Window.DAY: timedelta(hours=24),
    Window.WEEK: timedelta(days=7),
}


@dataclass(frozen=True, slots=True)
class Figures:
    """What a window's calls come to. Rates are 0..1 of all calls, latencies seconds; None when there were none."""

    tally: Tally
    p50: float | None = field(init=False)
    p95: float | None = field(init=False)
    p99: float | None = field(init=False)

    def __post_init__(self) -> None:
        for name, value in zip(("p50", "p95", "p99"), quantiles(self.tally.latency, 0.50, 0.95, 0.99), strict=True):
            object.__setattr__(self, name, value)

    @property
    def calls(self) -> int:
        return self.tally.calls

    def _rate(self, *sides: Attribution) -> float | None:
        return self.tally.failed(*sides) / self.calls if self.calls else None

    @property
    def error_rate(self) -> float | None:
        return self._rate()

    @property
    def broker_error_rate(self) -> float | None:
        return self._rate(Attribution.BROKER)

    @property
    def our_error_rate(self) -> float | None:
        return self._rate(Attribution.OURS)

    @property
    def login_error_rate(self) -> float | None:
        return self._rate(Attribution.CREDENTIAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationHealth:
    operation: Operation
    status: Status
    figures: Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerHealth:
    """One broker: its status now, and what its calls came to in the window. `last_call_at` looks back a week at most."""

    broker: Broker
    status: Status
    window: Window
    as_of: datetime
    figures: Figures
    operations: tuple[OperationHealth, ...]  # those called in the window, in the order of Operation
    budget: Budget | None
    last_call_at: datetime | None

    @property
    def sentence(self) -> str:
        return self.status.sentence.format(broker=self.broker.label)


def board(window: Window = Window.HOUR, *, now: datetime | None = None) -> tuple[BrokerHealth, ...]:
    """Every broker the hub can call, in two queries."""
    now = now or timezone.now()
    return tuple(_assess(BROKERS, window, now))


def broker_health(broker: Broker, window: Window = Window.HOUR, *, now: datetime | None = None) -> BrokerHealth:
    """One of BROKERS."""
    (health,) = _assess((broker,), window, now or timezone.now())
    return health


def status_of(broker: Broker, *, now: datetime | None = None) -> Status:
    return broker_health(broker, Window.FIVE_MINUTES, now=now).status


def _assess(brokers: tuple[Broker, ...], window: Window, now: datetime) -> Iterator[BrokerHealth]:
    wanted = CallBucket.objects.filter(broker__in=brokers)
    recent = _by_broker(wanted.measured(Resolution.MINUTE, since=now - MEMORY))
    measured = _by_broker(wanted.measured(window.resolution, since=now - window.length))
    for broker in brokers:
        yield _broker(broker, recent[broker.value], measured[broker.value], window, now)


def _by_broker(buckets: Iterable[CallBucket]) -> defaultdict[str, list[CallBucket]]:
    found: defaultdict[str, list[CallBucket]] = defaultdict(list)
    for bucket in buckets:
        found[bucket.broker].append(bucket)
    return found


def _broker(
    broker: Broker, recent: list[CallBucket], measured: list[CallBucket], window: Window, now: datetime
) -> BrokerHealth:
    statuses = {operation: judge(_timeline(buckets, now)) for operation, buckets in _by_operation(recent).items()}
    tallies = {operation: _total(buckets) for operation, buckets in _by_operation(measured).items()}
    total = _total(measured)
    latest = _total(recent)
    latest.add(total)
    return BrokerHealth(
        broker=broker,
        status=overall(judge(_timeline(recent, now)), list(statuses.values())),
        window=window,
        as_of=now,
        figures=Figures(total),
        operations=tuple(
            OperationHealth(
                operation=operation,
                status=statuses.get(operation, Status.UNKNOWN),
                figures=Figures(tallies[operation]),
            )
            for operation in Operation
            if operation in tallies
        ),
        budget=latest.budget and latest.budget.now(now),
        last_call_at=latest.last_call_at,
    )


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


def _timeline(buckets: Iterable[CallBucket], now: datetime) -> list[Minute]:
    """One entry a minute from MEMORY ago up to the minute that is running, silent ones included."""
    minutes: dict[datetime, Minute] = {}
    for bucket in buckets:
        tally, before = bucket.tally, minutes.get(bucket.starts_at, QUIET)
        minutes[bucket.starts_at] = Minute(
            before.judged + tally.judged, before.failed + tally.failed(Attribution.BROKER)
        )
    step = Resolution.MINUTE.length
    first = Resolution.MINUTE.start_of(now - MEMORY)
    return [minutes.get(first + step * n, QUIET) for n in range(MEMORY // step + 1)]
