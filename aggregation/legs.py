"""Events of several legs: a dividend and the units bought for it, two currencies, the two sides of a merger of shares.

Told twice in other words they are decided together: one leg alone would leave half an event in the books.
"""

from datetime import timedelta

from django.db.models import Q

from aggregation.models import BookStatus, PossibleDuplicate, Transaction, TransactionQuerySet
from aggregation.review_models import Decision, PossibleDuplicateQuerySet
from brokerhub.kernel.errors import NotAllowed
from connections.brokers.records import TransactionKind as Kind

# Executions of one order share a group id as well; they are no legs, each stands alone.
OTHER_LEGS = {
    Kind.DIVIDEND: (Kind.BUY,),
    Kind.INTEREST: (Kind.BUY,),
    Kind.BUY: (Kind.DIVIDEND, Kind.INTEREST),
    Kind.FX: (Kind.FX,),
    Kind.SPLIT: (Kind.SPLIT, Kind.CORPORATE_ACTION),
    Kind.CORPORATE_ACTION: (Kind.SPLIT, Kind.CORPORATE_ACTION),
}
DAYS = timedelta(days=5)


def other_legs(row: Transaction) -> TransactionQuerySet:
    """The event's other rows as the same source tells them; none for a row that stands alone."""
    rows = Transaction.objects.filter(account=row.account_id)
    kinds = OTHER_LEGS.get(Kind(row.kind), ())
    if not row.group_id or not kinds:
        return rows.none()
    near = (row.traded_on - DAYS, row.traded_on + DAYS)
    same = rows.filter(group_id=row.group_id, source=row.source, kind__in=kinds, traded_on__range=near)
    return same.current().filter(part_of=None).exclude(pk=row.pk)


def waiting_beside(pair: PossibleDuplicate) -> list[PossibleDuplicate]:
    """The open questions about the other legs of the event of `pair`.

    Raises NotAllowed when a leg counts, no other source tells it, and no question asks whether one does.
    """
    waiting = {question.pk: question for question in _between(pair).waiting()}
    asked = {row.pk for question in waiting.values() for row in question.rows}
    told_twice = Transaction.objects.filter(status=BookStatus.DUPLICATE).values("superseded_by")
    for row in (pair.first, pair.second):
        alone = other_legs(row).filter(status__in=(BookStatus.POSTED, BookStatus.PENDING))
        left = alone.exclude(pk__in=asked).exclude(pk__in=told_twice.filter(account=row.account_id)).first()
        if left is not None:
            raise NotAllowed(
                f"These rows belong to an event with several rows, and one of the others, {left}, has no counterpart. "
                "Merging the rest would leave half an event. Keep both, or exclude the rows you do not want."
            )
    return list(waiting.values())


def merged_beside(pair: PossibleDuplicate) -> list[PossibleDuplicate]:
    """The merges of the other legs of the event of `pair`."""
    return list(_between(pair).filter(decision=Decision.MERGED))


def _between(pair: PossibleDuplicate) -> PossibleDuplicateQuerySet:
    one, other = list(other_legs(pair.first)), list(other_legs(pair.second))
    either_way = Q(first__in=one, second__in=other) | Q(first__in=other, second__in=one)
    return PossibleDuplicate.objects.for_list().filter(either_way, whole=None, account=pair.account_id)


def beside(row: Transaction, pair: PossibleDuplicate) -> Transaction | None:
    """The row of `pair` that is a leg of the same event as `row`."""
    return next((leg for leg in pair.rows if (leg.source, leg.group_id) == (row.source, row.group_id)), None)
