"""How many calls a broker allows, counted in one place for all processes.

The broker's own count is the truth; ours is there so that we never hear of it. Limits are in each broker's module.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from django.conf import settings
from django.core.cache import cache
from django.utils import timezone
from limits import RateLimitItem, RateLimitItemPerSecond
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter, RateLimiter, SlidingWindowCounterRateLimiter

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

    @property
    def window(self) -> int:
        """Seconds in which we make `limit` calls at most; of a short one nothing is added, it would cost too much."""
        return self.period + round(ON_THE_WAY) if self.is_exact and self.period >= 30 else self.period

    @property
    def item(self) -> RateLimitItem:
        return RateLimitItemPerSecond(self.limit, self.window, namespace="broker")

    def line(self, broker: Broker) -> Line:
        """Those syncs stand in when there is not enough for all."""
        return Line(f"{broker.value}:{self.owner}", self.window / max(1, self.limit - self.reserve))


@lru_cache(maxsize=2)
def _limiter(is_exact: bool) -> RateLimiter:
    kind = MovingWindowRateLimiter if is_exact else SlidingWindowCounterRateLimiter
    return kind(storage_from_string(settings.RATE_LIMIT_STORAGE_URL))


def spend(broker: Broker, operation: Operation, *budgets: Budget) -> None:
    """Take one call from each of the budgets. Raises RateLimited, and takes none then.

    A sync whose turn it is waits in here for its next call; one without a turn does not pass those who stand in line.
    Two processes may both find the last call free; one of them gets it, and the other has spent its pace in vain.
    """
    syncing = turns.current()
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
    kept_free = budget.reserve if syncing or operation in CAN_WAIT else 0
    if limiter.hit(budget.item, owner) if take else limiter.test(budget.item, owner, cost=1 + kept_free):
        return
    wait = max(1.0, left(broker, budget)[0] - time.time())
    raise _used_up(broker, wait, budget.line(broker) if syncing and wait > SHORT_WAIT else None)


def left(broker: Broker, budget: Budget) -> tuple[float, int]:
    """(when there is more, in seconds of the clock; what is left)"""
    stats = _limiter(budget.is_exact).get_window_stats(budget.item, f"{broker.value}:{budget.owner}")
    return stats.reset_time, int(stats.remaining)


# --- What a call tells of its budget ----------------------------------------------------------------------------------
LIMIT_HEADERS = (("X-RateLimit-Limit", "X-RateLimit-Remaining"), ("RateLimit-Limit", "RateLimit-Remaining"))
LEARNED_SECONDS = 24 * 3600  # a limit that was met is believed for a day


@dataclass(frozen=True, slots=True)
class Seen:
    """A budget as one call left it."""

    limit: int
    remaining: int
    source: LimitSource


def seen(
    broker: Broker, budget: Budget, remaining: int, headers: Mapping[str, str] | None, *, was_refused: bool
) -> Seen:
    """What the answer says goes before what was learned from a refusal, and that before what is documented.

    A learned limit is shown, not kept to: one refusal may have had other reasons, and names its own time to wait.
    """
    for limit, left_of_it in LIMIT_HEADERS:
        said = ((headers or {}).get(limit, ""), (headers or {}).get(left_of_it, ""))
        if all(each.isascii() and each.isdigit() for each in said):
            return Seen(int(said[0]), int(said[1]), LimitSource.HEADER)
    key, used = f"limit-met:{broker.value}:{budget.owner}", budget.limit - remaining
    if was_refused and 0 < used < budget.limit:
        cache.set(key, used, timeout=LEARNED_SECONDS)
    learned: int | None = cache.get(key)
    if learned is not None and learned < budget.limit:
        return Seen(learned, 0 if was_refused else max(0, learned - used), LimitSource.LEARNED)
    return Seen(budget.limit, remaining, LimitSource.DOCUMENTED)
