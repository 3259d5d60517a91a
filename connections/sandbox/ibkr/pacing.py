"""How often Interactive Brokers lets itself be called, and what happens to an address that does not keep to it."""

from collections import deque
from datetime import datetime, timedelta

from connections.sandbox.world import RateLimit

CALLS_PER_MINUTE = 600  # ten a second
WINDOW = timedelta(seconds=1)
PENALTY = timedelta(minutes=15)
PACES = {  # operation: one call in so long, per session
    "accounts": timedelta(seconds=5),
    "subaccounts": timedelta(seconds=5),
    "trades": timedelta(seconds=5),
    "tickle": timedelta(seconds=1),
    "validate": timedelta(minutes=1),
    "pa_transactions": timedelta(minutes=15),
    "pa_performance": timedelta(minutes=15),
}
FLEX_PACES = ((1, timedelta(seconds=1)), (10, timedelta(minutes=1)))  # calls in so long, per token


class Pacing(RateLimit):
    """Ten a second per address; who exceeds that is shut out for a quarter of an hour. Lifted, it lifts all."""

    def __init__(self) -> None:
        super().__init__(CALLS_PER_MINUTE)
        self._boxed: dict[str, datetime] = {}
        self._last: dict[tuple[str, str], datetime] = {}
        self._flex: dict[str, deque[datetime]] = {}

    def is_boxed(self, address: str, now: datetime) -> bool:
        until = self._boxed.get(address)
        return self.per_minute is not None and until is not None and now < until

    def allows(self, key: str, now: datetime) -> bool:
        """Count a call from an address. False: too many, or still shut out."""
        if self.per_minute is None:
            self._boxed.clear()
            return True
        if self.is_boxed(key, now):
            return False
        calls = self._calls.setdefault(key, deque())
        while calls and not now - WINDOW < calls[0] <= now:
            calls.popleft()
        calls.append(now)
        if len(calls) * 60 > self.per_minute:
            self._boxed[key] = now + PENALTY
            return False
        return True

    def allows_operation(self, operation: str, who: str, now: datetime) -> bool:
        """The operation's own pace; a call too early does not push the next one back."""
        pace = PACES.get(operation)
        if pace is None or self.per_minute is None:
            return True
        last = self._last.get((operation, who))
        if last is not None and last <= now < last + pace:
            return False
        self._last[operation, who] = now
        return True

    def allows_flex(self, token: str, now: datetime) -> bool:
        calls = self._flex.setdefault(token, deque(maxlen=FLEX_PACES[-1][0]))
        too_many = any(sum(1 for call in calls if now - span < call <= now) >= count for count, span in FLEX_PACES)
        if self.per_minute is None:
            return True
        if not too_many:
            calls.append(now)
        return not too_many

    def reset(self) -> None:
        super().reset()
        self._boxed.clear()
        self._last.clear()
        self._flex.clear()
