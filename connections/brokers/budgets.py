"""How many calls a broker allows, counted in one place for all processes.

The broker's own count is the truth; ours is there so that we never hear of it. Limits are in each broker's module.
"""

import time
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from django.conf import settings
from django.utils import timezone
from limits import RateLimitItem, RateLimitItemPerSecond
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter, RateLimiter, SlidingWindowCounterRateLimiter

from connections.brokers.base import RateLimited
from connections.brokers.calls import Operation
from connections.brokers.records import Broker

CAN_WAIT = {Operation.HOLDINGS, Operation.TRANSACTIONS, Operation.PROBE}  # a sign-in's code lives for half a minute


@dataclass(frozen=True, slots=True)
class Budget:
    """`limit` calls per `period` seconds, shared by every process that names the same `owner`."""

    limit: int
    period: int
    owner: str
    reserve: int = 0  # of `limit`: calls that what can wait leaves to people who are signing in
    is_exact: bool = False  # where one call too many is punished: never more in any period, wherever it begins

    @property
    def item(self) -> RateLimitItem:
        return RateLimitItemPerSecond(self.limit, self.period, namespace="broker")


@lru_cache(maxsize=2)
def _limiter(is_exact: bool) -> RateLimiter:
    kind = MovingWindowRateLimiter if is_exact else SlidingWindowCounterRateLimiter
    return kind(storage_from_string(settings.RATE_LIMIT_STORAGE_URL))


def spend(broker: Broker, operation: Operation, *budgets: Budget) -> None:
    """Take one call from each of the budgets. Raises RateLimited, and takes none then.

    Two processes may both find the last call free; one of them gets it, and the other has spent its pace in vain.
    """
    for take in (False, True):
        for budget in budgets:
            _ask(broker, budget, operation, take=take)


def _ask(broker: Broker, budget: Budget, operation: Operation, *, take: bool) -> None:
    limiter, owner = _limiter(budget.is_exact), f"{broker.value}:{budget.owner}"
    kept_free = budget.reserve if operation in CAN_WAIT else 0
    if limiter.hit(budget.item, owner) if take else limiter.test(budget.item, owner, cost=1 + kept_free):
        return
    raise RateLimited(
        f"The hub has used up what {broker.label} allows for now.",
        retry_at=timezone.now() + timedelta(seconds=max(1.0, left(broker, budget)[0] - time.time())),
    )


def left(broker: Broker, budget: Budget) -> tuple[float, int]:
    """(when there is more, in seconds of the clock; what is left)"""
    stats = _limiter(budget.is_exact).get_window_stats(budget.item, f"{broker.value}:{budget.owner}")
    return stats.reset_time, int(stats.remaining)
