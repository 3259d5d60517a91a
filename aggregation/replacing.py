"""Rows of files whose kind a person named later: the row as it is told now counts in place of the one told before.

The two have different contents, so each has an identity of its own. They are tied as two rows of the review queue are,
by a decided pair: while the new row stands the old one is its duplicate, and when it is taken back the old one counts
again (see `standing.py`). What a person made of the old row goes on to the new one, and back.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from django.db import connection, transaction
from django.utils import timezone

from aggregation import standing
from aggregation.instruments import resolve
from aggregation.ledger import hold
from aggregation.models import BookStatus, PossibleDuplicate, Source, Transaction, UserEdit
from aggregation.review_models import Decision
from brokerhub.kernel.models import User
from connections.brokers.records import InstrumentRecord, TransactionRecord
from connections.models import Account

REASON = "rule"
Content = tuple[object, ...]
OLD = (BookStatus.POSTED, BookStatus.PENDING, BookStatus.EXCLUDED, BookStatus.SPLIT)
NEW = (BookStatus.POSTED, BookStatus.PENDING, BookStatus.EXCLUDED, BookStatus.DUPLICATE)


@transaction.atomic
def replace(*, account: Account, told: Sequence[tuple[TransactionRecord, TransactionRecord]], user: User | None) -> int:
    """Let each record just booked count in place of the row booked before as `told` says: (before, now); how many.

    Rows with a broker's id need none of this: by it the ledger knows the new version of the same row.
    """
    if not told:
        return 0
    hold(account)
    befores, nows = [before for before, _ in told], [now for _, now in told]
    ids = resolve(record.instrument for record in (*befores, *nows) if record.instrument is not None)
    old, new = _old_rows(account, befores), _booked(account, nows, NEW)
    wanted: dict[tuple[Content, Content], int] = defaultdict(int)
    for before, now in told:
        wanted[_content(before, ids), _content(now, ids)] += 1
    pairs = []
    for (before_content, now_content), count in wanted.items():
        known, fresh = old.pop(before_content, [])[:count], new.get(now_content, [])
        # of equal rows the last are those just booked: when they are taken back, the old ones return
        fresh, new[now_content] = fresh[len(fresh) - len(known) :], fresh[: len(fresh) - len(known)]
        pairs += [(row, counting) for row, counting in zip(known, fresh, strict=False) if row.pk != counting.pk]
    _tie(account, [(row, _counting(row_now)) for row, row_now in pairs], user)
    return len(pairs)


def replaceable(account: Account, befores: Sequence[TransactionRecord]) -> list[bool]:
    """For each record whether the books have a row that was told so, and would be replaced. Writes nothing."""
    with transaction.atomic():
        ids = resolve(record.instrument for record in befores if record.instrument is not None)
        left = {content: len(rows) for content, rows in _old_rows(account, befores).items()}
        found = []
        for record in befores:
            content = _content(record, ids)
            found.append(left.get(content, 0) > 0)
            left[content] = left.get(content, 0) - 1
        transaction.set_rollback(True)  # instruments met for the first time
    return found


def hand_back(run_id: int) -> None:
    """Before a run is taken back: what people made of its rows goes back to the rows it replaced."""
    _move([(pair.kept_id, _old(pair)) for pair in _pairs_of(run_id)])


def hand_on(run_id: int) -> None:
    """Before a run is applied again: the other way."""
    _move([(_old(pair), pair.kept_id) for pair in _pairs_of(run_id)])


def _old_rows(account: Account, befores: Sequence[TransactionRecord]) -> dict[Content, list[Transaction]]:
    """Those with one of the words alone: a row of the same content may have been understood as it is."""
    words = {record.subtype for record in befores}
    booked = _booked(account, befores, OLD)
    return {content: [row for row in rows if row.subtype in words] for content, rows in booked.items()}


def _booked(
    account: Account, records: Sequence[TransactionRecord], statuses: Iterable[str]
) -> dict[Content, list[Transaction]]:
    """Rows told by files, without ids, of the kinds and days of `records`; of equal ones the first first."""
    days = [record.traded_on for record in records]
    rows = Transaction.objects.filter(
        account=account,
        source=Source.CSV,
        external_id="",
        status__in=list(statuses),
        kind__in={record.kind for record in records},
        traded_on__range=(min(days), max(days)),
    )
    found: dict[Content, list[Transaction]] = defaultdict(list)
    for row in rows.order_by("occurrence", "pk"):
        instrument, units = row.instrument_id, row.quantity or Decimal(0)
        found[row.kind, row.traded_on, instrument, units, row.net_amount, row.currency].append(row)
    return found


def _content(record: TransactionRecord, ids: Mapping[InstrumentRecord, int]) -> Content:
    """What the ledger knows a row without an id by, rounded as its columns are."""
    units, instrument = round(record.quantity or Decimal(0), 18), record.instrument and ids[record.instrument]
    return record.kind.value, record.traded_on, instrument, units, round(record.net_amount, 10), record.currency


def _counting(row: Transaction) -> Transaction:
    """The row itself, or the broker's that tells the same."""
    return row.superseded_by if row.status == BookStatus.DUPLICATE and row.superseded_by else row


def _tie(account: Account, pairs: Sequence[tuple[Transaction, Transaction]], user: User | None) -> None:
    if not pairs:
        return
    ties = [
        PossibleDuplicate(
            account=account,
            first=min(old, kept, key=lambda row: row.pk),
            second=max(old, kept, key=lambda row: row.pk),
            kept=kept,
            reasons=[REASON],
            decision=Decision.MERGED,
            decided_by=user,
            decided_at=timezone.now(),
        )
        for old, kept in pairs
    ]
    PossibleDuplicate.objects.bulk_create(
        ties,
        update_conflicts=True,
        unique_fields=["first", "second"],
        update_fields=["kept", "reasons", "decision", "decided_by", "decided_at"],
        batch_size=1000,
    )
    _move([(old.pk, kept.pk) for old, kept in pairs])
    with connection.cursor() as cursor:
        standing.uphold(cursor, account.pk)


def _pairs_of(run_id: int) -> Iterable[PossibleDuplicate]:
    return PossibleDuplicate.objects.filter(kept__run_id=run_id, decision=Decision.MERGED, reasons=[REASON])


def _old(pair: PossibleDuplicate) -> int:
    return pair.first_id if pair.kept_id == pair.second_id else pair.second_id


def _move(rows: Iterable[tuple[int | None, int | None]]) -> None:
    """Note, tags, exclusion and parts of the first of each two to the second, unless that has its own."""
    takers = dict(rows)
    edited = set(
        UserEdit.objects.filter(transaction__in=[*takers, *takers.values()]).values_list("transaction_id", flat=True)
    )
    for giver in [giver for giver, taker in takers.items() if giver in edited and taker not in edited]:
        UserEdit.objects.filter(transaction_id=giver).update(transaction_id=takers[giver])
        Transaction.objects.filter(part_of_id=giver).update(part_of_id=takers[giver])
