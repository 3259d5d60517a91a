"""What booking would do, without booking: the ledger's own statements, taken back at the end.

Telling the rows apart writes nothing yet. Only where a row may be asked about they are booked, for trial.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import Q

from aggregation import ledger, near_matches, standing
from aggregation.models import PossibleDuplicate, Source, Transaction
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
    ledger.hold(account)
    with connection.cursor() as cursor:
        scope, verdicts = ledger.classify(cursor, account, Batch.of(records, with_raw=False), source, None)
        if verdicts is not None:
            lines = _judge(cursor, foreseen)
            if standing.has_any(cursor, account.pk) or near_matches.has_strangers(cursor, scope):
                ledger.carry_out(cursor, account, scope, verdicts)
                for mine, other, reasons in _asked(account, lines):
                    foreseen[lines[mine]].resembles.append(Resemblance(other, reasons))
    transaction.set_rollback(True)  # all of it: rows, questions, instruments met for the first time, temporary tables
    return foreseen


def _judge(cursor: CursorWrapper, foreseen: Sequence[Foreseen]) -> dict[int, int]:
    """Fill in the outcome of each record; which of them is new, by the number its row gets."""
    cursor.execute("SELECT line, outcome, new_id FROM booking")
    lines: dict[int, int] = {}
    for line, outcome, new_id in cursor.fetchall():
        foreseen[line].outcome = outcome
        if new_id is not None:
            lines[new_id] = line
    return lines


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
