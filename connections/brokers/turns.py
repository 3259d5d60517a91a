"""Whose turn it is at a budget that is too small for all who want to read at once.

While there is enough for everybody nobody waits and nothing is kept. A sync that finds its budget used up for long
stands in line; from then on only those call whose turn it is, evenly paced, and newcomers stand in line too. Who is
next is settled by `sync`, which keeps the line in the database. What the transport has to know of it is here: the sync
that is calling, which lines there are, and the next free slot, handed out in one place for all processes.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import cast

from django.conf import settings
from django.core.cache import cache
from limits.storage import RedisStorage, storage_from_string

REMEMBERED = 3600  # seconds for which a line is known without anybody joining or leaving it
LONGEST_PAUSE = 10.0  # seconds between two calls of a turn that are waited for in place
TURN_SECONDS = 60.0  # what a turn is worth of the budget: nobody waits for another's years of history
SHORTEST_TURN = 6  # calls: the usual sync of one account

_NEXT_SLOT = """
local slot = math.max(tonumber(ARGV[1]), tonumber(redis.call('GET', KEYS[1]) or 0))
redis.call('SET', KEYS[1], string.format('%.6f', slot + ARGV[2]), 'EX', 3600)
return string.format('%.6f', slot)"""


@dataclass(frozen=True, slots=True)
class Line:
    """Those who wait for one budget. `pace` is what it allows: seconds from one call to the next."""

    key: str
    pace: float

    @property
    def turn(self) -> int:
        """Calls of one turn."""
        return max(SHORTEST_TURN, round(TURN_SECONDS / self.pace))

    @property
    def breadth(self) -> int:
        """How many may have their turn at a time: more where a call takes longer than the pace."""
        return max(1, round(2.0 / self.pace))


@dataclass(slots=True)
class Syncing:
    """The sync that is calling, and the turn it has."""

    line: str = ""  # where it has its turn; empty: nowhere, so it calls while nobody has to wait
    calls: int = 0  # left of the turn
    is_alone: bool = False  # nobody waits behind it: it need not hold back


_syncing: ContextVar[Syncing | None] = ContextVar("syncing", default=None)


def current() -> Syncing | None:
    """None outside of syncs: people who sign in and probes stand in no line."""
    return _syncing.get()


@contextmanager
def syncing(it: Syncing) -> Iterator[None]:
    token = _syncing.set(it)
    try:
        yield
    finally:
        _syncing.reset(token)


def _key(key: str) -> str:
    return f"line:{key}"


def form(line: Line) -> None:
    """From now on there is a line: who has no turn stands in it."""
    cache.set(_key(line.key), line.pace, timeout=REMEMBERED)


def dissolve(key: str) -> None:
    cache.delete(_key(key))


def line_at(key: str) -> Line | None:
    pace: float | None = cache.get(_key(key))
    return None if pace is None else Line(key, pace)


def wait_for_slot(line: Line) -> float:
    """Take the line's next free slot and wait for it; seconds that are left, 0 unless it is too far off to wait."""
    now = time.time()
    storage = cast(RedisStorage, storage_from_string(settings.RATE_LIMIT_STORAGE_URL))
    slot = float(storage.storage.eval(_NEXT_SLOT, 1, f"slot:{line.key}", now, line.pace))
    if slot - now > LONGEST_PAUSE:
        return slot - now
    if slot > now:
        time.sleep(slot - now)
    return 0.0
