"""Sending due runs to workers. PostgreSQL holds what is due; a message only says "look at this run now"."""

import logging
from collections.abc import Iterable

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerDown
from redis.exceptions import RedisError

from brokerhub.kernel import trace
from connections.models import EPOCH
from sync.models import SyncRun

logger = logging.getLogger(__name__)
BATCH = 500


def nudge() -> None:
    """Ask for a dispatch right now. Best effort: with Redis away the run stays queued, and beat finds it later."""
    try:
        current_app.send_task("sync.dispatch", retry=False, expires=10)
    except (BrokerDown, RedisError, OSError):
        logger.warning("sync.nudge_failed: the queue is not reachable; the run starts when it is back", exc_info=True)


def dispatch_due() -> int:
    """Send a task for every due run, each once: rows are taken in batches and marked before they are sent."""
    sent = 0
    while runs := _take_unsent():
        _send(runs)
        sent += len(runs)
    return sent


def _take_unsent() -> list[SyncRun]:
    with transaction.atomic():
        unsent = SyncRun.objects.unsent().order_by("id").select_for_update(skip_locked=True, of=("self",), no_key=True)
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
