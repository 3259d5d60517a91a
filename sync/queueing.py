"""Runs that share a broker's budget take turns: evenly paced, one turn after the other, round the users.

The line is the rows of the runs that wait in it, so that no crash loses a place and a cancelled run leaves it by
itself. Next is who belongs to the person whose last turn is longest ago: one with ten connections, or with years of
history to read, gets no more turns than one with a single account, and nobody waits for more than others' one turn.
A turn is handed over at once, by whoever ends one, so that no second of the budget is lost to waiting for a bell.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db import connection as database
from django.db import transaction
from django.db.models import F, OuterRef, Subquery
from django.utils import timezone

from connections.brokers import turns
from connections.brokers.base import RateLimited
from connections.brokers.turns import Line, Syncing
from connections.models import EPOCH
from sync.holds import Hold
from sync.models import RunState, SyncRun, SyncRunQuerySet
from sync.sending import nudge

RATE_LIMIT = "rate limit"
ROUND = timedelta(hours=6)  # turns longer ago count for nothing
LOCKS = 6_160_302  # of PostgreSQL's advisory locks: the first of two numbers, the second is the line's


def line_up(hold: Hold, error: RateLimited) -> None:
    """Let the run wait for its turn, or, while it has one, until its budget has filled up again.

    `error.retry_at` becomes when it is likely to go on; its turn may come sooner.
    """
    assert error.line is not None
    line, keeps_turn = error.line, hold.run.in_turn and not error.is_turn_over
    turns.form(line)
    if not keeps_turn:
        before = _in(line.key).exclude(pk=hold.run.pk).count()
        error.retry_at = timezone.now() + timedelta(seconds=line.pace * turns.SHORTEST_TURN * (1 + before))
    assert error.retry_at is not None
    hold.wait(error.retry_at, RATE_LIMIT, line=line.key, in_turn=keeps_turn, attempts=0)


@contextmanager
def in_line(hold: Hold) -> Iterator[None]:
    """What happens inside calls the broker as this run's turn allows. Raises RateLimited when it is another's.

    Afterwards the turn goes to the next one, unless the run keeps it for a wait.
    """
    key = hold.run.line
    if not key:
        with turns.syncing(Syncing()):
            yield
        return
    line = turns.line_at(key) or Line(key, turns.TURN_SECONDS / turns.SHORTEST_TURN)
    if not hold.run.in_turn:  # it woke up because its time had come: perhaps nobody was left to hand it the turn
        hand_over(line)
        hold.run.refresh_from_db(fields=["in_turn"])
    if not hold.run.in_turn:
        raise RateLimited("Others are reading before it.", line=line, is_turn_over=True)
    is_alone = not _in(key).exclude(pk=hold.run.pk).exists()
    with turns.syncing(Syncing(line=key, calls=line.turn, is_alone=is_alone)):
        yield


def pass_on(hold: Hold, key: str) -> None:
    """After the run's part: the turn goes on if it was given up here. `key` is the line it began in, or ""."""
    run = SyncRun.objects.filter(pk=hold.run.pk).only("line", "in_turn", "state").first()
    keeps_turn = run is not None and run.in_turn and run.state == RunState.WAITING
    for each in {key, run.line if run else ""} - {""}:
        if not keeps_turn:
            hand_over(turns.line_at(each) or Line(each, turns.TURN_SECONDS / turns.SHORTEST_TURN))


@transaction.atomic
def hand_over(line: Line) -> None:
    """Give turns to those who are next, as many as there may be at a time. Without anybody the line is over."""
    with database.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [LOCKS, line.key])
    waiting = list(_in_order(line.key).values_list("pk", flat=True)[: line.breadth])
    taken = _in(line.key).filter(in_turn=True).count()
    if not waiting and not taken:
        turns.dissolve(line.key)
    now, chosen = timezone.now(), waiting[: max(0, line.breadth - taken)]
    given = SyncRun.objects.filter(pk__in=chosen)
    given.update(in_turn=True, turn_at=now)
    if given.filter(state=RunState.WAITING).update(wait_until=now, sent_at=EPOCH):
        turns.form(line)
        transaction.on_commit(nudge)


def _in(key: str) -> SyncRunQuerySet:
    return SyncRun.objects.open().filter(line=key)


def _in_order(key: str) -> SyncRunQuerySet:
    """Those without a turn; first whose person had none for longest."""
    turns_of_person = SyncRun.objects.filter(
        line=key, turn_at__gt=timezone.now() - ROUND, connection__user=OuterRef("connection__user")
    )
    last = Subquery(turns_of_person.order_by("-turn_at").values("turn_at")[:1])
    return _in(key).filter(in_turn=False).annotate(last=last).order_by(F("last").asc(nulls_first=True), "pk")
