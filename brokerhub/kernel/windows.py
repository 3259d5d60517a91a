"""Counters of calls in Redis. When its clock is set back they stay, and shut everybody out, for as long as the step."""

import time

from limits import RateLimitItem
from limits.storage import SlidingWindowCounterSupport
from limits.strategies import RateLimiter, SlidingWindowCounterRateLimiter

TOLERANCE = 1.0  # seconds


def drop_outdated(limiter: RateLimiter, item: RateLimitItem, *owner: str) -> bool:
    """Forget what was counted before the clock was set back; whether there was anything.

    No counter ends later than its windows: this one and the one before it, or one that moves.
    """
    if _ends_in(limiter, item, *owner) <= TOLERANCE:
        return False
    limiter.clear(item, *owner)
    return True


def _ends_in(limiter: RateLimiter, item: RateLimitItem, *owner: str) -> float:
    """Seconds by which a counter lasts longer than it ever should."""
    expiry, storage = item.get_expiry(), limiter.storage
    if not isinstance(limiter, SlidingWindowCounterRateLimiter):
        return limiter.get_window_stats(item, *owner).reset_time - time.time() - expiry
    assert isinstance(storage, SlidingWindowCounterSupport)
    _, previous, _, current = storage.get_sliding_window(item.key_for(*owner), expiry)
    return max(previous - expiry, current - 2 * expiry)
