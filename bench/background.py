"""Work that the bell starts: sending ten thousand due runs to workers."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from bench.measure import Ratio, in_turns, seconds
from connections.models import EPOCH, Connection

DUE = 10_000


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
