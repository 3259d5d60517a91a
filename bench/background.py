"""Work that the bell starts: sending ten thousand due runs to workers, and renewing access that ends soon."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import requests
from django.utils import timezone

from bench.measure import Ratio, in_turns, seconds
from bench.syncing import control, noted, replay, sign_in
from connections.models import EPOCH, Connection

DUE, LOGINS = 10_000, 100


def dispatching(owner: Connection) -> Iterator[Ratio]:
    """The floor sends as many messages of a task that does nothing to the same queue."""
    from celery import current_app
    from django.conf import settings

    from sync import sync_service
    from sync.models import Mode, SyncRun, Trigger

    copies = [
        Connection(
            pk=uuid4(),
            user_id=owner.user_id,
            broker=owner.broker,
            method=owner.method,
            environment=owner.environment,
            label=f"Due {number}",
            state=owner.state,
        )
        for number in range(DUE)
    ]
    Connection.objects.bulk_create(copies)
    SyncRun.objects.bulk_create(
        SyncRun(connection=each, trigger=Trigger.SCHEDULE, mode=Mode.INCREMENTAL, request_id=uuid4().hex)
        for each in copies
    )
    queue = settings.SYNC_QUEUES[owner.broker]

    def ours() -> float:
        SyncRun.objects.update(sent_at=EPOCH)
        taken = seconds(sync_service.dispatch_due)
        assert _emptied(queue) == DUE
        return taken

    def floor() -> float:
        taken = seconds(lambda: [current_app.send_task("bench.nothing", queue=queue) for _ in range(DUE)])
        assert _emptied(queue) == DUE
        return taken

    yield from in_turns(f"dispatch of {DUE:,} due runs", ours, {"as many empty messages": (floor, 1.5)})
    SyncRun.objects.filter(connection__in=copies).delete()
    Connection.objects.filter(pk__in=[each.pk for each in copies]).delete()


def _emptied(queue: str) -> int:
    from celery import current_app

    with current_app.connection_for_write() as link:
        channel: Any = link.default_channel
        return int(channel.queue_purge(queue))


def renewing(base: str) -> Iterator[Ratio]:
    """The floor sends the same requests to the sandbox at `base` over one connection, and keeps nothing.

    A broker takes a hundred times as long to answer as the sandbox; the milliseconds beside its answer are what counts.
    """
    from connections import connection_manager
    from connections.brokers import schwab

    schwab.CALLS_PER_MINUTE = 10**6
    asked: list[requests.PreparedRequest] = []
    with requests.Session() as http:
        control(http, base, "limits", broker="schwab", per_minute=None)
        for number in range(LOGINS):
            control(http, base, "people", login=f"renewing{number}", transactions=1)
        logins = [sign_in(http, f"renewing{number}").pk for number in range(LOGINS)]

    def ours() -> float:
        soon = timezone.now() + timedelta(minutes=1)
        Connection.objects.filter(pk__in=logins).update(access_expires_at=soon)
        with noted(asked):
            taken = seconds(connection_manager.renew_due)
        assert len(asked) == LOGINS
        return taken

    def floor() -> float:
        return seconds(lambda: replay(asked))

    yield from in_turns(f"renewal of {LOGINS} accesses", ours, {"the same requests, nothing kept": (floor, 1.3)})
