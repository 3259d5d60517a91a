"""What a run has to fetch, and when it tries again."""

import random
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.utils import timezone

from connections.brokers.base import Connector
from connections.models import Account, Connection
from sync.models import Mode, SyncCursor

MARKET = ZoneInfo("America/New_York")
MAX_ATTEMPTS = 8  # in a row without getting any further
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(minutes=30)


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
    """When to try again: when the broker said, else after a wait that doubles with each attempt, with jitter.

    A run that comes when it was told to, and comes in vain, waits longer than it is told: many runs of one app share
    its limit, and their starts alone would use it up and their patience with it.
    """
    now = timezone.now()
    if asked is not None and attempts < 2:
        return max(asked, now + timedelta(seconds=1))
    doubled = max(attempts - (1 if asked is None else 2), 0)
    own = now + min(FIRST_WAIT * (1 << doubled), LONGEST_WAIT) * random.uniform(0.8, 1.2)  # nosec B311  # spreads waiting, nothing secret
    return own if asked is None else max(asked, own)
