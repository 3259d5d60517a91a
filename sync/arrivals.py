"""How fresh each broker's data are, as the runs tell it: what health shows and judges by."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import connection as database
from django.db.models import OuterRef, Subquery

from connections.brokers.records import Broker
from connections.models import Connection
from health.freshness import Freshness
from sync.models import RunState, Schedule, SyncRun

SINCE = timedelta(days=31)
AT_THE_BROKER = {"broker_unavailable", "broker_maintenance", "broker_rate_limited", "parts_failing", "unexpected_reply"}
_ARRIVED = """
SELECT connection.broker, split_part(part.key, ':', 1), max((part.value->>'at')::timestamptz)
FROM sync_syncrun AS run
JOIN connections_connection AS connection ON connection.id = run.connection_id
CROSS JOIN LATERAL jsonb_each(run.parts) AS part
WHERE run.created_at > %s AND run.trigger <> 'import' AND part.value->>'state' = 'done'
GROUP BY 1, 2"""


def by_broker(grace: Mapping[Broker, timedelta], now: datetime) -> dict[Broker, Freshness]:
    """In three queries. `grace` is how long after its turn a sync may start, and may take."""
    arrived: dict[tuple[str, str], datetime] = {}
    with database.cursor() as cursor:
        cursor.execute(_ARRIVED, [now - SINCE])
        for broker, part, at in cursor.fetchall():
            arrived[broker, part] = at
    scheduled, late, vain = _turns(grace, now)
    brokers = {broker for broker, _ in arrived} | set(scheduled)
    return {
        Broker(broker): Freshness(
            positions_at=arrived.get((broker, "holdings")),
            balances_at=arrived.get((broker, "holdings")),  # they come in one answer, and are booked together
            transactions_at=arrived.get((broker, "transactions")),
            scheduled=scheduled[broker],
            late=late[broker],
            vain=vain[broker],
        )
        for broker in brokers
    }


def _turns(grace: Mapping[Broker, timedelta], now: datetime) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """By broker: schedules that can be followed, those whose turn nobody took, those whose sync brings nothing."""
    scheduled, late, vain = Counter[str](), Counter[str](), Counter[str]()
    last = SyncRun.objects.fetching().filter(connection=OuterRef("connection")).order_by("-pk")
    schedules = Schedule.objects.filter(next_at__isnull=False, connection__in=Connection.objects.syncable())
    rows = schedules.annotate(
        last_state=Subquery(last.values("state")[:1]),
        last_code=Subquery(last.values("error_code")[:1]),
        last_at=Subquery(last.values("created_at")[:1]),
    ).values_list("connection__broker", "next_at", "last_state", "last_code", "last_at")
    for broker, next_at, state, code, began in rows:
        allowed = grace[Broker(broker)]
        scheduled[broker] += 1
        late[broker] += next_at is not None and next_at + allowed < now
        takes_long = began is not None and began + allowed < now and RunState(state).is_open
        vain[broker] += takes_long or (state == RunState.FAILED and code in AT_THE_BROKER)
    return scheduled, late, vain
