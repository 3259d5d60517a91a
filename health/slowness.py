"""When an answer is slow: a multiple of what the same operation usually takes, learned from the days before."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta

from brokerhub.kernel.hints import hints
from connections.brokers.calls import Operation
from connections.brokers.records import Broker
from health.metrics import Tally, quantiles, seconds_of
from health.models import CallBucket, Resolution

DAYS = timedelta(days=7)
KEPT = 600  # seconds; yesterday does not change
FACTOR = 4.0  # times the time that 95 % of the answers took
LEAST, MOST, UNLEARNED = 1.0, 15.0, 3.0  # seconds
ENOUGH = 50  # answers to learn from
Limits = Mapping[tuple[str, str], float]  # (broker, operation) -> seconds after which an answer is slow


def learned(now: datetime) -> Limits:
    """What the seven days before today say. In one query, every ten minutes."""
    limits: Limits | None = hints.get("health:slowness")
    if limits is None:
        limits = _learn(now)
        hints.set("health:slowness", limits, timeout=KEPT)
    return limits


def _learn(now: datetime) -> Limits:
    totals: defaultdict[tuple[str, str], Tally] = defaultdict(Tally)
    days = CallBucket.objects.measured(Resolution.DAY, since=now - DAYS)
    for bucket in days.filter(starts_at__lt=Resolution.DAY.start_of(now)):
        totals[bucket.broker, bucket.operation].add(bucket.tally)
    return {
        key: min(max(FACTOR * usual, LEAST), MOST)
        for key, tally in totals.items()
        if tally.latency.total() >= ENOUGH and (usual := quantiles(tally.latency, 0.95)[0]) is not None
    }


def limit(limits: Limits, broker: Broker, operation: Operation, fixed: float | None) -> float:
    """Seconds; `fixed` by an administrator goes before what was learned."""
    return fixed if fixed is not None else limits.get((broker.value, operation.value), UNLEARNED)


def usual(broker: Broker) -> float:
    """For a test call that was just made, without a query of its own: as it was learned lately."""
    return limit(hints.get("health:slowness") or {}, broker, Operation.PROBE, None)


def slow_answers(tally: Tally, after: float) -> int:
    return sum(count for index, count in tally.latency.items() if seconds_of(index) > after)
