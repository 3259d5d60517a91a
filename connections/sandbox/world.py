"""Everything the sandbox remembers, in one place, in memory: gone with the process, as new after a reset."""

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, runtime_checkable

from django.http import HttpRequest, HttpResponse

from connections.sandbox.book import Account
from connections.sandbox.clock import Clock
from connections.sandbox.faults import FaultBox
from connections.sandbox.market import Market
from connections.sandbox.people import People

MARKET_SEED = 2026
CALLS_KEPT = 20_000
MINUTE = timedelta(minutes=1)


@dataclass(slots=True)
class Call:
    """One call a broker answered (or refused to). Holds no token, no code, no password."""

    broker: str
    operation: str
    method: str
    path: str
    started_at: datetime
    correlation_id: str
    status: int | None = None  # None: the connection was dropped without an answer
    login: str | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[str, ...] = ()


class RateLimit:
    """So many calls in any sixty seconds, counted per app. None is no limit."""

    def __init__(self, per_minute: int) -> None:
        self.standard = per_minute
        self.per_minute: int | None = per_minute
        self._calls: dict[str, deque[datetime]] = {}

    def allows(self, key: str, now: datetime) -> bool:
        calls = self._calls.setdefault(key, deque())
        while calls and not now - MINUTE < calls[0] <= now:  # a clock moved back forgets as well
            calls.popleft()
        if self.per_minute is not None and len(calls) >= self.per_minute:
            return False
        calls.append(now)
        return True

    def reset(self) -> None:
        self.per_minute = self.standard
        self._calls.clear()


@dataclass(slots=True)
class Plan:
    """Maintenance that a broker announces."""

    number: int
    title: str
    starts_at: datetime
    minutes: int
    rule: str = ""  # RRULE; the calendar tells it, the status page's list knows no repetition

    @property
    def ends_at(self) -> datetime:
        return self.starts_at + timedelta(minutes=self.minutes)


class BrokerSide(Protocol):
    """What the control API and the gate need of each broker."""

    name: str
    limit: RateLimit
    callbacks: list[str]
    operations: set[str]  # names by which faults find them

    def reset(self) -> None: ...
    def external_id(self, account: Account) -> str: ...
    def expire_access(self, login: str) -> int: ...
    def revoke(self, login: str) -> int: ...
    def expire_presented(self, request: HttpRequest) -> None: ...
    def revoke_presented(self, request: HttpRequest) -> None: ...
    def presented_by(self, request: HttpRequest) -> str | None: ...
    def encode(self, payload: Any, status: int = 200) -> HttpResponse: ...
    def refuse(self, status: int, operation: str) -> HttpResponse: ...
    def route_missing(self, operation: str) -> HttpResponse: ...
    def dress(self, response: HttpResponse, correlation_id: str) -> None: ...


@runtime_checkable
class SaysMaintenance(Protocol):
    """A broker whose API tells an outage in a shape of its own; the others answer with a page."""

    def maintenance(self, operation: str, text: str) -> HttpResponse: ...


class World:
    """One lock guards it all: a request is worked out while holding it, and never waits with it in hand."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.clock = Clock()
        self.market = Market(MARKET_SEED)
        self.people = People(self.market)
        self.faults = FaultBox()
        self.calls: deque[Call] = deque(maxlen=CALLS_KEPT)
        self.maintenance: dict[str, int | None] = {}  # broker: seconds of its Retry-After
        self.plans: dict[str, list[Plan]] = {}  # broker: what it announces
        self.sides: dict[str, BrokerSide] = {}
        self.people.tell(self.clock.today())

    def add(self, side: BrokerSide) -> None:
        self.sides[side.name] = side

    def reset(self) -> None:
        """Back to the seed: stories told anew up to yesterday, real time, no fault, no token, an empty log."""
        self.faults.empty()
        with self.lock:
            self.clock.make_real()
            self.people.tell(self.clock.today())
            self.calls.clear()
            self.maintenance.clear()
            self.plans.clear()
            for side in self.sides.values():
                side.reset()


WORLD = World()
