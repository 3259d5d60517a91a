"""What booking would do, without booking: the ledger's own statements, taken back at the end."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import connection, transaction
from django.db.models import Q

from aggregation import ledger
from aggregation.models import Delivery, PossibleDuplicate, Source, Transaction
from aggregation.staging import Batch
from connections.brokers.records import TransactionRecord
from connections.models import Account

INSERTED, MATCHED, SUPERSEDED = "inserted", "matched", "superseded"


@dataclass(frozen=True, slots=True)
class Resemblance:
    """A row of the books that may be the same event, and why: keys of `review.REASONS`."""

    row: Transaction
    reasons: tuple[str, ...]


@dataclass(slots=True)
class Foreseen:
    """What would become of one record."""

    outcome: str = MATCHED  # known ones, and the copies of a row sent twice, are in no table of the ledger
    resembles: list[Resemblance] = field(default_factory=list)


@transaction.atomic
def foresee(*, account: Account, records: Sequence[TransactionRecord], source: Source) -> list[Foreseen]:
    """For each record what `ledger.book` would count it as now, and which rows it would ask about. Nothing is written.

    The records must come whole, as for booking. Raises ValueError and django.db.DataError as booking does.
    """
    if not records:
        return []
    foreseen = [Foreseen() for _ in records]
    if Delivery.objects.filter(account=account).exists():
        ledger.book(account=account, records=records, source=source, run_id=None)
    else:  # nobody has told of the account before, so no row can be like another's: that much need not be tried
        with connection.cursor() as cursor:
            ledger.classify(cursor, account, Batch.of(records), source, None)
    lines: dict[int, int] = {}  # by the number of the row that was booked for it
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('pg_temp.booking')")
        if cursor.fetchone() != (None,):
            cursor.execute("SELECT line, outcome, new_id FROM booking")
            for line, outcome, new_id in cursor.fetchall():
                foreseen[line].outcome = outcome
                if new_id is not None:
                    lines[new_id] = line
    for mine, other, reasons in _asked(account, lines):
        foreseen[lines[mine]].resembles.append(Resemblance(other, reasons))
    transaction.set_rollback(True)  # all of it: rows, questions, instruments met for the first time, temporary tables
    return foreseen


def _asked(account: Account, new: dict[int, int]) -> list[tuple[int, Transaction, tuple[str, ...]]]:
    """The questions that wait about rows just booked: the row, one that was there before, the reasons."""
    if not new:
        return []
    waiting = PossibleDuplicate.objects.waiting().filter(account=account).for_list()
    newest = Q(first__gte=min(new)) | Q(second__gte=min(new)) | Q(followers__second__gte=min(new))
    found = []
    for question in waiting.filter(newest).distinct():  # ids of rows are drawn one after the other
        for pair in question.pairs:
            for mine, other in ((pair.first, pair.second), (pair.second, pair.first)):
                if mine.pk in new and other.pk not in new:
                    found.append((mine.pk, other, tuple(question.reasons)))
    return found
