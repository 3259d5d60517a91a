"""What waits for a worker, queue by queue, and for how long: each task bears the moment it was sent."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from celery import current_app
from celery.signals import before_task_publish
from django.conf import settings
from django.utils import timezone
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

AWAY = (RedisError, OperationalError)  # what asking raises while Redis is away
LATE = timedelta(minutes=2)  # a worker with a hand free takes a task within seconds
SENT_AT = "sent_at"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Line:
    """The tasks of one queue that no worker has taken. `since` is when the oldest was due; None without one."""

    queue: str
    tasks: int
    since: datetime | None

    @property
    def seconds(self) -> float:
        return 0.0 if self.since is None else max(0.0, (timezone.now() - self.since).total_seconds())

    @property
    def is_late(self) -> bool:
        return self.seconds > LATE.total_seconds()


@before_task_publish.connect(dispatch_uid="brokerhub.queues")
def note_when_sent(headers: dict[str, Any], **told: Any) -> None:
    """A task for later is due then; one that is tried again counts from its new turn."""
    headers[SENT_AT] = headers.get("eta") or timezone.now().isoformat()


def lines() -> list[Line]:
    """Every queue. Raises RedisError or kombu's OperationalError when nobody can say."""
    with current_app.connection_for_read() as connection, connection.channel() as channel:
        return [_line(queue(channel), channel) for queue in settings.CELERY_TASK_QUEUES]


def _line(queue: Any, channel: Any) -> Line:
    """Workers take from a list's end, where the oldest stands. Celery's keys bear a prefix that LINDEX is not given."""
    tasks: int = queue.queue_declare().message_count  # kombu says a name; it is all of the answer
    oldest = channel.client.lindex(f"{channel.global_keyprefix}{queue.name}", -1)
    sent_at = json.loads(oldest)["headers"].get(SENT_AT) if oldest else None
    return Line(queue.name, tasks, datetime.fromisoformat(sent_at) if sent_at else None)


def watch() -> list[Line]:
    """The queues whose oldest task waits too long, each told to the log."""
    late = [line for line in lines() if line.is_late]
    for line in late:
        log.error("queue_waits_too_long", queue=line.queue, tasks=line.tasks, seconds=round(line.seconds))
    return late
