"""What booking would do, without booking: the ledger's own statements, taken back at the end."""

from collections.abc import Sequence

from django.db import connection, transaction

from aggregation import staging
from aggregation.instruments import resolve
from aggregation.models import Source
from connections.brokers.records import TransactionRecord
from connections.models import Account

INSERTED, MATCHED, SUPERSEDED = "inserted", "matched", "superseded"


@transaction.atomic
def foresee(*, account: Account, records: Sequence[TransactionRecord], source: Source) -> list[str]:
    """For each record what `ledger.book` would count it as now: inserted, matched or superseded. Nothing is written.

    The records must come whole, as for booking. Raises ValueError and django.db.DataError as booking does.
    """
    if not records:
        return []
    ids = resolve(record.instrument for record in records if record.instrument is not None)
    scope: dict[str, int | str | None] = {"account": account.pk, "source": str(source), "run": None}
    outcomes = [MATCHED] * len(records)  # known ones, and the copies of a row sent twice, are in no table
    with connection.cursor() as cursor:
        staging.stage(cursor, records, ids)
        if staging.classify(cursor, scope):
            cursor.execute("SELECT line, outcome FROM booking")
            for line, outcome in cursor.fetchall():
                outcomes[line] = outcome
    transaction.set_rollback(True)  # instruments met for the first time, and the temporary tables
    return outcomes
