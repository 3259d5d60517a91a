"""How many calls a broker allows, counted in one place for all processes.

The broker's own count is the truth; ours is there so that we never hear of it. Limits are in each broker's module.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache

from django.conf import settings
from django.core.cache import cache
from django.utils import timezone
from limits import RateLimitItem, RateLimitItemPerSecond
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter, RateLimiter, SlidingWindowCounterRateLimiter

from brokerhub.kernel.windows import drop_outdated
from connections.brokers import turns
from connections.brokers.base import RateLimited
from connections.brokers.calls import LimitSource, Operation
from connections.brokers.records import Broker
from connections.brokers.turns import Line

SHORT_WAIT = 6.0  # seconds: a longer wait parks the run instead of holding a worker
ON_THE_WAY = 1.0  # seconds by which a call may reach the broker later than another: added to an exact minute
CAN_WAIT = {
    Operation.HOLDINGS,
    Operation.TRANSACTIONS,
    Operation.PRICES,
    Operation.PROBE,
}  # a sign-in's code lives for half a minute


@dataclass(frozen=True, slots=True)
class Budget:
    """`limit` calls per `period` seconds, shared by every process that names the same `owner`."""

    limit: int
    period: int
    owner: str
    reserve: int = 0  # of `limit`: calls that what can wait leaves to people who are signing in
    is_exact: bool = False  # where one call too many is punished: never more in any period, wherever it begins
    withheld: int = 0  # of `limit`: calls the broker was seen not to allow

    @property
    def window(self) -> int:
        """Seconds in which we make `limit` calls at most; of a short one nothing is added, it would cost too much."""
        return self.period + round(ON_THE_WAY) if self.is_exact and self.period >= 30 else self.period

    @property
    def item(self) -> RateLimitItem:
        return RateLimitItemPerSecond(self.limit, self.window, namespace="broker")

    def line(self, broker: Broker) -> Line:
        """Those syncs stand in when there is not enough for all."""
        return Line(f"{broker.value}:{self.owner}", self.window / max(1, self.limit - self.withheld - self.reserve))


@lru_cache(maxsize=2)
def _limiter(is_exact: bool) -> RateLimiter:
    kind = MovingWindowRateLimiter if is_exact else SlidingWindowCounterRateLimiter
    return kind(storage_from_string(settings.RATE_LIMIT_STORAGE_URL))


def spend(broker: Broker, operation: Operation, *budgets: Budget) -> None:
    """Take one call from each of the budgets. Raises RateLimited, and takes none then.

    A sync whose turn it is waits in here for its next call; one without a turn does not pass those who stand in line.
    Two processes may both find the last call free; one of them gets it, and the other has spent its pace in vain.
    """
    budgets, syncing = _as_learned(broker, budgets), turns.current()
    if syncing is not None:
        for budget in budgets:
            _mind_the_line(broker, budget, syncing)
    while wait := _take(broker, operation, budgets):
        time.sleep(wait)


def _take(broker: Broker, operation: Operation, budgets: tuple[Budget, ...]) -> float:
    """Seconds after which a sync whose turn it is may ask again; 0 when the call is taken. Raises RateLimited."""
    try:
        for take in (False, True):
            for budget in budgets:
                _ask(broker, budget, operation, take=take)
    except RateLimited as error:
        syncing = turns.current()
        wait = ((error.retry_at or timezone.now()) - timezone.now()).total_seconds()
        if syncing is None or not syncing.line or wait > turns.LONGEST_PAUSE:
            raise
        return max(wait, 0.05)
    return 0.0


def _mind_the_line(broker: Broker, budget: Budget, syncing: turns.Syncing) -> None:
    """Pass for a sync that may call now, after its pause. Raises RateLimited for one that others come before."""
    line = budget.line(broker)
    if syncing.line != line.key:
        if turns.line_at(line.key) is not None:
            raise _used_up(broker, turns.TURN_SECONDS, line)
        return
    if syncing.is_alone:
        return
    if syncing.calls <= 0:
        raise _used_up(broker, turns.TURN_SECONDS, line, is_turn_over=True)
    if wait := turns.wait_for_slot(line):
        raise _used_up(broker, wait, line)
    syncing.calls -= 1


def _used_up(broker: Broker, seconds: float, line: Line | None, *, is_turn_over: bool = False) -> RateLimited:
    return RateLimited(
        f"The hub has used up what {broker.label} allows for now.",
        retry_at=timezone.now() + timedelta(seconds=seconds),
        line=line,
        is_turn_over=is_turn_over,
    )


def _ask(broker: Broker, budget: Budget, operation: Operation, *, take: bool) -> None:
    limiter, owner = _limiter(budget.is_exact), f"{broker.value}:{budget.owner}"
    syncing = turns.current() is not None
    kept_free = budget.withheld + (budget.reserve if syncing or operation in CAN_WAIT else 0)
    if limiter.hit(budget.item, owner) if take else limiter.test(budget.item, owner, cost=1 + kept_free):
        return
    if drop_outdated(limiter, budget.item, owner):
        return _ask(broker, budget, operation, take=take)
    wait = max(1.0, left(broker, budget)[0] - time.time())
    raise _used_up(broker, wait, budget.line(broker) if syncing and wait > SHORT_WAIT else None)


def left(broker: Broker, budget: Budget) -> tuple[float, int]:
    """(when there is more, in seconds of the clock; what is left)"""
    stats = _limiter(budget.is_exact).get_window_stats(budget.item, f"{broker.value}:{budget.owner}")
    return stats.reset_time, int(stats.remaining)


# --- What a call tells of its budget ----------------------------------------------------------------------------------
LIMIT_HEADERS = (("X-RateLimit-Limit", "X-RateLimit-Remaining"), ("RateLimit-Limit", "RateLimit-Remaining"))
LEARNED_SECONDS = 3600  # a limit that was met, or told, is believed for an hour
ANOTHER = timedelta(seconds=10)  # refusals of the same moment are one
LEAST_SHARE = 4  # a learned limit is never less than this part of the documented one: others may have used the rest


@dataclass(frozen=True, slots=True)
class Seen:
    """A budget as one call left it."""

    limit: int
    remaining: int
    source: LimitSource


def _met(broker: Broker, budget: Budget) -> str:
    return f"limit-met:{broker.value}:{budget.owner}"


def _believed(broker: Broker, budget: Budget) -> str:
    return f"limit-believed:{broker.value}:{budget.owner}"


def _as_learned(broker: Broker, budgets: tuple[Budget, ...]) -> tuple[Budget, ...]:
    """The budgets without the calls that the broker was seen not to allow; what people sign in with shrinks alike."""
    keys = {_believed(broker, budget): budget for budget in budgets}
    limits: dict[str, int] = cache.get_many(list(keys)) if keys else {}
    return tuple(
        replace(budget, withheld=budget.limit - limits[key], reserve=min(budget.reserve, limits[key] // 4))
        if limits.get(key, budget.limit) < budget.limit
        else budget
        for key, budget in keys.items()
    )


def seen(
    broker: Broker, budget: Budget, remaining: int, headers: Mapping[str, str] | None, *, was_refused: bool
) -> Seen:
    """What the answer says goes before what was learned from a refusal, and that before what is documented.

    A smaller limit that the broker tells is kept to from the next call on. One refusal may have had other reasons, and
    names its own time to wait: the limit it met is shown, and kept to when it is met again within the hour. When the
    broker lets more through than that, it was no limit, and is forgotten.
    """
    for limit, left_of_it in LIMIT_HEADERS:
        said = ((headers or {}).get(limit, ""), (headers or {}).get(left_of_it, ""))
        if all(each.isascii() and each.isdigit() for each in said):
            told = int(said[0])
            if 0 < told < budget.limit:
                cache.set(_believed(broker, budget), told, timeout=LEARNED_SECONDS)
            return Seen(told, int(said[1]), LimitSource.HEADER)
    used = budget.limit - remaining
    if was_refused and 0 < used < budget.limit:
        _learn(broker, budget, used)
    known = cache.get_many([_met(broker, budget), _believed(broker, budget)])
    met: int = known.get(_met(broker, budget), (budget.limit,))[0]
    if not was_refused and used > met + max(1, met // 10):  # our count may be a little off
        cache.delete(_met(broker, budget))
        met = budget.limit
    kept: int = known.get(_believed(broker, budget), met)
    if kept < budget.limit:
        return Seen(kept, 0 if was_refused else max(0, kept - used), LimitSource.LEARNED)
    return Seen(budget.limit, remaining, LimitSource.DOCUMENTED)


def _learn(broker: Broker, budget: Budget, used: int) -> None:
    before: tuple[int, datetime] | None = cache.get(_met(broker, budget))
    if before is not None:
        if timezone.now() - before[1] < ANOTHER:
            return
        least = max(used, budget.limit // LEAST_SHARE)
        cache.set(_believed(broker, budget), least, timeout=LEARNED_SECONDS)
    cache.set(_met(broker, budget), (used, timezone.now()), timeout=LEARNED_SECONDS)
