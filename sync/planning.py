"""What a run has to fetch, and which connections are due for one."""

import random
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Subquery
from django.utils import timezone

from connections.brokers.base import Connector
from connections.models import Account, Connection
from sync.models import Mode, SyncCursor, SyncRun, Trigger

MARKET = ZoneInfo("America/New_York")
MAX_ATTEMPTS = 8  # in a row without getting any further
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(minutes=30)
PLAN_BATCH = 100  # a minute; spreads a crowd over the hour instead of meeting the broker's limits all at once


def market_today() -> date:
    return datetime.now(MARKET).date()


def mode_for(connection: Connection) -> Mode:
    """A connection without any cursor has never been read."""
    known = SyncCursor.objects.filter(account__connection=connection).exists()
    return Mode.INCREMENTAL if known else Mode.INITIAL


def since(account: Account, connector: Connector, *, today: date) -> date:
    """First market date to read. An account's first sync goes back as far as the broker does; a later one, or one that
    continues after a crash, from where the cursor stands, less the days in which the broker still corrects rows."""
    first = today - connector.history
    cursor = SyncCursor.objects.filter(account=account).first()
    return first if cursor is None else max(first, cursor.covered_to - connector.look_back)


def retry_at(attempts: int, asked: datetime | None) -> datetime:
    """When to try again: when the broker said, else after a wait that doubles with each attempt, with jitter."""
    now = timezone.now()
    if asked is not None:
        return max(asked, now + timedelta(seconds=1))
    wait = min(FIRST_WAIT * (1 << max(attempts - 1, 0)), LONGEST_WAIT)
    return now + wait * random.uniform(0.8, 1.2)


def plan_due() -> int:
    """Queue a run for connections not read for SYNC_INTERVAL; at most PLAN_BATCH, longest unread first.

    Two planners at once take different connections (SKIP LOCKED); the unique constraint has the last word.
    """
    runs = SyncRun.objects.fetching().filter(connection=OuterRef("pk"))
    finished = runs.exclude(finished_at=None)
    recent = finished.filter(finished_at__gt=timezone.now() - settings.SYNC_INTERVAL)
    with transaction.atomic():
        due = (
            Connection.objects.syncable()
            .filter(~Exists(runs.open()), ~Exists(recent))
            .annotate(
                read_at=Subquery(finished.order_by("-finished_at").values("finished_at")[:1]),
                known=Exists(SyncCursor.objects.filter(account__connection=OuterRef("pk"))),
            )
            .order_by(F("read_at").asc(nulls_first=True), "created_at")
            .select_for_update(skip_locked=True, of=("self",), no_key=True)
            .values_list("pk", "known")[:PLAN_BATCH]
        )
        planned = [
            SyncRun(
                connection_id=pk,
                trigger=Trigger.SCHEDULE,
                mode=Mode.INCREMENTAL if known else Mode.INITIAL,
            )
            for pk, known in due
        ]
        SyncRun.objects.bulk_create(planned, ignore_conflicts=True)
    return len(planned)
