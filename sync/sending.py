"""Sending due runs to workers. PostgreSQL holds what is due; a message only says "look at this run now"."""

import logging
import time
from collections.abc import Iterable
from datetime import timedelta

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerDown
from redis.exceptions import RedisError

from brokerhub.kernel import trace
from connections.models import EPOCH
from sync.holds import lease
from sync.models import RunState, SyncRun

logger = logging.getLogger(__name__)
BATCH = 500


class _Clock:
    """Notices that the clock was set forward, or the machine slept: living workers look dead until they renew."""

    def __init__(self) -> None:
        self._ahead: float | None = None  # of the clock that only ever ticks
        self._until = 0.0

    def has_stepped(self, lease: timedelta) -> bool:
        """Whether it has, less than a lease ago."""
        ticks, ahead = time.monotonic(), time.time() - time.monotonic()
        if self._ahead is not None and timedelta(seconds=ahead - self._ahead) > lease / 3:
            logger.warning("sync.clock_stepped: runs keep their workers for another lease")
            self._until = ticks + lease.total_seconds()
        self._ahead = ahead
        return ticks < self._until


_clock = _Clock()


def nudge() -> None:
    """Ask for a dispatch right now. Best effort: with Redis away the run stays queued, and beat finds it later."""
    try:
        current_app.send_task("sync.dispatch", retry=False, expires=10)
    except (BrokerDown, RedisError, OSError):
        logger.warning("sync.nudge_failed: the queue is not reachable; the run starts when it is back", exc_info=True)


def dispatch_due() -> int:
    """Send a task for every due run, each once: rows are taken in batches and marked before they are sent."""
    SyncRun.objects.follow_clock(lease())
    taken = ~Q(state=RunState.RUNNING) if _clock.has_stepped(lease()) else Q()
    sent = 0
    while runs := _take_unsent(taken):
        _send(runs)
        sent += len(runs)
    return sent


def _take_unsent(taken: Q) -> list[SyncRun]:
    with transaction.atomic():
        unsent = SyncRun.objects.unsent().filter(taken).order_by("id")
        unsent = unsent.select_for_update(skip_locked=True, of=("self",), no_key=True)
        wanted = ("trigger", "request_id", "connection__broker")
        runs = list(unsent.select_related("connection").only(*wanted)[:BATCH])
        SyncRun.objects.filter(pk__in=[run.pk for run in runs]).update(sent_at=timezone.now())
    return runs


def _send(runs: Iterable[SyncRun]) -> None:
    waiting = list(runs)
    try:
        while waiting:
            run = waiting[-1]
            with trace.carrying(run.request_id):  # the run's own, not that of whoever rang the bell
                if run.is_import:
                    current_app.send_task("sync.import_file", args=(run.pk,))
                else:
                    current_app.send_task("sync.run", args=(run.pk,), queue=settings.SYNC_QUEUES[run.connection.broker])
            waiting.pop()
    finally:
        # Whatever could not be sent is due again with the next ring of the bell.
        if waiting:
            SyncRun.objects.filter(pk__in=[run.pk for run in waiting]).update(sent_at=EPOCH)
