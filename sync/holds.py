"""A worker's hold on a run. Every write of a worker goes through it, and counts only while the hold lasts.

A run is taken by one guarded UPDATE that draws a new `held_by`. All later writes ask for the same `held_by` and for the
state "running": a worker that was cancelled, or whose lease ran out and was given to another, changes nothing any more.
That is why a running run can be cancelled at once, without waiting for its worker to look up.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID, uuid4

from django.conf import settings
from django.db import DatabaseError, OperationalError, connection, transaction
from django.db.models import F
from django.utils import timezone

from connections.models import EPOCH, Account
from sync.models import RunEntry, RunState, SyncRun
from sync.signals import run_ended, run_progressed

logger = logging.getLogger(__name__)


NO_ROOM = "it is full. Whoever runs the hub has to make room, and then this goes on by itself"
TURN = 30  # seconds a run may keep a worker that others wait for


class HoldLost(Exception):
    """The run was cancelled or given to another worker; whoever gets this stops and writes nothing."""


class TurnOver(Exception):
    """The run has had the worker for long enough; what is left of it is done after others had theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What became of the rows of one page. Raises ValueError when they do not add up."""

    fetched: int
    inserted: int = 0
    matched: int = 0
    superseded: int = 0
    parked: int = 0
    rejected: int = 0

    def __post_init__(self) -> None:
        if self.fetched != self.inserted + self.matched + self.superseded + self.parked + self.rejected:
            raise ValueError(f"rows vanished: {self}")


PART_NAMES = {
    "accounts": "List of accounts",
    "holdings": "Positions and balances",
    "transactions": "Transactions",
    "file": "File",
}


class PartState:
    """What became of one part of a run, as stored in `SyncRun.parts`."""

    DONE = "done"
    FAILED = "failed"
    WAITING = "waiting"


@dataclass(slots=True)
class Hold:
    run: SyncRun
    holder: UUID
    since: float = field(default_factory=time.monotonic)

    @classmethod
    def take(cls, run_id: int) -> Self | None:
        """The hold on a due run; None when it is finished, not due yet, or held by a living worker."""
        holder = uuid4()
        if not SyncRun.objects.claim(run_id, holder=holder, lease=lease()):
            return None
        run = SyncRun.objects.select_related("connection__user").get(pk=run_id)
        if run.held_by != holder:
            return None
        hold = cls(run, holder)
        hold.note("Started" if run.attempts == 1 else f"Started again, for the {run.attempts}. time")
        run_progressed.send(sender=SyncRun, run_id=run.pk)
        return hold

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew the lease from a thread while the block runs: one slow answer of a broker may outlast it."""
        over = threading.Event()
        thread = threading.Thread(target=self._keep, args=(over,), name=f"lease-{self.run.pk}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _keep(self, over: threading.Event) -> None:
        while not over.wait(lease().total_seconds() / 3):
            try:
                SyncRun.objects.held(self.run.pk, self.holder).update(held_until=timezone.now() + lease())
            except DatabaseError:  # the run itself meets the same trouble and deals with it
                logger.warning("sync.lease_not_renewed: run %s", self.run.pk, exc_info=True)
            finally:
                connection.close()

    def write(self, **changes: Any) -> None:
        """Write `changes` and renew the lease. Raises HoldLost; inside a transaction everything then rolls back."""
        held = SyncRun.objects.held(self.run.pk, self.holder)
        if not held.update(**{"held_until": timezone.now() + lease(), **changes}):
            raise HoldLost(f"run {self.run.pk}")
        for name, value in changes.items():
            if not hasattr(value, "resolve_expression"):
                setattr(self.run, name, value)

    def insist(self) -> None:
        """Before the first write to the run in a transaction that has others' rows already. Raises HoldLost.

        Whoever has the run's row for longer ends the run, and may be waiting for rows of ours: of two who wait for
        each other the worker gives way, before the database has to choose (`deadlock_timeout`, one second).
        """
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '900ms'")
        try:
            self.write()
        except OperationalError as error:
            raise HoldLost(f"run {self.run.pk}") from error

    def make_room(self) -> None:
        """Between two pages: raises TurnOver when the worker was kept for long and others are due.

        Who stands in line for a scarce budget (`queueing`) has turns of another kind.
        """
        is_over = time.monotonic() - self.since > TURN
        if is_over and not self.run.line and SyncRun.objects.due().exists():
            raise TurnOver

    def note(self, text: str) -> None:
        """A line for the run's log; inside a transaction it comes to be with the rest, or not at all."""
        RunEntry.objects.create(run=self.run, text=text[:400])

    def add(self, counts: Counts, **changes: Any) -> None:
        """Add a page's counts. The database refuses totals that do not add up."""
        names = ("fetched", "inserted", "matched", "superseded", "parked", "rejected")
        self.write(**{name: F(name) + getattr(counts, name) for name in names}, **changes)

    def advanced(self) -> None:
        """The run got further than any attempt before, so the count of vain attempts starts anew."""
        if self.run.attempts:
            self.write(attempts=0)

    def is_done(self, part: str) -> bool:
        return bool(self.run.parts.get(part, {}).get("state") == PartState.DONE)

    def part(self, part: str, state: str, detail: str = "") -> None:
        if state == PartState.DONE and not self.is_done(part):
            self.advanced()
        result = {"state": state, "detail": detail[:300], "at": timezone.now().isoformat(timespec="seconds")}
        self.write(parts={**self.run.parts, part: result})
        self.note(f"{_in_words(part)}: {state}. {detail}".strip())
        run_progressed.send(sender=SyncRun, run_id=self.run.pk)

    def warn(self, *warnings: str) -> None:
        new = [warning for warning in warnings if warning not in self.run.warnings]
        if new:
            self.write(warnings=[*self.run.warnings, *new])

    def wait(self, until: datetime, why: str, **changes: Any) -> None:
        """Give the run back until `until`; the worker is free. It stands in no line unless `changes` say so."""
        changes = {"line": "", "in_turn": False, **changes}
        self.write(
            state=RunState.WAITING,
            wait_until=until,
            wait_reason=why,
            held_by=None,
            held_until=EPOCH,
            sent_at=EPOCH,
            **changes,
        )
        self.note(f"Waits until {until:%Y-%m-%d %H:%M:%S} UTC: {why}")
        run_progressed.send(sender=SyncRun, run_id=self.run.pk)

    def queue_again(self) -> None:
        """Give the run back as one that waits for a worker."""
        self.write(state=RunState.QUEUED, step="", held_by=None, held_until=EPOCH, sent_at=EPOCH, attempts=0)
        self.note("Queued again: others are due, and it goes on after them")

    @transaction.atomic
    def finish(self, state: RunState, *, code: str = "", error: str = "") -> None:
        self.write(
            state=state,
            step="",
            error_code=code,
            error=error[:500],
            finished_at=timezone.now(),
            held_by=None,
            held_until=EPOCH,
        )
        self.note(f"{state.label}. {error}".strip())
        run_ended.send(sender=SyncRun, run_id=self.run.pk)


def lease() -> timedelta:
    """How long a silent worker keeps a run. Renewed before each call to a broker and with each page."""
    return timedelta(seconds=settings.SYNC_LEASE_SECONDS)


def _in_words(part: str) -> str:
    """`Transactions of Individual ...345`, as in the run's log."""
    name, _, account_id = part.partition(":")
    account = Account.objects.filter(pk=account_id).first() if account_id else None
    return f"{PART_NAMES.get(name, name)} of {account}" if account else PART_NAMES.get(name, name)
